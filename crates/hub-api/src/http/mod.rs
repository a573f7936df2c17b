//! The hub over HTTP: one file an operation, one table of routes.
//!
//! Handlers read a request, call one use case of the store, and write the
//! answer. They hold no state of their own, and show no internals in an error.

mod routes;
mod state;
mod layers;
mod surround;
mod openapi;
mod problem;
mod body;
mod json;
mod params;
mod memory;
mod finishing;
mod analyses;
mod notifications;
mod admin;
mod callbacks;
mod internal;
mod development;
mod pages;
mod health;
mod metrics;

pub(crate) use metrics::Scrape;
pub use problem::ApiError;
pub(crate) use problem::Kind;
pub(crate) use routes::route_table;
pub use routes::{Routers, document, routers};
pub use state::{AppParts, AppState};

pub(crate) use finishing::Finishing;
pub(crate) use health::Health;
pub(crate) use internal::guard::Guard;
pub(crate) use memory::Memory;
