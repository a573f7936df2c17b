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

/// How light green tissue is around each place: one side of a leaf lies in the
/// sun, the other in shade.
#[derive(Debug)]
pub(super) struct LocalLight {
    cell: usize,
    cells_across: usize,
    lightness: Vec<f32>,
}

impl LocalLight {
    /// Cells along the longer side of the photo.
    const CELLS: usize = 24;
    /// The photo's median counts as much as this share of a cell in green pixels.
    const PRIOR: f32 = 0.3;

    /// Averages the green pixels of each cell and its eight neighbours.
    pub(super) fn of(planes: &Planes, green: &[u8], reference: &Reference) -> Self {
        let width = planes.width;
        let height = green.len() / width;
        let cell = width.max(height).div_ceil(Self::CELLS);
        let (across, down) = (width.div_ceil(cell), height.div_ceil(cell));
        let mut sums = vec![(0.0_f32, 0.0_f32); across * down];
        for at in (0..green.len()).filter(|&at| green[at] == 1 && planes.hue[at] > 106.0) {
            let (sum, count) = &mut sums[at / width / cell * across + at % width / cell];
            *sum += planes.lightness[at];
            *count += 1.0;
        }
        let prior = Self::PRIOR * (cell * cell) as f32;
        let mut lightness = Vec::with_capacity(sums.len());
        for y in 0..down {
            for x in 0..across {
                let (mut sum, mut count) = (prior * reference.lightness, prior);
                for near_y in y.saturating_sub(1)..=(y + 1).min(down - 1) {
                    for near_x in x.saturating_sub(1)..=(x + 1).min(across - 1) {
                        let (near_sum, near_count) = sums[near_y * across + near_x];
                        sum += near_sum;
                        count += near_count;
                    }
                }
                lightness.push(sum / count);
            }
        }
        Self {
            cell,
            cells_across: across,
            lightness,
        }
    }

    /// The lightness of green tissue around a pixel.
    pub(super) fn at(&self, x: usize, y: usize) -> f32 {
        self.lightness[y / self.cell * self.cells_across + x / self.cell]
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
