//! Connection tokens: the only place that makes and reads them.
//!
//! A token is the secret with which a request acts for a connection. It is one
//! AES-128 block, written as 22 base64url characters: the length that clients
//! and proxies know from ASP.NET Core. The block holds
//! `version | node | expiry | counter | stateful | zeros`, so that every node that shares
//! the key can tell, without asking anyone, which node made it and whether it
//! is still fresh, and a guess has to hit the zeros and a live expiry. The
//! connection id is a second encryption of the same counter, so a node that
//! did not make the token still calls the connection by the name that the
//! client was told.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aes::{
    Aes128,
    cipher::{BlockCipherDecrypt as _, BlockCipherEncrypt as _, KeyInit as _},
};

use crate::ids::{self, ConnectionId, ID_LEN};

const VERSION: u8 = 1;

/// Names a node among those that share a [`TokenKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId(pub u16);

impl NodeId {
    /// A random id. Two of 65,536 nodes may meet; then a token of the one that
    /// reaches the other counts as gone, and its client starts anew.
    #[must_use]
    pub fn random() -> Self {
        Self(u16::from_le_bytes(random()))
    }
}

/// Where the connection of a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Location {
    /// Made here: in this node's table, or over.
    Local,
    /// Made by another node and still fresh: a WebSocket or SSE attach may be
    /// taken here. Its client may have been promised stateful reconnect.
    Remote { node: NodeId, stateful: bool },
    /// No token of ours, or too old.
    Gone,
}

/// The secret token of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ConnectionToken([u8; ID_LEN]);

impl ConnectionToken {
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("tokens are made of base64url characters")
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        text.as_bytes().try_into().ok().map(Self)
    }

    /// The token that equals a connection id (negotiate version 0).
    pub(crate) fn from_id(id: ConnectionId) -> Self {
        Self(
            id.as_str()
                .as_bytes()
                .try_into()
                .expect("ids and tokens have the same length"),
        )
    }
}

/// A token is a secret: it never appears in a log.
impl fmt::Debug for ConnectionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectionToken(..)")
    }
}

/// The key under which tokens are made. Nodes that share it take each other's
/// WebSocket and SSE clients.
#[derive(Clone)]
pub struct TokenKey {
    secret: [u8; 32],
    previous: Option<[u8; 32]>,
}

impl TokenKey {
    /// 32 secret bytes, the same on every node.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        Self {
            secret,
            previous: None,
        }
    }

    /// Also takes tokens that were made under another key: that of the nodes
    /// which have not been given the new one yet.
    #[must_use]
    pub fn accepting(self, previous: &Self) -> Self {
        Self {
            previous: Some(previous.secret),
            ..self
        }
    }

    /// A key of this process alone.
    #[must_use]
    pub fn random() -> Self {
        Self::new(random())
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(..)")
    }
}

/// Makes and reads the tokens of one node.
pub(crate) struct TokenMint {
    ciphers: Ciphers,
    previous: Option<Ciphers>,
    node: NodeId,
    lifetime: Duration,
    counter: AtomicU64,
}

/// Both halves of a key.
struct Ciphers {
    token: Aes128,
    id: Aes128,
}

impl Ciphers {
    fn new(secret: &[u8; 32]) -> Self {
        let (token, id) = secret.split_at(16);
        Self {
            token: Aes128::new_from_slice(token).expect("16 bytes"),
            id: Aes128::new_from_slice(id).expect("16 bytes"),
        }
    }

    fn id_of(&self, block: [u8; 16]) -> ConnectionId {
        let mut sealed = block.into();
        self.id.encrypt_block(&mut sealed);
        ConnectionId::from_block(sealed.into())
    }

    /// What a token says, where it is one of this key.
    fn open(&self, sealed: [u8; 16]) -> Option<[u8; 16]> {
        let mut block = sealed.into();
        self.token.decrypt_block(&mut block);
        let block: [u8; 16] = block.into();
        let genuine = block[0] == VERSION && block[12] <= 1 && block[13..] == [0; 3];
        genuine.then_some(block)
    }
}

impl fmt::Debug for TokenMint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenMint")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

impl TokenMint {
    /// `lifetime`: how long a token may wait for its first attach.
    pub(crate) fn new(key: &TokenKey, node: NodeId, lifetime: Duration) -> Self {
        Self {
            ciphers: Ciphers::new(&key.secret),
            previous: key.previous.as_ref().map(Ciphers::new),
            node,
            lifetime,
            // A restarted node with the same id must not repeat a counter
            // within a token's life.
            counter: AtomicU64::new(u64::from_le_bytes(random())),
        }
    }

