//! What a run found, as a table.

use std::{fmt, time::Duration};

use super::{Plan, chaos::History, load::Load, verdict::Findings};

/// How many problems are spelt out.
const SHOWN: usize = 30;

/// The result of a run.
#[derive(Debug)]
pub struct Report {
    pub(super) plan: Plan,
    pub(super) history: History,
    pub(super) load: Load,
    pub(super) worked: Duration,
    pub(super) settled: bool,
    pub(super) total: Duration,
    pub(super) findings: Findings,
}

impl Report {
    /// Whether every promise was kept.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.settled && self.findings.are_good() && self.history.ended.is_empty()
    }

    fn faults(&self) -> String {
        let faults = self.history.faults.iter();
        let faults = faults
            .map(|((target, deed), times)| format!("{} {} {times}", target.name(), deed.name()));
        faults.collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            plan,
            history,
            findings,
            ..
        } = self;
        let committed: usize = history.faults.values().sum();
        let rows = [
            ("parts, seed", format!("{}, {}", plan.set.name(), plan.seed)),
            (
                "analyses accepted",
                (plan.analyses + plan.built_in).to_string(),
            ),
            (
                "of them with the built-in analyser",
                plan.built_in.to_string(),
            ),
            (
                "ended Completed, Failed",
                format!("{}, {}", findings.completed, findings.failed),
            ),
            ("notifications accepted", plan.notifications.to_string()),
            ("of them in the log", findings.notifications.to_string()),
            ("requests sent again", self.load.repeated.to_string()),
            ("users", plan.users.to_string()),
            ("client connections", findings.connections.to_string()),
            ("received by clients", findings.received.to_string()),
            (
                "repeats, recognised by sequence",
                findings.repeats.to_string(),
            ),
            ("faults", committed.to_string()),
            ("which", self.faults()),
            (
                "under faults",
                format!("{:.0} s", self.worked.as_secs_f64()),
            ),
            ("in all", format!("{:.0} s", self.total.as_secs_f64())),
            (
                "everything arrived in time",
                if self.settled { "yes" } else { "**no**" }.to_owned(),
            ),
            (
                "processes that ended by themselves",
                history.ended.len().to_string(),
            ),
            ("**lost**", findings.lost.len().to_string()),
            ("**twice in the log**", findings.twice.len().to_string()),
            ("**out of order**", findings.disordered.len().to_string()),
            (
                "**another's, or never accepted**",
                findings.strange.len().to_string(),
            ),
        ];
        writeln!(f, "| | |\n|---|---|")?;
        for (name, value) in rows {
            writeln!(f, "| {name} | {value} |")?;
        }
        for problem in findings.problems().chain(&history.ended).take(SHOWN) {
            writeln!(f, "- {problem}")?;
        }
        Ok(())
    }
}
