//! Hubs on a real Redis, as their clients and as .NET servers see them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod node;
mod proxy;
mod sending;
mod asking;
mod groups;
mod dotnet;
mod faults;
mod tls;
