//! The use cases that only read. Each is one statement, and so one snapshot,
//! unless it says otherwise.

mod analyses;
mod log;
mod jobs;
mod history;
mod deliveries;
mod work;

pub(in crate::store) use analyses::{analyses_of, analysis_of, pictures_of};
pub(in crate::store) use deliveries::deliveries;
pub(in crate::store) use history::history_of;
pub(in crate::store) use jobs::{next_announcement, next_due, queue_stats};
pub(in crate::store) use log::{
    crowded_streams, entries, epoch, heads_beyond, make_epoch, stream_state, stream_states,
};
