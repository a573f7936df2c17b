//! What nodes write on their own channels, as JSON.

use std::{borrow::Cow, collections::HashMap};

use serde::{Deserialize, Serialize};
use shared_dto::{UserId, connection::ConnectionInfo};

use crate::{store::Stream, switches::SwitchChange};

/// The log has new entries.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Grown<'a> {
    /// Who wrote them.
    #[serde(borrow)]
    pub(super) node: Cow<'a, str>,
    /// The log's epoch.
    #[serde(borrow)]
    pub(super) epoch: Cow<'a, str>,
    /// Stream and sequence of each.
    pub(super) entries: Vec<(String, i64)>,
}

/// An operator turned switches.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Switched<'a> {
    /// Where.
    #[serde(borrow)]
    pub(super) node: Cow<'a, str>,
    /// What changed.
    pub(super) change: Cow<'a, SwitchChange>,
}

/// The lowest and the highest sequence that were heard of.
pub type Span = (i64, i64);

impl Grown<'_> {
    /// The entries, one item a stream.
    pub(super) fn by_stream(self) -> Vec<(Stream, Span)> {
        let mut streams: HashMap<String, Span> = HashMap::new();
        for (stream, sequence) in self.entries {
            let span = streams.entry(stream).or_insert((sequence, sequence));
            *span = (span.0.min(sequence), span.1.max(sequence));
        }
        let streams = streams.into_iter();
        let known = streams.filter_map(|(stream, span)| Some((Stream::parse(&stream)?, span)));
        known.collect()
    }
}

/// A message to some nodes, or to one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    tag = "kind"
)]
pub(super) enum Addressed {
    /// To whom it concerns.
    Question {
        from: String,
        id: u64,
        question: Question,
    },
    /// To whoever asked.
    Answer {
        from: String,
        to: u64,
        answer: Answer,
    },
}

impl Addressed {
    pub(super) fn from(&self) -> &str {
        match self {
            Self::Question { from, .. } | Self::Answer { from, .. } => from,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum Question {
    /// Which connections has the user there?
    Connections { user: UserId },
    /// Close the user's connections there.
    Close { user: UserId },
    /// Which of these are gone, or silent so that they may go? As many silent
    /// ones as are wanted are closed.
    MakeRoom {
        user: UserId,
        ids: Vec<String>,
        wanted: usize,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Answer {
    /// The user's connections.
    Connections(Vec<ConnectionInfo>),
    /// So many were closed.
    Closed(usize),
    /// These are gone.
    Gone(Vec<String>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_told_apart_by_stream() {
        let json = r#"{"node":"a","epoch":"e","entries":[["user:1",5],["user:2",9],["user:1",4],["org",1]]}"#;
        let grown: Grown<'_> = serde_json::from_str(json).unwrap();
        let mut streams = grown.by_stream();
        streams.sort_by_key(|(stream, _)| stream.clone());
        let stream = |user: i64| Stream::of_user(&UserId::from(user));
        assert_eq!(streams, [(stream(1), (4, 5)), (stream(2), (9, 9))]);
    }

    #[test]
    fn a_question_and_its_answer_are_read_as_written() {
        let question = Addressed::Question {
            from: "a".into(),
            id: 7,
            question: Question::MakeRoom {
                user: UserId::from(42),
                ids: vec!["x".into()],
                wanted: 1,
            },
        };
        let json = serde_json::to_string(&question).unwrap();
        let read: Addressed = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
        assert!(json.contains("\"makeRoom\""), "{json}");
    }
}
