//! Integration tests: recordings of the real server replayed against this one.

mod replay;
