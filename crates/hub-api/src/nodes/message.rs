//! What nodes write on their own channels, as JSON.

use std::{borrow::Cow, collections::HashMap};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use shared_dto::{UserId, connection::ConnectionInfo};

use crate::{
    store::Stream,
    switches::{MaintenanceNotice, SwitchChange},
};

use super::totals::NodeTotals;

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
    /// The members of a [`SwitchChange`], and whatever a newer hub knows beside.
    change: Map<String, Value>,
}

impl<'a> Switched<'a> {
    pub(super) fn new(node: &'a str, change: &SwitchChange) -> Self {
        let change = match serde_json::to_value(change) {
            Ok(Value::Object(members)) => members,
            _ => Map::new(),
        };
        Self {
            node: node.into(),
            change,
        }
    }

    /// As much of the change as this hub knows. While a new version is rolled
    /// out the other one may know more, or say it otherwise, and a switch that
    /// is turned off in an emergency must not be lost by that.
    pub(super) fn understood(mut self) -> SwitchChange {
        let notice = self.change.remove("maintenanceNotice");
        SwitchChange {
            enable_signalr: self.member("enableSignalR"),
            realtime_streaming_v2: self.member("realtimeStreamingV2"),
            realtime_rollout_percent: self.member("realtimeRolloutPercent"),
            rollout_allow_list: self.member("rolloutAllowList"),
            log_filter: self.member("logFilter"),
            maintenance_notice: notice.and_then(|notice| match notice {
                Value::Null => Some(None),
                notice => Some(Some(MaintenanceNotice {
                    message: notice["message"].as_str()?.to_owned(),
                    until: notice["until"].as_str().map(str::to_owned),
                })),
            }),
        }
    }

    fn member<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        serde_json::from_value(self.change.remove(name)?).ok()
    }
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
    /// Who is connected there, in numbers?
    Totals,
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
    /// The node in figures.
    Totals(NodeTotals),
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
    fn a_change_is_understood_as_it_was_told() {
        let notice = MaintenanceNotice {
            message: "Back at noon.".to_owned(),
            until: Some("12:00".to_owned()),
        };
        for notice in [None, Some(None), Some(Some(notice))] {
            let change = SwitchChange {
                enable_signalr: Some(false),
                realtime_streaming_v2: Some(true),
                realtime_rollout_percent: Some(7),
                rollout_allow_list: Some(vec!["42".to_owned()]),
                log_filter: Some("debug".to_owned()),
                maintenance_notice: notice,
            };
            let json = serde_json::to_string(&Switched::new("a", &change)).unwrap();
            let told: Switched<'_> = serde_json::from_str(&json).unwrap();
            assert_eq!(told.understood(), change);
        }
    }

    #[test]
    fn what_another_version_says_besides_loses_no_switch() {
        let json = r#"{"node":"a","more":1,"change":{"enableSignalR":false,"enableMore":true,
            "realtimeRolloutPercent":{"web":5},
            "maintenanceNotice":{"message":"Soon.","level":"high"}}}"#;
        let told: Switched<'_> = serde_json::from_str(json).unwrap();
        let understood = told.understood();
        assert_eq!(understood.enable_signalr, Some(false));
        assert_eq!(understood.realtime_rollout_percent, None);
        let notice = understood.maintenance_notice.unwrap().unwrap();
        assert_eq!(notice.message, "Soon.");
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
