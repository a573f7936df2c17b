//! `DateTime` and `DateTimeOffset`: ISO 8601-1, ticks of 100 ns since the year 1.

use std::fmt;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use super::{exact_digits, fraction, from_text};

const SECOND: i64 = 10_000_000;
const MINUTE: i64 = 60 * SECOND;
const DAY: i64 = 24 * 60 * MINUTE;

/// `DateTime`: with a zone it is turned into the server's, which is UTC here.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct DateTime {
    ticks: i64,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, Default)]
enum Kind {
    #[default]
    Unspecified,
    Utc,
    Local,
}

/// `DateTimeOffset`: keeps its zone.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct DateTimeOffset {
    local_ticks: i64,
    offset_minutes: i64,
}

#[derive(Debug, Clone, Copy)]
enum Zone {
    None,
    Utc,
    Offset(i64),
}

impl DateTime {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (ticks, zone) = parse(text)?;
        Some(match zone {
            Zone::None => Self {
                ticks,
                kind: Kind::Unspecified,
            },
            Zone::Utc => Self {
                ticks,
                kind: Kind::Utc,
            },
            Zone::Offset(minutes) => Self {
                ticks: ticks - minutes * MINUTE,
                kind: Kind::Local,
            },
        })
    }
}

impl DateTimeOffset {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (local_ticks, zone) = parse(text)?;
        let offset_minutes = match zone {
            Zone::None | Zone::Utc => 0,
            Zone::Offset(minutes) => minutes,
        };
        Some(Self {
            local_ticks,
            offset_minutes,
        })
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_date(f, self.ticks)?;
        f.write_str(match self.kind {
            Kind::Unspecified => "",
            Kind::Utc => "Z",
            Kind::Local => "+00:00",
        })
    }
}

impl fmt::Display for DateTimeOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_date(f, self.local_ticks)?;
        let sign = if self.offset_minutes < 0 { '-' } else { '+' };
        let minutes = self.offset_minutes.abs();
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// `yyyy-MM-dd[THH:mm[:ss[.f]]][Z|+hh:mm]`; a zone needs a time.
fn parse(text: &str) -> Option<(i64, Zone)> {
    let (year, rest) = exact_digits(text, 4)?;
    let (month, rest) = exact_digits(rest.strip_prefix('-')?, 2)?;
    let (day, rest) = exact_digits(rest.strip_prefix('-')?, 2)?;
    let days = days_before(year, month, day)?;
    if rest.is_empty() {
        return Some((days * DAY, Zone::None));
    }
    let (hour, rest) = exact_digits(rest.strip_prefix('T')?, 2)?;
    let (minute, mut rest) = exact_digits(rest.strip_prefix(':')?, 2)?;
    let (mut second, mut ticks) = (0, 0);
    if let Some(seconds) = rest.strip_prefix(':') {
        (second, rest) = exact_digits(seconds, 2)?;
        if let Some(digits) = rest.strip_prefix('.') {
            (ticks, rest) = fraction(digits, 16)?;
        }
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let ticks = days * DAY + (hour * 60 + minute) * MINUTE + second * SECOND + ticks;
    Some((ticks, zone(rest)?))
}

fn zone(text: &str) -> Option<Zone> {
    let (sign, text) = match text.bytes().next() {
        None => return Some(Zone::None),
        Some(b'Z') if text.len() == 1 => return Some(Zone::Utc),
        Some(b'+') => (1, &text[1..]),
        Some(b'-') => (-1, &text[1..]),
        Some(_) => return None,
    };
    let (hours, rest) = exact_digits(text, 2)?;
    let minutes = match rest {
        "" => 0,
        rest => match exact_digits(rest.strip_prefix(':')?, 2)? {
            (minutes @ 0..60, "") => minutes,
            _ => return None,
        },
    };
    let offset = sign * (hours * 60 + minutes);
    (offset.abs() <= 14 * 60).then_some(Zone::Offset(offset))
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn month_length(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_before_year(year: i64) -> i64 {
    let past = year - 1;
    past * 365 + past / 4 - past / 100 + past / 400
}

fn days_before(year: i64, month: i64, day: i64) -> Option<i64> {
    if year == 0 || !(1..=12).contains(&month) || day == 0 || day > month_length(year, month) {
        return None;
    }
    let months: i64 = (1..month).map(|month| month_length(year, month)).sum();
    Some(days_before_year(year) + months + day - 1)
}

fn write_date(f: &mut fmt::Formatter<'_>, ticks: i64) -> fmt::Result {
    let mut days = ticks.div_euclid(DAY);
    let time = ticks.rem_euclid(DAY);
    let mut year = days / 366 + 1;
    while days_before_year(year + 1) <= days {
        year += 1;
    }
    days -= days_before_year(year);
    let mut month = 1;
    while days >= month_length(year, month) {
        days -= month_length(year, month);
        month += 1;
    }
    let (hour, minute) = (time / (60 * MINUTE), time / MINUTE % 60);
    let second = time / SECOND % 60;
    write!(
        f,
        "{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}",
        days + 1
    )?;
    match time % SECOND {
        0 => Ok(()),
        fraction => write!(f, ".{}", format!("{fraction:07}").trim_end_matches('0')),
    }
}

macro_rules! as_text {
    ($type:ty, $what:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                from_text(deserializer, $what, Self::parse)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

as_text!(DateTime, "date");
as_text!(DateTimeOffset, "date with an offset");
