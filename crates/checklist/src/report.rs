//! The report: its items, as a table for people and as JSON for pipelines.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

/// What came of looking at one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As it should be.
    Pass,
    /// It works, and somebody should look.
    Warn,
    /// It does not work, or is not safe.
    Fail,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
        })
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// What, in a word or two; the same in every run.
    pub name: String,
    /// How it is.
    pub outcome: Outcome,
    /// What was found.
    pub found: String,
    /// What to do, where something is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Item {
    /// It is as it should be.
    #[must_use]
    pub fn pass(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            outcome: Outcome::Pass,
            found: found.into(),
            advice: None,
        }
    }

    /// It works, and `advice` would make it better.
    #[must_use]
    pub fn warn(
        name: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            outcome: Outcome::Warn,
            advice: Some(advice.into()),
            ..Self::pass(name, found)
        }
    }

    /// It does not work, until `advice` is followed.
    #[must_use]
    pub fn fail(
        name: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            outcome: Outcome::Fail,
            ..Self::warn(name, found, advice)
        }
    }
}

/// Everything that was looked at, in the order of looking.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report(Vec<Item>);

impl Report {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what came of looking at one thing.
    pub fn add(&mut self, item: Item) {
        self.0.push(item);
    }

    /// The items.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.0
    }

    /// The item `name`.
    #[must_use]
    pub fn item(&self, name: &str) -> Option<&Item> {
        self.0.iter().find(|item| item.name == name)
    }

    /// The worst of the outcomes.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let outcomes = self.0.iter().map(|item| item.outcome);
        outcomes.max().unwrap_or(Outcome::Pass)
    }

    /// Whether a pipeline may go on: nothing has failed.
    #[must_use]
    pub fn may_go_on(&self) -> bool {
        self.outcome() < Outcome::Fail
    }

    /// The report for machines.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({ "outcome": self.outcome(), "items": self.0 })
    }

    fn count(&self, outcome: Outcome) -> usize {
        let of = self.0.iter().filter(|item| item.outcome == outcome);
        of.count()
    }
}

impl Extend<Item> for Report {
    fn extend<T: IntoIterator<Item = Item>>(&mut self, items: T) {
        self.0.extend(items);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.iter().map(|item| item.name.chars().count()).max();
        let width = width.unwrap_or(0);
        for item in &self.0 {
            let Item {
                name,
                outcome,
                found,
                advice,
            } = item;
            writeln!(f, "{outcome}  {name:<width$}  {found}")?;
            if let Some(advice) = advice {
                writeln!(f, "      {:width$}  -> {advice}", "")?;
            }
        }
        let (pass, warn) = (self.count(Outcome::Pass), self.count(Outcome::Warn));
        let fail = self.count(Outcome::Fail);
        write!(f, "{pass} passed, {warn} to look at, {fail} failed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_item_decides_and_advice_stands_below() {
        let mut report = Report::new();
        assert!(report.may_go_on());
        report.add(Item::pass("clock", "it agrees"));
        report.add(Item::warn("allow-list", "empty", "set it"));
        assert!(report.may_go_on());
        report.add(Item::fail("database", "no answer", "start it"));
        assert!(!report.may_go_on());
        assert_eq!(
            report.to_string(),
            "pass  clock       it agrees\n\
             WARN  allow-list  empty\n\
             \u{20}                 -> set it\n\
             FAIL  database    no answer\n\
             \u{20}                 -> start it\n\
             1 passed, 1 to look at, 1 failed"
        );
        let json = report.to_json();
        assert_eq!(json["outcome"], "fail");
        assert_eq!(json["items"][1]["advice"], "set it");
        assert!(json["items"][0].get("advice").is_none());
    }
}
