//! From labelled pixels to words and figures for the user.
//!
//! Owns the score, the severity scale, the confidence and every sentence.
//! Never looks at a colour.

use serde_json::json;
use shared_dto::analysis::{AnalysisResult, Symptom};

use super::regions::{Neighbours, Regions};
use super::tissue::Tissue;

/// What made the result; the number changes when results for a photo change.
pub const ANALYSER: &str = "builtin-colour-screening/1";

/// What the analyser says of its limits in every result.
pub const DISCLAIMER: &str = "This is a screening by colour, not a diagnosis: nutrient deficiency, \
     drought, sunburn, pests and natural ageing colour leaves as diseases do. \
     Ask an agronomist before you treat.";

/// A symptom below this share of the leaf is not named as the main finding.
const WORTH_NAMING: f64 = 0.005;

/// What the photo itself says about how far the result can be trusted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Circumstances {
    /// Whether the photo had enough healthy green to compare with.
    pub(super) reference_certain: bool,
    /// Share of the leaf that is too dark or blown out, 0 to 1.
    pub(super) badly_exposed: f64,
}

/// Counts what is labelled and puts it into words.
pub(super) fn report(map: &[Tissue], width: usize, seen: Circumstances) -> AnalysisResult {
    let classes: Vec<u8> = map.iter().map(|&tissue| tissue as u8).collect();
    let regions = Regions::of(&classes, width, Neighbours::Eight);
    let area = |tissue: Tissue| map.iter().filter(|&&t| t == tissue).count() as f64;
    let leaf_area = map.len() as f64 - area(Tissue::Background);
    let mut symptoms: Vec<(Tissue, Symptom)> = SYMPTOMS
        .iter()
        .map(|&(tissue, kind)| {
            let patches = regions
                .regions
                .iter()
                .filter(|r| r.class == tissue as u8)
                .count() as u32;
            let leaf_share = rounded(area(tissue) / leaf_area.max(1.0), 4);
            (
                tissue,
                Symptom {
                    kind: kind.to_owned(),
                    leaf_share,
                    patches,
                },
            )
        })
        .filter(|(_, symptom)| symptom.leaf_share > 0.0)
        .collect();
    symptoms.sort_by(|(_, one), (_, other)| other.leaf_share.total_cmp(&one.leaf_share));
    let leaf_share = leaf_area / map.len() as f64;
    let main = main_symptom(&symptoms);
    let burden = symptoms
        .iter()
        .map(|(t, s)| weight(*t) * s.leaf_share)
        .sum();
    AnalysisResult {
        overall_health_score: Some(score(burden)),
        primary_concern: Some(concern(main)),
        crop_type: None,
        confidence: Some(confidence(leaf_share, map.len(), seen)),
        leaf_area_share: Some(rounded(leaf_share, 4)),
        severity: Some(severity(burden).to_owned()),
        recommendations: recommendations(&symptoms, leaf_share, seen),
        symptoms: symptoms.into_iter().map(|(_, symptom)| symptom).collect(),
        analyser: Some(ANALYSER.to_owned()),
        disclaimer: Some(DISCLAIMER.to_owned()),
        details: Some(json!({ "overlayLegend": legend() })),
    }
}

const SYMPTOMS: [(Tissue, &str); 4] = [
    (Tissue::Chlorotic, "chlorosis"),
    (Tissue::Rust, "rust"),
    (Tissue::Necrotic, "necrosis"),
    (Tissue::Mildew, "mildew"),
];

/// How much a symptom costs the leaf: yellow tissue still does half its work.
fn weight(tissue: Tissue) -> f64 {
    match tissue {
        Tissue::Background | Tissue::Healthy => 0.0,
        Tissue::Chlorotic => 0.5,
        Tissue::Mildew => 0.8,
        Tissue::Rust | Tissue::Necrotic => 1.0,
    }
}

/// 100 without a symptom, 74 at a tenth of the leaf dead, 22 at half of it:
/// the first per cent matter most, as they do to who has to act.
fn score(burden: f64) -> u8 {
    (100.0 * (-3.0 * burden).exp()).round() as u8
}

