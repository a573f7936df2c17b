//! Properties of the protocol that hold for every message and every input.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod sent;
mod round_trip;
mod cuts;
mod arbitrary_bytes;
mod grammar;
mod text;
