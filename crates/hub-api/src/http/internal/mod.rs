//! `/internal/*` and `/api/internal/*`: for workers and other services of the
//! same system, never for users. Each route takes [`guard::Internal`] first.

pub(crate) mod guard;
pub(crate) mod notify;
pub(crate) mod broadcast;
pub(in crate::http) mod notification;
pub(in crate::http) mod checks;
pub(crate) mod deployed;
pub(crate) mod lease;
pub(crate) mod claim;
pub(crate) mod outside_result;
pub(crate) mod ping;
pub(crate) mod heartbeat;
pub(crate) mod retry;
pub(crate) mod image;
pub(crate) mod overlay;
pub(crate) mod connections;
