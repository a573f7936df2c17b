//! Any bytes, in any cuts, as the frames of a WebSocket client.

// The module is private to the crate. It stands on its own, so its source is
// compiled here once more, instead of a wider public surface for everyone.
#[path = "../../src/websocket/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "only the decoder is of interest here"
)]
mod websocket;

use websocket::{Decoder, Event, Violation};

/// However the bytes are cut, the frames say the same.
pub fn check(input: &[u8]) {
    let Some((&seed, bytes)) = input.split_first() else {
        return;
    };
    let (whole, broken) = decode(&[bytes]);
    let (pieces, also_broken) = decode(&super::cut(bytes, seed));
    assert_eq!(broken, also_broken);
    if broken.is_none() {
        assert_eq!(whole, pieces);
        return;
    }
    // What was read of a text before its first bad byte may have been told.
    let (common, more) = pieces.split_at(whole.len().min(pieces.len()));
    assert!(more.len() <= 1);
    for (told, also_told) in whole.iter().zip(common) {
        assert!(told.0 == Kind::Part || told.0 == also_told.0);
        assert!(also_told.1.starts_with(&told.1));
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A message that is not whole yet.
    Part,
    Text,
    Binary,
    Ping,
    Pong,
    Close,
}

/// The events of the pieces, neighbouring data joined, and what ended them.
fn decode(pieces: &[&[u8]]) -> (Vec<(Kind, Vec<u8>)>, Option<Violation>) {
    let mut decoder = Decoder::default();
    let mut events: Vec<(Kind, Vec<u8>)> = Vec::new();
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut rest = &mut piece[..];
        while !rest.is_empty() {
            let length = rest.len();
            let (taken, event) = match decoder.next(rest) {
                Ok(next) => next,
                Err(violation) => return (events, Some(violation)),
            };
            assert!(taken > 0 && taken <= length);
            let (kind, payload) = match event {
                None => {
                    rest = &mut rest[taken..];
                    continue;
                }
                Some(Event::Data { piece, text, ends }) => {
                    let kind = match (ends, text) {
                        (false, _) => Kind::Part,
                        (true, true) => Kind::Text,
                        (true, false) => Kind::Binary,
                    };
                    (kind, piece.to_vec())
                }
                Some(Event::Ping(data)) => (Kind::Ping, data.to_vec()),
                Some(Event::Pong(data)) => (Kind::Pong, data.to_vec()),
                Some(Event::Close) => {
                    events.push((Kind::Close, Vec::new()));
                    return (events, None);
                }
            };
            let is_data = matches!(kind, Kind::Part | Kind::Text | Kind::Binary);
            assert!(is_data || payload.len() <= 125);
            match events.last_mut() {
                Some((last @ Kind::Part, data)) if is_data => {
                    *last = kind;
                    data.extend(payload);
                }
                _ => events.push((kind, payload)),
            }
            rest = &mut rest[taken..];
        }
    }
    (events, None)
}
