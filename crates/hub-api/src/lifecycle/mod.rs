//! How the hub lives and leaves: the steps of a shutdown, and its tasks by name.

mod shutdown;
mod tasks;

pub use shutdown::{Shutdown, on_signals};
pub(crate) use tasks::describe;
pub use tasks::{TaskEnd, Tasks};
