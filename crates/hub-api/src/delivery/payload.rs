//! The form in which an entry is sent.

use signalr::protocol::RawJson;

use crate::{
    config::EventNames,
    links::Links,
    store::{LoggedEntry, UnixMillis},
};

/// The entry's payload with `notificationId` and `sequence` in front, where it
/// is an object, and its picture's address signed as of `now`: a replay carries
/// no dead link.
pub(super) fn rendered(entry: &LoggedEntry, links: &Links, now: UnixMillis) -> RawJson {
    let payload = links.sign_payload(&entry.payload, now);
    let (id, sequence) = (entry.notification_id, entry.sequence);
    let text = match payload.trim_start().strip_prefix('{') {
        Some(members) if members.trim_start().starts_with('}') => {
            format!("{{\"notificationId\":{id},\"sequence\":{sequence}}}")
        }
        Some(members) => format!("{{\"notificationId\":{id},\"sequence\":{sequence},{members}"),
        None => payload.into_owned(),
    };
    RawJson::from_text(text)
}

/// The names under which an event is sent: the analysis events have older ones.
pub(super) fn event_names(event: &str, names: EventNames) -> Vec<&str> {
    let older = match event {
        "ReceiveAnalysisCompleted" => "AnalysisCompleted",
        "ReceiveAnalysisFailed" => "AnalysisFailed",
        "ReceiveAnalysisProgress" => "AnalysisProgress",
        _ => return vec![event],
    };
    match names {
        EventNames::Receive => vec![event],
        EventNames::Plain => vec![older],
        EventNames::Both => vec![event, older],
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shared_dto::UserId;

    use super::*;
    use crate::store::Stream;

    fn entry(payload: &str) -> LoggedEntry {
        LoggedEntry {
            notification_id: 9,
            stream: Stream::of_user(&UserId::from(42)),
            sequence: 3,
            event: "ReportReady".into(),
            payload: payload.into(),
            analysis_id: None,
            created_at: UnixMillis(0),
            trace: None,
        }
    }

    #[test]
    fn objects_carry_their_place_in_the_log_and_other_values_stay() {
        let links = Links::new(
            "https://hub.example",
            &"secret".into(),
            Duration::from_secs(1),
        );
        for (payload, sent) in [
            (
                "{\"a\":1.50}",
                "{\"notificationId\":9,\"sequence\":3,\"a\":1.50}",
            ),
            ("{}", "{\"notificationId\":9,\"sequence\":3}"),
            ("[1]", "[1]"),
            ("null", "null"),
        ] {
            assert_eq!(
                rendered(&entry(payload), &links, UnixMillis(0)).as_str(),
                sent
            );
        }
    }

    #[test]
    fn only_the_analysis_events_have_older_names() {
        let of = |event| event_names(event, EventNames::Both);
        assert_eq!(
            of("ReceiveAnalysisFailed"),
            ["ReceiveAnalysisFailed", "AnalysisFailed"]
        );
        assert_eq!(of("ReportReady"), ["ReportReady"]);
    }
}
