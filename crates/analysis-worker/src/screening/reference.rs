//! What healthy tissue looks like in this photo.
//!
//! Owns the reference that every symptom is measured against: leaves differ by
//! species and photos by light, so "yellower" and "paler" need a "than what".
//! Never moves so far that a wholly yellow plant becomes its own standard.

use super::oklab::Planes;

/// Healthy green of an unknown plant in daylight.
const DAYLIGHT: Reference = Reference {
    hue: 130.0,
    lightness: 0.55,
    saturation: 0.2,
    certain: false,
};
/// Hues that can be healthy in some plant and some light.
const HEALTHY: std::ops::RangeInclusive<f32> = 110.0..=175.0;
/// Fewer green pixels than this share of all green ones are no standard.
const ENOUGH: f32 = 0.15;

/// The photo's own healthy green.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reference {
    /// Median hue in degrees.
    pub(super) hue: f32,
    /// Median lightness.
    pub(super) lightness: f32,
    /// Median chroma over lightness.
    pub(super) saturation: f32,
    /// Whether it was measured, not assumed.
    pub(super) certain: bool,
}

impl Reference {
    /// Measures the green pixels of a photo.
    pub(super) fn of(planes: &Planes, green: &[u8]) -> Self {
        let (mut hue, mut lightness, mut saturation) = (
            Median::of(60.0, 200.0),
            Median::of(0.0, 1.0),
            Median::of(0.0, 0.5),
        );
        let mut all = 0_u32;
        for at in (0..green.len()).filter(|&at| green[at] == 1) {
            all += 1;
            if HEALTHY.contains(&planes.hue[at]) {
                hue.add(planes.hue[at]);
                lightness.add(planes.lightness[at]);
                saturation.add(planes.saturation[at]);
            }
        }
        if (hue.count as f32) < ENOUGH * all as f32 || hue.count == 0 {
            return DAYLIGHT;
        }
        Self {
            hue: hue.value(),
            lightness: lightness.value(),
            saturation: saturation.value(),
            certain: true,
        }
    }
}

/// A median to one part in 512 of its range, in one pass.
#[derive(Debug)]
struct Median {
    low: f32,
    high: f32,
    count: u32,
    histogram: Vec<u32>,
}

impl Median {
    const BINS: usize = 512;

    fn of(low: f32, high: f32) -> Self {
        Self {
            low,
            high,
            count: 0,
            histogram: vec![0; Self::BINS],
        }
    }

    fn add(&mut self, value: f32) {
        let bin = (value - self.low) / (self.high - self.low) * Self::BINS as f32;
        self.histogram[(bin.max(0.0) as usize).min(Self::BINS - 1)] += 1;
        self.count += 1;
    }

    fn value(&self) -> f32 {
        let mut below = 0;
        let middle = self.histogram.iter().position(|&n| {
            below += n;
            below * 2 >= self.count
        });
        let bin = middle.unwrap_or(0) as f32 + 0.5;
        self.low + bin * (self.high - self.low) / Self::BINS as f32
    }
}
