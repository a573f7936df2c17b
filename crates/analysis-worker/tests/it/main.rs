//! The worker as a whole, against a hub and a webhook that fail in chosen ways.
//!
//! The hub here answers as the internal routes do and remembers what it was
//! told; the way through the real hub is tested end to end elsewhere.

#![expect(
    clippy::unwrap_used,
    reason = "what a test sets up must work, or the test fails"
)]

mod hub;
mod webhook;
mod worker;
mod photos;

mod builtin;
mod reporting;
mod progress;
mod n8n_answers;
mod n8n_faults;
mod leaving;
mod health;
mod process;
mod checking;
mod rabbitmq;
