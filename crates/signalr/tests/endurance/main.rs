//! What a server has to endure: clients that stop reading, and ten thousand
//! that break every rule. Afterwards it is as it was before.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../peer/mod.rs"]
mod peer;
mod bench;
mod process;
mod client;
mod stalled;
mod malformed;

/// The tests measure the process that they share: one at a time.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
