//! The use cases that write, one file each. An operation runs within the
//! writer's transaction and may be run again, should that be rolled back.

mod create_analysis;
mod lease_jobs;
mod heartbeat;
mod outside;
mod retry;
mod expire;
mod fail_analysis;
mod set_overlay;
mod acknowledge;
mod purge;

pub(super) use acknowledge::Acknowledge;
pub(super) use create_analysis::CreateAnalysis;
pub(super) use expire::Expire;
pub(super) use lease_jobs::LeaseJobs;
pub(super) use outside::{OutsideProgress, OutsideReply};
pub(super) use purge::Purge;
pub(super) use set_overlay::SetOverlay;
