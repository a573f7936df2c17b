//! `--fail-if "p99>5ms"`: conditions on a run's figures, for a pipeline.
//!
//! It knows which figures there are and their units. It never measures one.

use std::{fmt, str::FromStr};

/// A figure of a run that a condition may name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Metric {
    /// The latency that so many of a hundred messages do not exceed.
    Percentile(f64),
    /// The mean latency.
    Mean,
    /// The longest latency.
    Max,
    /// Messages that never came, as a share of those expected.
    Loss,
    /// Messages that never came.
    Lost,
    /// Messages that came twice.
    Duplicates,
    /// Messages that came after later ones.
    OutOfOrder,
    /// Connections that could not be opened, and calls that were refused.
    Failed,
    /// Connections that the server ended.
    Closed,
    /// Connections opened a second.
    Opens,
    /// Messages delivered a second.
    Messages,
    /// The server's CPU time a message.
    CpuMessage,
    /// The server's CPU time an opened connection.
    CpuOpen,
    /// The server's memory a connection.
    MemoryConnection,
}

/// What a figure counts, and so which units it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Time,
    Share,
    Count,
    Rate,
    Bytes,
}

/// How a figure is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Above,
    AtLeast,
    Below,
    AtMost,
}

/// A condition upon which a run has failed.
#[derive(Debug, Clone, PartialEq)]
pub struct FailIf {
    /// What is compared.
    pub metric: Metric,
    comparison: Comparison,
    /// In the metric's base unit: seconds, share, count, a second, bytes.
    limit: f64,
    text: String,
}

/// Why a text is no condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FailIfError {
    /// There is nothing to compare with.
    #[error(
        "{0:?} compares nothing; accepted: a figure, then > >= < or <=, then a value, as in p99>5ms"
    )]
    NoComparison(String),
    /// No such figure.
    #[error("there is no figure {0:?}; accepted: {list}", list = NAMES)]
    UnknownMetric(String),
    /// A percentile that is none.
    #[error("{0:?} is no percentile; accepted: p0 to p100, such as p50, p99 or p99.9")]
    NoPercentile(String),
    /// No number, or one of another kind.
    #[error("{value:?} is no value of {metric}; accepted: {accepted}")]
    Value {
        /// The figure's name.
        metric: String,
        /// What was given.
        value: String,
        /// What it takes.
        accepted: &'static str,
    },
}

const NAMES: &str = "p<percent> (p50, p99, p99.9), mean, max, loss, lost, duplicates, out_of_order, \
     failed, closed, opens, messages, cpu_message, cpu_open, memory_connection";

impl FromStr for FailIf {
    type Err = FailIfError;

    fn from_str(text: &str) -> Result<Self, FailIfError> {
        let none = || FailIfError::NoComparison(text.to_owned());
        let at = text.find(['<', '>']).ok_or_else(none)?;
        let (name, rest) = (text[..at].trim(), &text[at..]);
        let (comparison, value) = match (rest.strip_prefix(">="), rest.strip_prefix("<=")) {
            (Some(value), _) => (Comparison::AtLeast, value),
            (_, Some(value)) => (Comparison::AtMost, value),
            _ if rest.starts_with('>') => (Comparison::Above, &rest[1..]),
            _ => (Comparison::Below, &rest[1..]),
        };
        if name.is_empty() {
            return Err(none());
        }
        let metric = Metric::parse(name)?;
        let unit = metric.unit();
        let limit = unit.read(value.trim()).ok_or_else(|| FailIfError::Value {
            metric: name.to_owned(),
            value: value.trim().to_owned(),
            accepted: unit.accepted(),
        })?;
        Ok(Self {
            metric,
            comparison,
            limit,
            text: text.trim().to_owned(),
        })
    }
}

impl FailIf {
    /// Whether a run with this value of the figure has failed.
    #[must_use]
    pub fn is_met(&self, value: f64) -> bool {
        match self.comparison {
            Comparison::Above => value > self.limit,
            Comparison::AtLeast => value >= self.limit,
            Comparison::Below => value < self.limit,
            Comparison::AtMost => value <= self.limit,
        }
    }

    /// A value of the figure, as it is written in a condition.
    #[must_use]
    pub fn written(&self, value: f64) -> String {
        match self.metric.unit() {
            Unit::Time => format!("{:.3}ms", value * 1e3),
            Unit::Share => format!("{:.4}%", value * 100.0),
            Unit::Count | Unit::Rate => format!("{value:.0}"),
            Unit::Bytes => format!("{value:.0}B"),
        }
    }
}

impl fmt::Display for FailIf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Metric {
    fn parse(name: &str) -> Result<Self, FailIfError> {
        let plain = match name {
            "mean" => Self::Mean,
            "max" => Self::Max,
            "loss" => Self::Loss,
            "lost" => Self::Lost,
            "duplicates" => Self::Duplicates,
            "out_of_order" => Self::OutOfOrder,
            "failed" => Self::Failed,
            "closed" => Self::Closed,
            "opens" => Self::Opens,
            "messages" => Self::Messages,
            "cpu_message" => Self::CpuMessage,
            "cpu_open" => Self::CpuOpen,
            "memory_connection" => Self::MemoryConnection,
            _ => return Self::percentile(name),
        };
        Ok(plain)
    }

