//! Who is calling: bearer tokens of users, and the networks that internal
//! callers come from.
//!
//! Tokens are verified in one place ([`Verifier`]); a token itself is never
//! kept, logged or put into an error.

mod claims;
mod keys;
mod verifier;
mod caller;
mod hub_gate;
mod network;
mod mint;

pub use caller::{Admin, Caller};
pub use claims::Principal;
pub use hub_gate::hub_gate;
pub(crate) use hub_gate::is_gated;
pub use keys::{KeyError, KeySource, VerificationKey, parse_public_key};
pub use mint::{MintError, mint};
pub use network::{Network, canonical, parse_network, rate_key};
pub use verifier::{Refusal, Verifier};
