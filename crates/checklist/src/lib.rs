//! The checklist of a deployment as a command: what was looked at, whether it
//! passed, and what to do where it did not ([`Report`]); and the checks that
//! are the same for both services.
//!
//! Nothing here changes the system that is looked at. A secret is told by its
//! length and its fingerprint, which is the same on both sides and gives
//! nothing away.

mod report;
mod settings_items;
mod parts;
mod web;

pub use parts::{broker, railway};
pub use report::{Item, Outcome, Report};
pub use settings_items::{allow_list, environment, fingerprint, problems, secret};
pub use web::{Web, WebError, cause, clock, expect, json};
