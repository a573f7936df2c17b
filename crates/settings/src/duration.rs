//! Times in settings: seconds as a number, or text with a unit.

use std::{fmt, time::Duration};

use serde::{Deserializer, de};

/// The longest time that a setting may hold: a hundred years keep every sum in range.
const LONGEST: f64 = 100.0 * 365.0 * 86_400.0;

/// Reads a time, for `#[serde(with = "duration")]`.
///
/// # Errors
/// When it is neither seconds nor text with a unit, or is out of range.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    struct Visitor;

    impl de::Visitor<'_> for Visitor {
        type Value = Duration;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(
                "seconds, or text with a unit such as \"500ms\", \"15s\", \"10m\", \"12h\", \"7d\"",
            )
        }

        fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Duration, E> {
            let out_of_range = || E::invalid_value(de::Unexpected::Signed(seconds), &self);
            u32::try_from(seconds)
                .map_err(|_| out_of_range())
                .and_then(|s| self.visit_f64(f64::from(s)))
        }

        fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Duration, E> {
            self.visit_i64(i64::try_from(seconds).unwrap_or(i64::MAX))
        }

        fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Duration, E> {
            if (0.0..=LONGEST).contains(&seconds) {
                Ok(Duration::from_secs_f64(seconds))
            } else {
                Err(E::invalid_value(de::Unexpected::Float(seconds), &self))
            }
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
            let invalid = || E::invalid_value(de::Unexpected::Str(text), &self);
            let (number, unit) = split_unit(text.trim()).ok_or_else(invalid)?;
            self.visit_f64(number * unit)
        }
    }

    deserializer.deserialize_any(Visitor)
}

/// The number and what its unit is in seconds.
fn split_unit(text: &str) -> Option<(f64, f64)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = match unit.trim() {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    Some((number.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Holder {
        #[serde(with = "super")]
        time: Duration,
    }

    fn parse(json: &str) -> Option<Duration> {
        serde_json::from_str::<Holder>(&format!("{{\"time\":{json}}}"))
            .ok()
            .map(|h| h.time)
    }

    #[test]
    fn seconds_and_units_are_read_and_nonsense_is_not() {
        for (json, seconds) in [
            ("15", 15.0),
            ("0", 0.0),
            ("0.25", 0.25),
            ("\"15\"", 15.0),
            ("\"500ms\"", 0.5),
            ("\"10m\"", 600.0),
            ("\"12h\"", 43_200.0),
            ("\"7d\"", 604_800.0),
        ] {
            assert_eq!(
                parse(json),
                Some(Duration::from_secs_f64(seconds)),
                "{json}"
            );
        }
        for json in [
            "-1",
            "\"-1s\"",
            "\"\"",
            "\"s\"",
            "\"1w\"",
            "1e300",
            "null",
            "\"1.2.3s\"",
        ] {
            assert_eq!(parse(json), None, "{json}");
        }
    }
}
