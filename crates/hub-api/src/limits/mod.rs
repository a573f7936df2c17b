//! How much one caller may do: rates that are bounded in memory, and the limits
//! of a user. What a refusal looks like is the caller's.

mod rate;
mod users;

pub(crate) use rate::RateLimit;
pub(crate) use users::{InvocationLimit, UserLimits};
