//! Identifiers of connections: 16 bytes as 22 characters of base64url.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// Length of an id in characters.
pub(crate) const ID_LEN: usize = 22;

/// Names a connection to hub code and to other clients. It is public: the
/// secret that lets a request act for the connection is its token.
///
/// ```
/// use signalr::ConnectionId;
///
/// let id = ConnectionId::parse("Vz8sXx0pGkq3mUeT7bYd1A").expect("22 characters");
/// assert_eq!(id.to_string(), "Vz8sXx0pGkq3mUeT7bYd1A");
/// assert!(ConnectionId::parse("too short").is_none());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId([u8; ID_LEN]);

impl ConnectionId {
    pub(crate) fn from_block(block: [u8; 16]) -> Self {
        Self(encode(block))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("ids are made of base64url characters")
    }

    /// Reads an id; `None` for what cannot be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; ID_LEN] = text.as_bytes().try_into().ok()?;
        text.is_ascii().then_some(Self(bytes))
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for ConnectionId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// 16 bytes as 22 base64url characters.
pub(crate) fn encode(block: [u8; 16]) -> [u8; ID_LEN] {
    let mut text = [0; ID_LEN];
    URL_SAFE_NO_PAD
        .encode_slice(block, &mut text)
        .expect("16 bytes are 22 characters");
    text
}

/// The reverse of [`encode`]; `None` for any other text.
pub(crate) fn decode(text: &str) -> Option<[u8; 16]> {
    let mut block = [0; 18];
    let len = URL_SAFE_NO_PAD.decode_slice(text, &mut block).ok()?;
    (len == 16).then(|| block[..16].try_into().expect("16 of 18 bytes"))
}
