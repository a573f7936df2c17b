//! The hub's integration tests: one binary, one module for each part.

mod store;
