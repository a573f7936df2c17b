//! `TimeSpan` in its constant format: `[-][d.]hh:mm:ss[.fffffff]`.

use std::fmt;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use super::{digits, fraction, from_text};

const SECOND: i64 = 10_000_000;
const DAY: i64 = 24 * 60 * 60 * SECOND;

/// Ticks of 100 ns.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TimeSpan(i64);

impl TimeSpan {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (sign, text) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text),
        };
        let (first, rest) = digits(text, 8)?;
        // A lone number is days.
        if rest.is_empty() {
            return sum(sign, first, [0, 0, 0], 0);
        }
        let (days, (hours, rest)) = match rest.strip_prefix('.') {
            Some(rest) => (first, digits(rest, 2)?),
            None => (0, (first, rest)),
        };
        let (minutes, mut rest) = digits(rest.strip_prefix(':')?, 2)?;
        let (mut seconds, mut ticks) = (0, 0);
        if let Some(text) = rest.strip_prefix(':') {
            (seconds, rest) = digits(text, 2)?;
            if let Some(text) = rest.strip_prefix('.') {
                (ticks, rest) = fraction(text, 7)?;
            }
        }
        if !rest.is_empty() {
            return None;
        }
        sum(sign, days, [hours, minutes, seconds], ticks)
    }
}

fn sum(sign: i64, days: i64, time: [i64; 3], ticks: i64) -> Option<TimeSpan> {
    let [hours, minutes, seconds] = time;
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let whole = days.checked_mul(DAY)?;
    let rest = ((hours * 60 + minutes) * 60 + seconds) * SECOND + ticks;
    whole.checked_add(rest).map(|ticks| TimeSpan(sign * ticks))
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ticks = self.0.abs();
        f.write_str(if self.0 < 0 { "-" } else { "" })?;
        if ticks >= DAY {
            write!(f, "{}.", ticks / DAY)?;
        }
        let seconds = ticks % DAY / SECOND;
        write!(
            f,
            "{:02}:{:02}:{:02}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        )?;
        match ticks % SECOND {
            0 => Ok(()),
            fraction => write!(f, ".{fraction:07}"),
        }
    }
}

impl<'de> Deserialize<'de> for TimeSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "time span", Self::parse)
    }
}

impl Serialize for TimeSpan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
