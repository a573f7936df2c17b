//! How a service reads its settings: embedded defaults, then files, then the
//! environment by an explicit table ([`Layers`]); and how all that is wrong is
//! told at once, by key and with where the value came from ([`Problems`]).
//!
//! A service brings its table of variables, its types and its own checks. This
//! crate knows no setting of any service, and never shows a secret.

mod layers;
mod files;
mod nearest;
mod variables;
mod problems;
mod effective;
mod secret;
mod private_host;
mod switch;
pub mod duration;
mod environment;
mod log;

pub use effective::{Effective, EffectiveSetting};
pub use environment::Environment;
pub use layers::{ConfigError, Layers, Service, Sources};
pub use log::{LogConfig, LogFormat};
pub use private_host::is_private_host;
pub use problems::{Problem, Problems};
pub use secret::{SHORTEST_SECRET, Strictness};
pub use switch::yes_or_no;
pub use variables::{Kind, Table, Variable};
