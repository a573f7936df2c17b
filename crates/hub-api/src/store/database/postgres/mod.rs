//! PostgreSQL: connecting, migrations, and the connection that writes.
//!
//! Several hubs write to one database. So whatever a transaction decides on it
//! locks first, always jobs before streams and each in the order of their keys.

mod open;
mod writer;
mod reader;
mod presence;
mod doubt;
mod notify;

pub(super) use doubt::Doubt;
pub(in crate::store) use notify::watch_jobs;
pub(super) use open::{migrations, open, open_for_reading, session};
pub(in crate::store) use reader::PostgresReader;
pub(in crate::store) use writer::PostgresWriter;
