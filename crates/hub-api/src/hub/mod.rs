//! The hubs that clients and operators connect to.
//!
//! Each file is one hub: its methods, and what happens when a client comes.
//! What is sent to clients is decided in [`delivery`](crate::delivery).

pub mod plant_analysis;
pub mod operations;
