//! The members of an answer, whatever their spelling, each with its check.
//!
//! Reading a member takes it out, so that what is left is what nobody
//! understood.

use serde_json::{Map, Value};
use shared_dto::analysis::Symptom;

/// Spellings of the health score, without case and punctuation.
const SCORE: &[&str] = &[
    "overallhealthscore",
    "healthscore",
    "planthealthscore",
    "overallscore",
    "score",
];

/// Spellings of the main finding.
pub(super) const CONCERN: &[&str] = &[
    "primaryconcern",
    "mainconcern",
    "concern",
    "primaryissue",
    "diagnosis",
    "disease",
];

/// Spellings of what grows there.
pub(super) const CROP: &[&str] = &["croptype", "crop", "planttype", "plantspecies", "species"];

/// A result keeps this many of anything.
const MOST_ITEMS: usize = 50;

/// Details that are longer as JSON are left out.
const LONGEST_DETAILS: usize = 128 * 1_024;

/// A name without case and punctuation: `overall_health-Score` is `overallhealthscore`.
pub(super) fn normal(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// Whether an object says anything about an analysis itself.
pub(super) fn tells(members: &Map<String, Value>) -> bool {
    let failed = |value: &Value| {
        value
            .as_str()
            .is_some_and(|text| matches!(&*normal(text), "failed" | "failure" | "error"))
    };
    members.iter().any(|(name, value)| match &*normal(name) {
        "error" => !value.is_null(),
        "status" | "analysisstatus" => failed(value),
        name if SCORE.contains(&name) => value.is_number() || value.is_string(),
        name => CONCERN.contains(&name) && value.is_string(),
    })
}

/// What is left of an answer.
#[derive(Debug)]
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn new(members: Map<String, Value>) -> Self {
        Self(members)
    }

    pub(super) fn tells_result(&self) -> bool {
        self.find(SCORE).is_some() || self.find(CONCERN).is_some()
    }

    pub(super) fn tells_error(&self) -> bool {
        self.find(&["error"]).is_some()
    }

    /// The analysis that the answer names, if it names one.
    pub(super) fn analysis_id(&mut self) -> Option<Result<i64, ()>> {
        let id = self.take(&["analysisid"], |value| Some(value.clone()))?;
        Some(match id {
            Value::Number(number) => number.as_i64().ok_or(()),
            Value::String(text) => text.trim().parse().map_err(|_| ()),
            _ => Err(()),
        })
    }

    /// 0 to 100, from a number, a fraction (0.72), or text (`72`, `72 %`, `7.2/10`).
    pub(super) fn score(&mut self) -> Result<Option<u8>, String> {
        let Some(value) = self.take(SCORE, |value| Some(value.clone())) else {
            return Ok(None);
        };
        let score = match &value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => parse_score(text),
            _ => None,
        };
        match score {
            Some(fraction) if fraction > 0.0 && fraction < 1.0 => Ok(Some(percent(fraction))),
            Some(score) if (0.0..=100.0).contains(&score) => Ok(Some(percent(score / 100.0))),
            _ => Err("its health score is not 0 to 100".to_owned()),
        }
    }

    /// A text in one line, of at most `longest` characters.
    pub(super) fn text(&mut self, names: &[&str], longest: usize) -> Option<String> {
        self.take(names, |value| text_of(value, longest))
    }

    /// A text, or an object as JSON.
    pub(super) fn describe(&mut self, names: &[&str]) -> Option<String> {
        self.take(names, |value| {
            text_of(value, 500).or_else(|| text_of(&Value::String(value.to_string()), 500))
        })
    }

    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        self.take(&[name], Value::as_bool)
    }

    /// 0 to 1, or a percentage.
    pub(super) fn share(&mut self, names: &[&str]) -> Option<f64> {
        self.take(names, share_of)
    }

    pub(super) fn severity(&mut self) -> Option<String> {
        self.take(&["severity", "severitylevel"], |value| {
            let known = match &*normal(value.as_str()?) {
                "none" | "healthy" => "none",
                "low" | "mild" | "minor" | "slight" => "low",
                "moderate" | "medium" => "moderate",
                "high" | "major" => "high",
                "severe" | "critical" | "extreme" => "severe",
                _ => return None,
            };
            Some(known.to_owned())
        })
    }

    pub(super) fn recommendations(&mut self) -> Vec<String> {
        let names = &[
            "recommendations",
            "recommendation",
            "advice",
            "treatments",
            "treatment",
        ];
        self.take(names, |value| match value {
            Value::Array(items) => {
                let texts: Vec<String> = items
                    .iter()
                    .filter_map(recommendation)
                    .take(MOST_ITEMS)
                    .collect();
                (!texts.is_empty()).then_some(texts)
            }
            other => recommendation(other).map(|text| vec![text]),
        })
        .unwrap_or_default()
    }

    /// Largest first. Only a list in which every item has a kind and a share is
    /// understood; any other stays among the details.
    pub(super) fn symptoms(&mut self) -> Vec<Symptom> {
        let mut symptoms: Vec<Symptom> = self
            .take(&["symptoms"], |value| {
                value
                    .as_array()?
                    .iter()
                    .take(MOST_ITEMS)
                    .map(symptom)
                    .collect()
            })
            .unwrap_or_default();
        symptoms.sort_by(|a, b| b.leaf_share.total_cmp(&a.leaf_share));
        symptoms
    }

    /// Everything that nobody took.
    pub(super) fn rest(self) -> Option<Value> {
        if self.0.is_empty() {
            return None;
        }
        let mut rest = Value::Object(self.0);
        without_nul(&mut rest);
        if rest.to_string().len() > LONGEST_DETAILS {
            tracing::warn!("the answer's details are too long and were left out");
            return None;
        }
        Some(rest)
    }

    /// The value under the first of `names` that `read` understands, taken out.
    fn take<T>(&mut self, names: &[&str], read: impl Fn(&Value) -> Option<T>) -> Option<T> {
        for name in names {
            let Some(key) = self.find(&[name]).map(str::to_owned) else {
                continue;
            };
            if let Some(found) = self.0.get(&key).and_then(&read) {
                self.0.remove(&key);
                return Some(found);
            }
        }
        None
    }

    fn find(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| {
            let is = |(key, value): &(&String, &Value)| normal(key) == *name && !value.is_null();
            self.0.iter().find(is).map(|(key, _)| key.as_str())
        })
    }
}