    fn percentile(name: &str) -> Result<Self, FailIfError> {
        let digits = name.strip_prefix('p');
        let Some(digits) = digits.filter(|digits| digits.starts_with(|c: char| c.is_ascii_digit()))
        else {
            return Err(FailIfError::UnknownMetric(name.to_owned()));
        };
        let percent = plain_number(digits).filter(|percent| (0.0..=100.0).contains(percent));
        percent
            .map(Self::Percentile)
            .ok_or_else(|| FailIfError::NoPercentile(name.to_owned()))
    }

    fn unit(self) -> Unit {
        match self {
            Self::Percentile(_) | Self::Mean | Self::Max | Self::CpuMessage | Self::CpuOpen => {
                Unit::Time
            }
            Self::Loss => Unit::Share,
            Self::Lost | Self::Duplicates | Self::OutOfOrder | Self::Failed | Self::Closed => {
                Unit::Count
            }
            Self::Opens | Self::Messages => Unit::Rate,
            Self::MemoryConnection => Unit::Bytes,
        }
    }
}

impl Unit {
    fn accepted(self) -> &'static str {
        match self {
            Self::Time => "a time with its unit: ns, us, ms or s (5ms)",
            Self::Share => "a share: 0.1%, or a number from 0 to 1",
            Self::Count => "a number (0)",
            Self::Rate => "a number a second (1000 or 1000/s)",
            Self::Bytes => "an amount with its unit: B, KB, KiB, MB or MiB (4KB)",
        }
    }

    /// The units with their factors; the first that fits counts, so longer ones come first.
    fn units(self) -> &'static [(&'static str, f64)] {
        match self {
            Self::Time => &[
                ("ns", 1e-9),
                ("us", 1e-6),
                ("µs", 1e-6),
                ("ms", 1e-3),
                ("s", 1.0),
            ],
            Self::Share => &[("%", 0.01), ("", 1.0)],
            Self::Count => &[("", 1.0)],
            Self::Rate => &[("/s", 1.0), ("", 1.0)],
            Self::Bytes => &[
                ("KiB", 1024.0),
                ("MiB", 1_048_576.0),
                ("KB", 1e3),
                ("MB", 1e6),
                ("B", 1.0),
            ],
        }
    }

    fn read(self, text: &str) -> Option<f64> {
        let mut units = self.units().iter();
        let value = units.find_map(|(unit, factor)| {
            let number = plain_number(text.strip_suffix(unit)?.trim_end())?;
            Some(number * factor)
        })?;
        (self != Self::Share || value <= 1.0).then_some(value)
    }
}

/// Digits with at most one point: no sign, no exponent, no `inf`.
fn plain_number(text: &str) -> Option<f64> {
    let digits = |c: char| c.is_ascii_digit() || c == '.';
    (text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(digits))
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn met(condition: &str, value: f64) -> bool {
        condition.parse::<FailIf>().unwrap().is_met(value)
    }

    #[test]
    fn values_are_read_in_their_units() {
        assert!(met("p99>5ms", 0.0051) && !met("p99>5ms", 0.005));
        assert!(met(" p99.9 >= 250 us ", 0.00025) && !met("p99.9>=250us", 0.00024));
        assert!(met("max>1s", 1.5) && !met("mean<1ns", 1e-9));
        assert!(met("loss>0.1%", 0.0011) && !met("loss>0.5", 0.4));
        assert!(met("messages<1000", 999.0) && !met("opens<1000/s", 1000.0));
        assert!(met("memory_connection>4KB", 4001.0) && !met("memory_connection>4KiB", 4096.0));
        assert!(met("duplicates>0", 1.0) && met("out_of_order<=0", 0.0));
    }

    #[test]
    fn errors_say_what_is_accepted() {
        let error = |text: &str| text.parse::<FailIf>().unwrap_err().to_string();
        for (text, said) in [
            ("", "then > >= < or <="),
            ("p99", "then > >= < or <="),
            (">5ms", "then > >= < or <="),
            ("p99=5ms", "then > >= < or <="),
            ("latency>5ms", "p<percent> (p50, p99, p99.9), mean"),
            ("P99>5ms", "accepted: p<percent>"),
            ("p101>5ms", "p0 to p100"),
            ("p9.9.9>5ms", "p0 to p100"),
            ("p99>5", "a time with its unit: ns, us, ms or s (5ms)"),
            ("p99>5MB", "a time with its unit"),
            ("p99>ms", "a time with its unit"),
            ("p99>-5ms", "a time with its unit"),
            ("p99>1e3ms", "a time with its unit"),
            ("p99>=>5ms", "a time with its unit"),
            ("p99>5ms extra", "a time with its unit"),
            ("loss>101%", "a share: 0.1%"),
            ("lost>1%", "a number (0)"),
            ("messages<1k", "1000/s"),
            ("memory_connection>4", "B, KB, KiB"),
        ] {
            assert!(error(text).contains(said), "{text}: {}", error(text));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_condition_or_an_error(text in ".{0,30}") {
            let _ = text.parse::<FailIf>();
        }

        #[test]
        fn a_condition_and_its_opposite_part_all_values(limit in 0_u32..100_000, value in 0_u32..100_000) {
            let (limit, value) = (limit, f64::from(value));
            let holds = |comparison: &str| met(&format!("lost{comparison}{limit}"), value);
            prop_assert_ne!(holds(">"), holds("<="));
            prop_assert_ne!(holds("<"), holds(">="));
            prop_assert_eq!(holds(">") || holds("<"), value != f64::from(limit));
        }
    }
}
