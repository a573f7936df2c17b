//! Integration tests: recordings of the real server replayed against this one,
//! and several hubs on one backplane.

mod replay;
#[path = "../../examples/conformance_hub/service/mod.rs"]
mod service;
mod recordings;
mod backplane;
