//! Numbers whose text matters: what .NET accepts is wider or narrower than
//! what serde's number types accept.

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::value::RawValue;
use signalr::protocol::RawJson;

/// The text of a JSON number.
fn number_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let json = RawJson::deserialize(deserializer)?;
    let text = json.as_str();
    match text.bytes().next() {
        Some(b'-' | b'0'..=b'9') => Ok(text.to_owned()),
        _ => Err(D::Error::custom("not a number")),
    }
}

/// `double`: a number out of range becomes an infinity, which has no JSON form.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Double(pub(crate) f64);

impl<'de> Deserialize<'de> for Double {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        number_text(deserializer)?
            .parse()
            .map(Self)
            .map_err(D::Error::custom)
    }
}

impl Serialize for Double {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

/// `float`, likewise.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Float(pub(crate) f32);

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        number_text(deserializer)?
            .parse()
            .map(Self)
            .map_err(D::Error::custom)
    }
}

impl Serialize for Float {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f32(self.0)
    }
}

/// `decimal`: 96 bits and a scale of up to 28, which is kept (`1.50`).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Decimal {
    negative: bool,
    digits: u128,
    scale: usize,
}

const LARGEST: u128 = (1 << 96) - 1;
const MOST_SCALE: i64 = 28;

impl Decimal {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut scale = i64::try_from(fraction.len()).ok()? - exponent;
        let mut digits: u128 = format!("{whole}{fraction}").parse().ok()?;
        while scale < 0 && digits != 0 {
            digits = digits.checked_mul(10)?;
            scale += 1;
        }
        while scale > MOST_SCALE {
            digits = (digits + 5) / 10;
            scale -= 1;
        }
        let scale = usize::try_from(scale).unwrap_or(0);
        (digits <= LARGEST).then_some(Self {
            negative,
            digits,
            scale,
        })
    }

    fn text(self) -> String {
        let sign = if self.negative && self.digits != 0 {
            "-"
        } else {
            ""
        };
        let digits = format!("{:0>width$}", self.digits, width = self.scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - self.scale);
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{sign}{whole}{point}{fraction}")
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = number_text(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not a decimal"))
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.text())
            .map_err(S::Error::custom)?
            .serialize(serializer)
    }
}

/// `enum Color { Red, Green, Blue }`: a number, also one without a name.
#[derive(Debug, Clone, Copy, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub(crate) struct Color(pub(crate) i32);
