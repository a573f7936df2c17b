//! Every type that crosses a process border: between the clients and the hub,
//! and between the hub and its workers.
//!
//! This crate owns shapes and their spelling on the wire. It never does I/O,
//! reads a clock or decides anything.
//!
//! All types are camelCase in JSON. A reader ignores members that it does not
//! know, so that a newer hub and an older worker (and the other way round)
//! understand each other during a deploy.

pub mod user_id;
pub mod analysis;
pub mod notification;
pub mod notify;
pub mod broadcast;
pub mod jobs;
pub mod queue;
pub mod connection;
pub mod development;
pub mod problem;

pub use user_id::UserId;
