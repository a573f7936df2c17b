//! Integration tests: recordings of the real server replayed against this one.

mod replay;
#[path = "../../examples/conformance_hub/service/mod.rs"]
mod service;
mod recordings;
