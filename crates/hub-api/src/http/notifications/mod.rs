//! `/api/v1/notifications`: the caller's notification log over REST.

pub(crate) mod list;
pub(crate) mod acknowledge;
pub(crate) mod unread_count;
