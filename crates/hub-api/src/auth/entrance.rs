//! What stands at the hub's entrance: the rules by which a call is let in, and
//! the counts of those that were not.

use http::{HeaderMap, request::Parts};

use super::{Client, Denials, Denied, Origins, Principal, Proxies, Refusal, Verifier};
use crate::{config::Config, serve::Peer};

/// The rules and counts. There is one of it.
#[derive(Debug)]
pub struct Entrance {
    /// Who is a user.
    pub verifier: Verifier,
    /// Which proxies are believed.
    pub proxies: Proxies,
    /// Which pages may call.
    pub origins: Origins,
    /// What was denied.
    pub denials: Denials,
}

/// A caller that was turned away.
#[derive(Debug, Clone, Copy)]
pub struct Turned {
    /// Why, for the answer's challenge.
    pub refusal: Refusal,
    /// Where the source was turned away too often: the seconds that it is to wait.
    pub wait: Option<u32>,
}

impl Entrance {
    /// The entrance by configuration.
    #[must_use]
    pub fn new(config: &Config, verifier: Verifier) -> Self {
        Self {
            verifier,
            proxies: Proxies::from_config(&config.server),
            origins: Origins::from_config(config),
            denials: Denials::new(config.limits.denied_per_minute),
        }
    }

    /// Where a call comes from.
    pub(crate) fn client(&self, parts: &Parts) -> Option<Client> {
        let Peer(peer) = parts.extensions.get::<Peer>().copied()?;
        Some(self.proxies.client(peer, &parts.headers))
    }

    /// The bearer of `token`, which may not have come at all. A refusal is
    /// noted before it is given.
    ///
    /// # Errors
    /// [`Turned`] says why.
    pub async fn admit(
        &self,
        token: Result<&str, Refusal>,
        client: Option<Client>,
    ) -> Result<Principal, Turned> {
        let verified = match token {
            Ok(token) => self.verifier.authenticate(token).await,
            Err(refusal) => Err(refusal),
        };
        verified.map_err(|refusal| Turned {
            refusal,
            wait: self.deny(refusal.into(), &refusal.to_string(), client),
        })
    }

    /// Counts and logs a denial; gives the seconds to wait where there were too
    /// many. `detail` must hold nothing of a token or an address.
    pub(crate) fn deny(&self, why: Denied, detail: &str, client: Option<Client>) -> Option<u32> {
        let noted = match client {
            Some(client) => self.denials.note(why, client.address),
            None => {
                self.denials.count(why);
                Ok(())
            }
        };
        if noted.is_ok() {
            tracing::info!(reason = why.name(), detail, "auth.denied");
        }
        noted.err()
    }

    /// Whether a WebSocket may be opened with these headers.
    pub(crate) fn allows_upgrade(&self, headers: &HeaderMap) -> bool {
        let upgrades = headers
            .get(http::header::UPGRADE)
            .is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"));
        !upgrades || self.origins.allow_upgrade(headers)
    }
}
