//! `/api/admin`: what an operator sees; role Admin.

pub(crate) mod notification_log;
pub(crate) mod connections;
pub(crate) mod switches;
