//! Placeholders of the recordings: bound to what the server sends at first
//! sight, equal afterwards, substituted in what the client sends. Never knows
//! what a text means.

use std::collections::HashMap;

/// The length of connection ids and tokens: 16 bytes as base64url without padding.
const ID_LENGTH: usize = 22;

/// What the placeholders of one scenario stand for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bindings {
    values: HashMap<String, Vec<u8>>,
}

impl Bindings {
    /// Whether the received bytes are the recorded text; binds the
    /// placeholders seen for the first time only if all of it matches.
    pub(crate) fn matches(&mut self, recorded: &str, received: &[u8]) -> bool {
        let mut tentative = self.clone();
        let mut rest = received;
        for piece in pieces(recorded) {
            let taken = match piece {
                Piece::Literal(text) => text.len().min(rest.len()),
                Piece::Placeholder(name) => tentative.length_of(name, rest),
            };
            let (head, tail) = rest.split_at(taken);
            let equal = match piece {
                Piece::Literal(text) => head == text.as_bytes(),
                Piece::Placeholder(name) => tentative.accept(name, head),
            };
            if !equal {
                return false;
            }
            rest = tail;
        }
        let complete = rest.is_empty();
        if complete {
            *self = tentative;
        }
        complete
    }

    /// Forgets the ids that a text is going to bind anew.
    pub(crate) fn forget_ids_in(&mut self, recorded: &str) {
        for piece in pieces(recorded) {
            if let Piece::Placeholder(name) = piece {
                self.values.remove(name);
            }
        }
    }

    /// The text with all bound placeholders replaced.
    pub(crate) fn substitute(&self, text: &str) -> String {
        let pieces = pieces(text).into_iter().map(|piece| match piece {
            Piece::Literal(text) => text.to_owned(),
            Piece::Placeholder(name) => match self.values.get(name) {
                Some(value) => String::from_utf8_lossy(value).into_owned(),
                None => format!("<{name}>"),
            },
        });
        pieces.collect()
    }

    fn length_of(&self, name: &str, rest: &[u8]) -> usize {
        if let Some(value) = self.values.get(name) {
            return value.len().min(rest.len());
        }
        let limit = if name.starts_with("sid") || name == "length" {
            usize::MAX
        } else {
            ID_LENGTH
        };
        rest.iter()
            .take(limit)
            .take_while(|byte| is_id_byte(**byte))
            .count()
    }

    fn accept(&mut self, name: &str, value: &[u8]) -> bool {
        // A length depends on other placeholders and is never the same value.
        if name == "length" {
            return !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        }
        match self.values.get(name) {
            Some(bound) => bound == value,
            None => {
                let plausible = if name.starts_with("sid") {
                    !value.is_empty()
                } else {
                    value.len() == ID_LENGTH
                };
                if plausible {
                    self.values.insert(name.to_owned(), value.to_owned());
                }
                plausible
            }
        }
    }
}

enum Piece<'a> {
    Literal(&'a str),
    Placeholder(&'a str),
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((start, end)) = find_placeholder(rest) {
        pieces.push(Piece::Literal(&rest[..start]));
        pieces.push(Piece::Placeholder(&rest[start + 1..end - 1]));
        rest = &rest[end..];
    }
    pieces.push(Piece::Literal(rest));
    pieces
}

/// Texts may hold other things in angle brackets, so only the known names count.
fn find_placeholder(text: &str) -> Option<(usize, usize)> {
    text.match_indices('<').find_map(|(start, _)| {
        let end = start + text[start..].find('>')? + 1;
        let name = text[start + 1..end - 1].trim_end_matches(|c: char| c.is_ascii_digit());
        matches!(name, "connectionId" | "token" | "sid" | "length").then_some((start, end))
    })
}

fn is_id_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

#[test]
fn placeholders_bind_once_and_only_when_all_matches() {
    let id = "AAAAAAAAAAAAAAAAAAAA-_";
    let mut bindings = Bindings::default();
    assert!(!bindings.matches("<token>!", format!("{id}?").as_bytes()));
    assert_eq!(bindings.substitute("<token>"), "<token>");
    assert!(bindings.matches("a\\\"b<>&<token>!", format!("a\\\"b<>&{id}!").as_bytes()));
    assert_eq!(
        bindings.substitute("/golden?id=<token>"),
        format!("/golden?id={id}")
    );
    assert!(!bindings.matches("<token>", b"BBBBBBBBBBBBBBBBBBBBBB"));
    assert!(bindings.matches("<sid>'", b"s12'"));
    assert!(!bindings.matches("<sid>'", b"s13'"));
    assert!(bindings.matches("<length>", b"316") && bindings.matches("<length>", b"44"));
}
