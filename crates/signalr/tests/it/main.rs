//! Integration tests: recordings of the real server replayed against this one,
//! several hubs on one backplane, and what no recording shows.

mod replay;
#[path = "../../examples/conformance_hub/service/mod.rs"]
mod service;
mod recordings;
mod client;
mod requests;
mod backplane;
mod uploads;
mod calls;
mod leaving;
mod lifetime;
mod polling;
mod stateful;
mod gate;
mod observer;
