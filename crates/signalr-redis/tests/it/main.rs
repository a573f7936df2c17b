//! Hubs on a real Redis, as their clients and as .NET servers see them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

// The one that the library's own tests have.
#[path = "../../../signalr/tests/it/client.rs"]
mod client;
mod node;
mod proxy;
mod sending;
mod asking;
mod groups;
mod dotnet;
mod faults;
mod tls;