fn parse_score(text: &str) -> Option<f64> {
    let text = text.trim();
    if let Some((score, of)) = text.split_once('/') {
        let (score, of): (f64, f64) = (score.trim().parse().ok()?, of.trim().parse().ok()?);
        // Not below 1: "0.5/100" must not become a fraction that counts as 50.
        return (of > 0.0)
            .then(|| score / of * 100.0)
            .map(|score| score.round());
    }
    match text.strip_suffix('%') {
        Some(percentage) => percentage.trim().parse().ok().map(f64::round),
        None => text.parse().ok(),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a fraction of 0 to 1 gives 0 to 100"
)]
fn percent(fraction: f64) -> u8 {
    (fraction * 100.0).round().clamp(0.0, 100.0) as u8
}

fn text_of(value: &Value, longest: usize) -> Option<String> {
    let text: String = value
        .as_str()?
        .trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(longest)
        .collect();
    (!text.is_empty()).then_some(text)
}

fn share_of(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => match text.trim().strip_suffix('%') {
            Some(percentage) => percentage.trim().parse::<f64>().ok()? / 100.0,
            None => text.trim().parse().ok()?,
        },
        _ => return None,
    };
    match number {
        share if (0.0..=1.0).contains(&share) => Some(share),
        percentage if (1.0..=100.0).contains(&percentage) => Some(percentage / 100.0),
        _ => None,
    }
}

fn recommendation(value: &Value) -> Option<String> {
    match value {
        Value::Object(members) => ["text", "action", "recommendation", "title", "description"]
            .iter()
            .find_map(|name| text_of(members.get(*name)?, 500)),
        other => text_of(other, 500),
    }
}

fn symptom(value: &Value) -> Option<Symptom> {
    let mut fields = Fields::new(value.as_object()?.clone());
    let kind = fields.text(&["kind", "name", "type", "symptom"], 100)?;
    let share = fields.share(&["leafshare", "share"]);
    let share = share.or_else(|| {
        let percentage =
            fields.take(&["percentage", "percent", "leafpercentage"], Value::as_f64)?;
        (0.0..=100.0)
            .contains(&percentage)
            .then_some(percentage / 100.0)
    })?;
    let patches = fields
        .take(&["patches", "count", "spots"], Value::as_u64)
        .unwrap_or(0);
    Some(Symptom {
        kind,
        leaf_share: share,
        patches: u32::try_from(patches).ok()?,
    })
}

/// PostgreSQL keeps no NUL in JSON.
fn without_nul(value: &mut Value) {
    match value {
        Value::String(text) if text.contains('\0') => *text = text.replace('\0', "\u{fffd}"),
        Value::Array(items) => items.iter_mut().for_each(without_nul),
        Value::Object(members) => {
            if members.keys().any(|name| name.contains('\0')) {
                *members = std::mem::take(members)
                    .into_iter()
                    .map(|(name, value)| (name.replace('\0', "\u{fffd}"), value))
                    .collect();
            }
            members.values_mut().for_each(without_nul);
        }
        _ => {}
    }
}
