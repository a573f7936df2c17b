//! The hub's integration tests: one binary, one module for each part.

mod harness;
mod client;
mod uploads;
mod queue;
mod requests;
mod edges;
mod check;
mod refusals;
mod internal;
mod bucket;
mod live;
mod catching_up;
mod gone;
mod admin;
mod metrics;
mod switches;
mod database;
mod hanging;
mod nodes;
mod store;
