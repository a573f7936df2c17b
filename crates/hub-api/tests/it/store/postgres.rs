//! Every story of the store on PostgreSQL, and those of several hubs and of a
//! server that fails.

use super::*;

/// An empty database.
async fn place() -> Place {
    Place::server().await
}

/// A store on an empty database.
async fn open() -> Db {
    Db::on(place().await).await
}

/// Random sequences of use cases that the model test tries.
const MODEL_CASES: u32 = 24;

#[path = "analyses.rs"]
mod analyses;
#[path = "log.rs"]
mod log;
#[path = "group_commit.rs"]
mod group_commit;
#[path = "jobs.rs"]
mod jobs;
#[path = "outside.rs"]
mod outside;
#[path = "crash.rs"]
mod crash;
#[path = "explain.rs"]
mod explain;
#[path = "announcing.rs"]
mod announcing;
#[path = "deliveries.rs"]
mod deliveries;
#[path = "model.rs"]
mod model;
#[path = "hubs.rs"]
mod hubs;
#[path = "server_faults.rs"]
mod server_faults;
