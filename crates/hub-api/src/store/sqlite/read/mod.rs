//! The use cases that only read. Each is one statement, and so one snapshot,
//! unless it says otherwise.

mod analyses;
mod log;
mod jobs;
mod history;

pub(super) use analyses::{analyses_of, analysis_of, pictures_of};
pub(super) use history::history_of;
pub(super) use jobs::{next_due, queue_stats};
pub(super) use log::{entries, epoch, stream_state};
