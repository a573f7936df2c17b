//! The colours of what lies behind the plant.
//!
//! Owns the colour model of the background. Never looks at pixels near the
//! plant: they may be tissue.

use super::oklab::Planes;
use super::regions::{Neighbours, Regions};

/// Bins a side of the histogram over `red` and `yellow`.
const BINS: usize = 64;
/// Width of a bin; the histogram spans plus and minus half of `BINS` of them.
const BIN: f32 = 0.0125;
/// The most common colours that together make up this share of the background
/// are its colours; the rest are specks and blurred edges.
const COMMON: f32 = 0.92;
/// And each of them holds at least this share of it: a lesion that runs out of
/// the leaf is counted with the background, but is small and many-coloured.
const LEAST: f32 = 0.004;
/// Darker than this, colour is noise.
const DARKEST: f32 = 0.16;
/// How far from green tissue the background begins, over the photo's mean side.
const FAR: f32 = 0.035;
/// A smaller share of the photo is no background, but the heart of a lesion.
const BULK: f64 = 0.01;

/// Far pixels of a colour that no tissue has.
const PLAIN: u8 = 1;
/// Far pixels that could be soil or wood as well as dead tissue.
const COLOURED: u8 = 2;

/// Which colours the background has, and how bright it is in each.
#[derive(Debug)]
pub(super) struct Background {
    /// Whether the background has this chromaticity.
    common: Vec<bool>,
    /// The brightest that the background is by chromaticity.
    brightest: Vec<f32>,
}

impl Background {
    /// Learns from the pixels that are far from all green ones.
    pub(super) fn of(planes: &Planes, green: &[u8]) -> Self {
        let gaps = Regions::of(green, planes.width, Neighbours::Four);
        let far = far_from(green, planes.width);
        let open: Vec<u8> = (0..green.len())
            .map(|at| u8::from(far[at] && gaps.at(at).at_edge))
            .collect();
        let regions = Regions::of(&open, planes.width, Neighbours::Four);
        let bulk = (green.len() as f64 * BULK) as u32;
        let mut count = vec![0.0_f32; BINS * BINS];
        let (mut sum, mut squares) = (count.clone(), count.clone());
        for at in 0..green.len() {
            let lit = planes.lightness[at] > DARKEST;
            let region = regions.at(at);
            let behind = match region.class {
                PLAIN => region.area >= bulk,
                COLOURED => region.area >= bulk && region.at_edge,
                _ => false,
            };
            if lit && behind {
                let bin = bin(planes, at);
                let lightness = planes.lightness[at];
                count[bin] += 1.0;
                sum[bin] += lightness;
                squares[bin] += lightness * lightness;
            }
        }
        let spread = |values: &[f32]| spread_to_neighbours(values);
        let (count, sum, squares) = (spread(&count), spread(&sum), spread(&squares));
        let brightest = (0..BINS * BINS)
            .map(|bin| {
                let mean = sum[bin] / count[bin].max(1.0);
                let variance = squares[bin] / count[bin].max(1.0) - mean * mean;
                mean + 2.0 * variance.max(0.0).sqrt() + 0.05
            })
            .collect();
        Self {
            common: most_common(&count),
            brightest,
        }
    }

    /// Whether the background has the colour of this pixel, or the same in
    /// brighter light: a shadow of the leaf falls on the background beside it.
    pub(super) fn has(&self, planes: &Planes, at: usize) -> bool {
        let bin = bin(planes, at);
        self.common[bin] && planes.lightness[at] < self.brightest[bin]
    }
}

/// The fewest bins that hold `COMMON` of everything counted.
fn most_common(count: &[f32]) -> Vec<bool> {
    let mut order: Vec<usize> = (0..count.len()).filter(|&bin| count[bin] > 0.0).collect();
    order.sort_by(|&one, &other| count[other].total_cmp(&count[one]));
    // Each pixel was counted in nine bins.
    let all = count.iter().sum::<f32>();
    let (enough, least) = (COMMON * all, LEAST * all / 9.0);
    let mut common = vec![false; count.len()];
    let mut held = 0.0;
    for bin in order {
        if held >= enough || count[bin] < least {
            break;
        }
        held += count[bin];
        common[bin] = true;
    }
    common
}

/// Whether a colour occurs in yellow, brown or tan tissue.
pub(super) fn tissue_coloured(planes: &Planes, at: usize) -> bool {
    (20.0..=112.0).contains(&planes.hue[at]) && planes.saturation[at] > 0.05
}

fn bin(planes: &Planes, at: usize) -> usize {
    let index = |value: f32| ((value / BIN + BINS as f32 / 2.0).max(0.0) as usize).min(BINS - 1);
    index(planes.yellow[at]) * BINS + index(planes.red[at])
}

/// Sums each bin with its eight neighbours.
fn spread_to_neighbours(values: &[f32]) -> Vec<f32> {
    let mut spread = vec![0.0; values.len()];
    for row in 0..BINS {
        for column in 0..BINS {
            for near_row in row.saturating_sub(1)..=(row + 1).min(BINS - 1) {
                for near in column.saturating_sub(1)..=(column + 1).min(BINS - 1) {
                    spread[row * BINS + column] += values[near_row * BINS + near];
                }
            }
        }
    }
    spread
}

/// Which pixels have nothing marked in the square around them.
fn far_from(green: &[u8], width: usize) -> Vec<bool> {
    let height = green.len() / width;
    let reach = ((green.len() as f32).sqrt() * FAR).max(3.0) as usize;
    // Sums over the rectangle above and left of each pixel.
    let stride = width + 1;
    let mut sums = vec![0_u32; stride * (height + 1)];
    for y in 0..height {
        let mut row = 0;
        for x in 0..width {
            row += u32::from(green[y * width + x]);
            sums[(y + 1) * stride + x + 1] = sums[y * stride + x + 1] + row;
        }
    }
    let mut far = Vec::with_capacity(green.len());
    for y in 0..height {
        let (top, bottom) = (y.saturating_sub(reach), (y + reach + 1).min(height));
        for x in 0..width {
            let (left, right) = (x.saturating_sub(reach), (x + reach + 1).min(width));
            let inside = sums[bottom * stride + right] + sums[top * stride + left]
                - sums[top * stride + right]
                - sums[bottom * stride + left];
            far.push(inside == 0);
        }
    }
    far
}
