//! Switches in settings: on or off, as people write it.

use serde::{Deserialize, Deserializer, de::Error as _};

/// Reads a switch, for `#[serde(deserialize_with = "settings::yes_or_no")]`.
/// One from the environment is a text.
///
/// # Errors
/// When it is neither yes nor no.
pub fn yes_or_no<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Switch {
        Bool(bool),
        Number(i64),
        Text(String),
    }
    let text = match Switch::deserialize(deserializer)? {
        Switch::Bool(on) => return Ok(on),
        Switch::Number(number) => number.to_string(),
        Switch::Text(text) => text.to_ascii_lowercase(),
    };
    match text.as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(D::Error::custom("expected true or false")),
    }
}