fn severity(burden: f64) -> &'static str {
    match burden {
        b if b < 0.01 => "none",
        b if b < 0.05 => "low",
        b if b < 0.15 => "moderate",
        b if b < 0.35 => "high",
        _ => "severe",
    }
}

/// The symptom that costs the leaf most.
fn main_symptom(symptoms: &[(Tissue, Symptom)]) -> Option<&(Tissue, Symptom)> {
    symptoms
        .iter()
        .filter(|(_, symptom)| symptom.leaf_share >= WORTH_NAMING)
        .max_by(|(t, one), (u, other)| {
            (weight(*t) * one.leaf_share).total_cmp(&(weight(*u) * other.leaf_share))
        })
}

fn concern(main: Option<&(Tissue, Symptom)>) -> String {
    let Some((tissue, symptom)) = main else {
        return "No symptoms seen".to_owned();
    };
    let what = match tissue {
        Tissue::Rust => "Rust-coloured pustules or spots",
        Tissue::Chlorotic => "Yellowing (chlorosis)",
        Tissue::Mildew => "Whitish coating, as of powdery mildew,",
        _ => "Brown, dead tissue (necrosis)",
    };
    let percent = symptom.leaf_share * 100.0;
    let share = if percent < 9.5 {
        format!("{percent:.1}")
    } else {
        format!("{percent:.0}")
    };
    format!("{what} on {share} % of the leaf area")
}

/// Never above 0.9: a colour has many causes.
fn confidence(leaf_share: f64, pixels: usize, seen: Circumstances) -> f64 {
    let leaf_pixels = leaf_share * pixels as f64;
    let detail = (leaf_pixels / 20_000.0).sqrt().clamp(0.3, 1.0);
    let framed = (leaf_share / 0.1).sqrt().clamp(0.5, 1.0);
    let reference = if seen.reference_certain { 1.0 } else { 0.7 };
    let exposed = 1.0 - 0.6 * seen.badly_exposed;
    rounded(0.9 * detail * framed * reference * exposed, 2)
}

fn recommendations(
    symptoms: &[(Tissue, Symptom)],
    leaf_share: f64,
    seen: Circumstances,
) -> Vec<String> {
    let advice = |tissue: &Tissue| match tissue {
        Tissue::Rust => {
            "Look for raised, powdery pustules that rub off orange on a white tissue. If they do, \
             remove affected leaves, keep foliage dry, and ask about a fungicide registered for \
             rust on your crop."
        }
        Tissue::Chlorotic => {
            "Check which leaves turn yellow first: old ones point to lack of nitrogen or \
             magnesium, young ones to iron; check water, roots and the leaf's underside too."
        }
        Tissue::Mildew => {
            "Wipe a pale patch with a finger: powdery mildew comes off. If it does, thin the \
             stand for air, avoid excess nitrogen, and remove affected leaves."
        }
        _ => {
            "Look at the edges of the dead tissue: rings, a yellow halo or spreading within days \
             point to an infection; remove affected leaves and water at the soil."
        }
    };
    let mut all: Vec<String> = symptoms
        .iter()
        .filter(|(_, symptom)| symptom.leaf_share >= WORTH_NAMING)
        .map(|(tissue, _)| advice(tissue).to_owned())
        .collect();
    if all.is_empty() {
        all.push("Nothing to do now; look again in a week, at the undersides too.".to_owned());
    }
    if leaf_share < 0.1 {
        all.push("Little of the photo is leaf: go closer for a more reliable result.".to_owned());
    }
    if seen.badly_exposed > 0.3 {
        all.push(
            "The leaf is badly lit: take the photo in even daylight, without flash.".to_owned(),
        );
    }
    all
}

fn legend() -> serde_json::Value {
    let colours = SYMPTOMS.iter().filter_map(|&(tissue, kind)| {
        let [r, g, b] = super::overlay::outline_colour(tissue)?;
        Some((kind.to_owned(), json!(format!("#{r:02x}{g:02x}{b:02x}"))))
    });
    serde_json::Value::Object(colours.collect())
}

fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}
