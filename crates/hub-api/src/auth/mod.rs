//! Who is calling: bearer tokens of users, and the networks and pages that
//! calls come from.
//!
//! Tokens are verified in one place ([`Verifier`]); a token itself is never
//! kept, logged or put into an error.

mod claims;
mod keys;
mod jwks;
mod verifier;
mod denials;
mod proxies;
mod origins;
mod entrance;
mod caller;
mod hub_gate;
mod network;
mod mint;

pub(crate) use caller::ADMIN;
pub use caller::{Admin, Caller};
pub use claims::Principal;
pub use denials::{Denials, Denied};
pub use entrance::{Entrance, Turned};
pub use hub_gate::hub_gate;
pub use jwks::{Jwks, JwksError, JwksReport};
pub use keys::{KeyError, VerificationKey, configured_keys, parse_public_keys};
pub use mint::{MintError, mint};
pub(crate) use mint::{sign_for_check, unverified_user};
pub use network::{Network, canonical, parse_network, rate_key};
pub use origins::Origins;
pub use proxies::{Client, ForwardedHeader, Proxies};
pub use verifier::{Refusal, Verifier};
