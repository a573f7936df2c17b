//! Tendril's hub: client connections, REST, the database, the notification
//! log, the jobs table, and the internal link to workers. It runs no analysis.
//!
//! [`run`] is the whole service, from given settings on given listeners, so
//! that a test starts it as the binary does. In reading order: what it is told
//! ([`config`]), who may call ([`auth`]), what it keeps ([`store`],
//! [`images`]), how clients learn of it ([`delivery`], [`hub`]),
//! how several hubs are one ([`nodes`]), how it is
//! asked ([`http`]), how it is served and ends ([`serve`], [`lifecycle`]), and
//! what it tells of itself ([`metrics`]), and
//! what operators turn while it runs ([`switches`]).

mod run;
pub mod config;
pub mod auth;
pub mod links;
pub mod store;
pub mod images;
mod limits;
mod hex;
mod jobs;
mod workers;
mod queue;
pub mod delivery;
pub mod nodes;
pub mod hub;
pub mod http;
pub mod serve;
pub mod lifecycle;
pub mod explain;
pub mod metrics;
pub mod switches;
pub mod check;

pub use run::{RunError, run};