    /// A fresh pair. With `same`, the token equals the id (negotiate version 0,
    /// and WebSockets without negotiation). `stateful`: the client was promised
    /// stateful reconnect, which the node that takes it has to keep.
    pub(crate) fn issue(&self, same: bool, stateful: bool) -> (ConnectionId, ConnectionToken) {
        let counter = self.counter.fetch_add(1, Ordering::Relaxed);
        let expiry = unix_seconds().saturating_add(self.lifetime.as_secs() as u32);
        let mut block = [0; 16];
        block[0] = VERSION;
        block[1..3].copy_from_slice(&self.node.0.to_le_bytes());
        block[3..7].copy_from_slice(&expiry.to_le_bytes());
        block[7..12].copy_from_slice(&counter.to_le_bytes()[..5]);
        block[12] = stateful.into();
        let id = self.ciphers.id_of(block);
        if same {
            return (id, ConnectionToken::from_id(id));
        }
        let mut sealed = block.into();
        self.ciphers.token.encrypt_block(&mut sealed);
        (id, ConnectionToken(ids::encode(sealed.into())))
    }

    /// Where the connection of a token may be that this node's table does not hold.
    pub(crate) fn locate(&self, token: ConnectionToken) -> (Location, Option<ConnectionId>) {
        let Some(sealed) = ids::decode(token.as_str()) else {
            return (Location::Gone, None);
        };
        let opened = [Some(&self.ciphers), self.previous.as_ref()]
            .into_iter()
            .flatten()
            .find_map(|ciphers| Some((ciphers, ciphers.open(sealed)?)));
        let Some((ciphers, block)) = opened else {
            return (Location::Gone, None);
        };
        let expiry = u32::from_le_bytes(block[3..7].try_into().expect("four bytes"));
        let now = unix_seconds();
        // An expiry further off than a lifetime (and some clock skew) is a
        // forgery that happened to hit the zeros.
        let latest = now.saturating_add(self.lifetime.as_secs() as u32 + 60);
        if expiry < now || expiry > latest {
            return (Location::Gone, None);
        }
        let node = NodeId(u16::from_le_bytes([block[1], block[2]]));
        if node == self.node {
            (Location::Local, None)
        } else {
            let stateful = block[12] == 1;
            let id = ciphers.id_of(block);
            (Location::Remote { node, stateful }, Some(id))
        }
    }
}

/// Bytes from the operating system.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

fn unix_seconds() -> u32 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    now.as_secs() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mint(key: &TokenKey, node: u16) -> TokenMint {
        TokenMint::new(key, NodeId(node), Duration::from_secs(15))
    }

    fn remote(node: u16) -> Location {
        Location::Remote {
            node: NodeId(node),
            stateful: false,
        }
    }

    #[test]
    fn another_node_with_the_key_knows_the_token_and_the_id() {
        let key = TokenKey::random();
        let (a, b) = (mint(&key, 1), mint(&key, 2));
        for stateful in [false, true] {
            let (id, token) = a.issue(false, stateful);
            assert_eq!(a.locate(token), (Location::Local, None));
            let node = NodeId(1);
            let there = Location::Remote { node, stateful };
            assert_eq!(b.locate(token), (there, Some(id)));
            assert_ne!(id.as_str(), token.as_str());
        }
    }

    #[test]
    fn without_the_key_a_token_means_nothing() {
        let (_, token) = mint(&TokenKey::random(), 1).issue(false, false);
        assert_eq!(mint(&TokenKey::random(), 2).locate(token).0, Location::Gone);
    }

    #[test]
    fn while_a_key_is_replaced_tokens_of_both_are_known() {
        let (old, new) = (TokenKey::random(), TokenKey::random());
        let (id, token) = mint(&old, 1).issue(false, false);
        let replacing = mint(&new.clone().accepting(&old), 2);
        assert_eq!(replacing.locate(token), (remote(1), Some(id)));
        let (id, token) = replacing.issue(false, false);
        assert_eq!(mint(&new, 1).locate(token), (remote(2), Some(id)));
        assert_eq!(mint(&old, 1).locate(token).0, Location::Gone);
    }

    #[test]
    fn a_token_that_waited_too_long_is_gone() {
        let key = TokenKey::random();
        let stale = TokenMint::new(&key, NodeId(1), Duration::ZERO);
        let (_, token) = stale.issue(false, false);
        std::thread::sleep(Duration::from_millis(1100));
        assert_eq!(mint(&key, 2).locate(token).0, Location::Gone);
    }

    #[test]
    fn ids_and_tokens_are_all_different() {
        let mint = mint(&TokenKey::random(), 1);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1000 {
            let (id, token) = mint.issue(false, false);
            assert!(seen.insert(id.as_str().to_owned()));
            assert!(seen.insert(token.as_str().to_owned()));
        }
    }

    #[test]
    fn text_of_any_shape_is_gone() {
        let mint = mint(&TokenKey::random(), 1);
        for text in [
            "",
            "unknown",
            "......................",
            "AAAAAAAAAAAAAAAAAAAAAA",
        ] {
            let token = ConnectionToken::parse(text);
            assert!(
                token.is_none_or(|token| mint.locate(token).0 == Location::Gone),
                "{text}"
            );
        }
    }
}
