//! What a run found, as a table and as JSON.

mod table;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    arguments::Common,
    fail_if::{FailIf, Metric},
    latency::Percentiles,
    measure::Span,
    run::{Run, get},
};

pub(crate) use table::table;

/// The figures of a run. What a scenario does not measure is absent.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What was done.
    pub scenario: &'static str,
    /// The server.
    pub url: String,
    /// `ws`, `sse` or `lp`.
    pub transport: &'static str,
    /// `json` or `messagepack`.
    pub protocol: &'static str,
    /// Connections asked for.
    pub connections: u64,
    /// Users that they belong to.
    pub users: u64,
    /// How long was measured.
    pub seconds: f64,
    /// Connections opened.
    pub opened: u64,
    /// Connections opened a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens_per_second: Option<f64>,
    /// From due to open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opening: Option<Percentiles>,
    /// Opens, posts and invocations that failed.
    pub failed: u64,
    /// Connections that the server ended.
    pub closed: u64,
    /// Why things failed or ended, with how often.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reasons: BTreeMap<String, u64>,
    /// Posts or invocations that the server took, in the whole run.
    pub sent: u64,
    /// Messages that clients should have got of these.
    pub expected: u64,
    /// Different ones of them that came.
    pub received: u64,
    /// Delivered a second while it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages_per_second: Option<f64>,
    /// Messages that never came.
    pub lost: u64,
    /// Messages that came again.
    pub duplicates: u64,
    /// Messages that came after later ones.
    pub out_of_order: u64,
    /// From due to there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Percentiles>,
    /// Whether latencies count from when a message was due, not from when it
    /// was sent: so wherever there is a rate.
    pub from_due_time: bool,
    /// The server's side, with `--pid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerFigures>,
    /// The share of one core that this program's busiest thread used.
    pub own_busiest_thread: f64,
    /// Why the figures say little about the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub void: Option<String>,
    /// Figures of this scenario alone, with their names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub further: BTreeMap<&'static str, f64>,
    /// What was asked for by `--fail-if`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// What the server used.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerFigures {
    /// CPU time in the measured span, in seconds.
    pub cpu_seconds: f64,
    /// CPU time a delivered message, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_us_a_message: Option<f64>,
    /// CPU time an opened connection, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_us_an_open: Option<f64>,
    /// Memory before the connections, in bytes (`RssAnon`).
    pub memory_before: u64,
    /// Memory with them.
    pub memory_with: u64,
    /// Memory after they left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_after: Option<u64>,
    /// What a connection takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_a_connection: Option<f64>,
}

/// A condition and what became of it.
#[derive(Debug, Serialize)]
pub struct Condition {
    /// As it was given.
    pub condition: String,
    /// The figure; absent where the run did not measure it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Whether the run has failed by it. What was not measured has failed.
    pub failed: bool,
}

impl Report {
    pub(crate) fn new(scenario: &'static str, common: &Common) -> Self {
        Self {
            scenario,
            url: common.url_text(),
            transport: common.transport.name(),
            protocol: common.protocol.name(),
            connections: common.connections,
            users: common.users(),
            ..Self::default()
        }
    }

    /// Takes over what the run counted.
    pub(crate) fn take_counts(&mut self, run: &Run) {
        self.opened = get(&run.counts.opened);
        self.failed = get(&run.counts.failed);
        self.closed = get(&run.counts.closed);
        self.sent = get(&run.counts.sent);
        self.reasons = run.failures();
        self.opening = run.opening.percentiles();
        self.latency = run.latency.percentiles();
    }

    /// Takes over the span in which messages were measured.
    pub(crate) fn take_span(&mut self, span: &Span) {
        self.seconds = span.seconds;
        self.messages_per_second = Some(span.received as f64 / span.seconds);
        self.void = span.void();
        self.own_busiest_thread = span.own_share;
        if let Some(cpu) = span.server_cpu {
            let server = self.server.get_or_insert_default();
            server.cpu_seconds = cpu;
            server.cpu_us_a_message = (span.received > 0).then(|| cpu * 1e6 / span.received as f64);
        }
    }

    /// Takes over the span in which connections were opened.
    pub(crate) fn take_opening(&mut self, span: &Span) {
        self.opens_per_second = Some(span.opened as f64 / span.seconds.max(1e-9));
        if let (Some(cpu), true) = (span.server_cpu, span.opened > 0) {
            let server = self.server.get_or_insert_default();
            server.cpu_us_an_open = Some(cpu * 1e6 / span.opened as f64);
        }
        // A crowd is opened as quickly as it goes where that is not what is measured.
        self.own_busiest_thread = self.own_busiest_thread.max(span.own_share);
    }

    /// Takes over the server's memory before and with `connections`.
    pub(crate) fn take_memory(&mut self, before: Option<u64>, with: Option<u64>, connections: u64) {
        if let (Some(before), Some(with)) = (before, with) {
            let server = self.server.get_or_insert_default();
            server.memory_before = before;
            server.memory_with = with;
            server.memory_a_connection =
                (connections > 0).then(|| (with as f64 - before as f64) / connections as f64);
        }
    }

    /// Judges the run by `conditions`.
    pub(crate) fn judge(&mut self, conditions: &[FailIf]) {
        let judged = conditions.iter().map(|condition| {
            let value = self.value(condition.metric);
            Condition {
                condition: condition.to_string(),
                value: value.map(|value| condition.written(value)),
                failed: value.is_none_or(|value| condition.is_met(value)),
            }
        });
        self.conditions = judged.collect();
    }

    /// Whether a condition is met upon which the run has failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.conditions.iter().any(|condition| condition.failed)
    }

    fn value(&self, metric: Metric) -> Option<f64> {
        let latency = self.latency.as_ref().or(self.opening.as_ref());
        let server = self.server.as_ref();
        match metric {
            Metric::Percentile(percent) => latency.map(|all| all.at(percent)),
            Metric::Mean => latency.map(|all| all.mean_us / 1e6),
            Metric::Max => latency.map(|all| all.max_us / 1e6),
            Metric::Loss => (self.expected > 0).then(|| self.lost as f64 / self.expected as f64),
            Metric::Lost => Some(self.lost as f64),
            Metric::Duplicates => Some(self.duplicates as f64),
            Metric::OutOfOrder => Some(self.out_of_order as f64),
            Metric::Failed => Some(self.failed as f64),
            Metric::Closed => Some(self.closed as f64),
            Metric::Opens => self.opens_per_second,
            Metric::Messages => self.messages_per_second,
            Metric::CpuMessage => Some(server?.cpu_us_a_message? / 1e6),
            Metric::CpuOpen => Some(server?.cpu_us_an_open? / 1e6),
            Metric::MemoryConnection => server?.memory_a_connection,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_fails_its_condition() {
        let mut report = Report {
            lost: 1,
            expected: 100,
            ..Report::default()
        };
        let conditions = ["lost>1", "loss>0.5%", "p99>5ms"].map(|text| text.parse().unwrap());
        report.judge(&conditions);
        let failed: Vec<bool> = report.conditions.iter().map(|each| each.failed).collect();
        assert_eq!(failed, [false, true, true]);
        assert_eq!(report.conditions[1].value.as_deref(), Some("1.0000%"));
        assert!(report.conditions[2].value.is_none() && report.has_failed());
    }
}
