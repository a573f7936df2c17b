//! .NET's value types as its JSON serializer reads and writes them. Owns their
//! text forms; knows nothing of hubs.

mod number;
mod date;
mod span;
mod text;
mod thing;

pub(crate) use date::{DateTime, DateTimeOffset};
pub(crate) use number::{Color, Decimal, Double, Float};
pub(crate) use span::TimeSpan;
pub(crate) use text::{Bytes, Char, Dictionary, Guid};
pub(crate) use thing::Thing;

use serde::de::{Deserialize, Deserializer, Error as _};

/// Reads a value from a JSON string by `parse`.
fn from_text<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    what: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| D::Error::custom(format_args!("not a {what}")))
}

/// A run of one to `most` ASCII digits in front of `text`, and what follows.
fn digits(text: &str, most: usize) -> Option<(i64, &str)> {
    let count = text
        .bytes()
        .take(most)
        .take_while(u8::is_ascii_digit)
        .count();
    let (number, rest) = text.split_at(count);
    Some((number.parse().ok()?, rest))
}

/// Exactly `count` ASCII digits in front of `text`, and what follows.
fn exact_digits(text: &str, count: usize) -> Option<(i64, &str)> {
    let (_, rest) = digits(text, count)?;
    (text.len() - rest.len() == count).then_some(digits(text, count)?)
}

/// A fraction of a second of up to `most` digits as ticks of 100 ns; further
/// digits than seven are cut off.
fn fraction(text: &str, most: usize) -> Option<(i64, &str)> {
    let count = text.bytes().take_while(u8::is_ascii_digit).count();
    if count == 0 || count > most {
        return None;
    }
    let (digits, rest) = text.split_at(count);
    let ticks: String = digits.chars().chain("0000000".chars()).take(7).collect();
    Some((ticks.parse().ok()?, rest))
}
