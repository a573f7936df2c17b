//! The settings as they are in effect, each with where it came from, fit to be
//! shown: secrets are masked, and of addresses only what cannot be a password.

use std::fmt;

use figment::value::Value;

use crate::variables::Kind;

/// One setting as it is in effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveSetting {
    /// Its name, e.g. `server.port`.
    pub key: String,
    /// Its value as TOML writes it, masked; none where it is not set.
    pub value: Option<String>,
    /// Where it came from.
    pub source: String,
    /// The variable that sets it.
    pub variable: Option<&'static str>,
}

/// All settings as they are in effect, in the order of the service's sections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective(pub(crate) Vec<EffectiveSetting>);

impl Effective {
    /// One by one.
    #[must_use]
    pub fn settings(&self) -> &[EffectiveSetting] {
        &self.0
    }
}

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut section = None;
        for setting in &self.0 {
            let (of, name) = match setting.key.split_once('.') {
                Some((of, name)) => (of, name),
                None => ("", setting.key.as_str()),
            };
            if !of.is_empty() && section != Some(of) {
                writeln!(f, "\n[{of}]")?;
            }
            section = Some(of);
            let line = match &setting.value {
                Some(value) => format!("{name} = {value}"),
                None => format!("# {name} is not set"),
            };
            match setting.variable {
                Some(variable) => writeln!(f, "{line:<48} # {} [{variable}]", setting.source)?,
                None => writeln!(f, "{line:<48} # {}", setting.source)?,
            }
        }
        Ok(())
    }
}

/// `value` as it may be shown.
pub(crate) fn shown(value: &Value, kind: Option<Kind>) -> String {
    match kind {
        Some(Kind::Secret) => masked(value),
        Some(Kind::Address) => value
            .as_str()
            .and_then(origin)
            .map_or_else(|| masked(value), |origin| quoted(&origin)),
        _ => plain(value),
    }
}

/// The length says whether it is the right one, and no more.
fn masked(value: &Value) -> String {
    let length = value.as_str().map_or(0, |text| text.chars().count());
    format!("\"********\" ({length} characters)")
}

/// Scheme, host and port; a path or a query may hold a key.
fn origin(address: &str) -> Option<String> {
    let (scheme, rest) = address.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, more) = rest.split_at(end);
    let host = authority.rsplit('@').next()?;
    let more = if more.trim_end_matches('/').is_empty() {
        ""
    } else {
        "/..."
    };
    Some(format!("{scheme}://{host}{more}"))
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(_, text) => quoted(text),
        Value::Array(_, items) => {
            let items: Vec<String> = items.iter().map(plain).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Bool(_, on) => on.to_string(),
        Value::Num(_, number) => match (number.to_i128(), number.to_f64()) {
            (Some(whole), _) => whole.to_string(),
            (None, Some(broken)) => broken.to_string(),
            (None, None) => number.to_u128().map_or_else(String::new, |n| n.to_string()),
        },
        _ => String::new(),
    }
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_addresses_are_cut() {
        let show = |text: &str, kind| shown(&Value::from(text), kind);
        assert_eq!(show("abc", None), "\"abc\"");
        assert_eq!(
            show("hidden", Some(Kind::Secret)),
            "\"********\" (6 characters)"
        );
        for (address, expected) in [
            ("https://hub:8080", "\"https://hub:8080\""),
            ("https://me:hidden@hub/", "\"https://hub\""),
            (
                "https://hub/webhook/hidden?key=hidden",
                "\"https://hub/...\"",
            ),
            ("https://me:hi@dden@hub/x", "\"https://hub/...\""),
            ("hidden", "\"********\" (6 characters)"),
        ] {
            assert_eq!(show(address, Some(Kind::Address)), expected);
        }
    }

    #[test]
    fn values_are_written_as_toml_writes_them() {
        assert_eq!(plain(&Value::from(vec!["a", "b"])), "[\"a\", \"b\"]");
        assert_eq!(plain(&Value::from(7)), "7");
        assert_eq!(plain(&Value::from(true)), "true");
    }
}
