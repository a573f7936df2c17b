//! The use cases that write, one file each. An operation runs within the
//! writer's transaction and may be run again, should that be rolled back.

mod create_analysis;
mod lease_jobs;
mod announce;
mod claim;
mod bury;
mod heartbeat;
mod outside;
mod retry;
mod expire;
mod fail_analysis;
mod set_overlay;
mod names_picture;
mod acknowledge;
mod purge;
mod renew_epoch;

pub(in crate::store) use acknowledge::Acknowledge;
pub(in crate::store) use announce::{AnnounceAgain, TakeAnnouncements};
pub(in crate::store) use create_analysis::CreateAnalysis;
pub(in crate::store) use expire::Expire;
pub(in crate::store) use lease_jobs::LeaseJobs;
pub(in crate::store) use names_picture::NamesPicture;
pub(in crate::store) use outside::{OutsideProgress, OutsideReply};
pub(in crate::store) use purge::Purge;
pub(in crate::store) use renew_epoch::RenewEpoch;
pub(in crate::store) use set_overlay::SetOverlay;
