//! The colours of what lies behind the plant.
//!
//! Owns the colour model of the background. Never looks at pixels near the
//! plant: they may be tissue.

use super::oklab::Planes;
use super::regions::{Neighbours, Regions};

/// Bins a side of the histogram over `red` and `yellow`.
const BINS: usize = 40;
/// Width of a bin; the histogram spans plus and minus half of `BINS` of them.
const BIN: f32 = 0.02;
/// A colour with at least this share of the background is a background colour.
const COMMON: f32 = 0.002;
/// How far from green tissue the background begins, over the photo's mean side.
const FAR: f32 = 0.035;
/// A smaller share of the photo is no background, but the heart of a lesion.
const BULK: f64 = 0.01;

/// Which colours the background has, and how bright it is in each.
#[derive(Debug)]
pub(super) struct Background {
    /// Share of the background by chromaticity, smoothed over the neighbours.
    share: Vec<f32>,
    /// The brightest that the background is by chromaticity.
    brightest: Vec<f32>,
}

impl Background {
    /// Learns from the pixels that are far from all green ones. `gaps` are the
    /// regions of the map `green`.
    pub(super) fn of(planes: &Planes, green: &[u8], gaps: &Regions) -> Self {
        let far = far_from(green, planes.width);
        let open: Vec<u8> = (0..green.len())
            .map(|at| u8::from(far[at] && gaps.at(at).at_edge))
            .collect();
        let regions = Regions::of(&open, planes.width, Neighbours::Four);
        let bulk = (green.len() as f64 * BULK) as u32;
        let mut count = vec![0.0_f32; BINS * BINS];
        let (mut sum, mut squares) = (count.clone(), count.clone());
        for at in 0..green.len() {
            if open[at] == 1 && regions.at(at).area >= bulk {
                let bin = bin(planes, at);
                let lightness = planes.lightness[at];
                count[bin] += 1.0;
                sum[bin] += lightness;
                squares[bin] += lightness * lightness;
            }
        }
        let total: f32 = count.iter().sum();
        let spread = |values: &[f32]| spread_to_neighbours(values);
        let (count, sum, squares) = (spread(&count), spread(&sum), spread(&squares));
        let brightest = (0..BINS * BINS)
            .map(|bin| {
                let mean = sum[bin] / count[bin].max(1.0);
                let variance = squares[bin] / count[bin].max(1.0) - mean * mean;
                mean + 2.0 * variance.max(0.0).sqrt() + 0.05
            })
            .collect();
        let share = count.iter().map(|count| count / total.max(1.0)).collect();
        Self { share, brightest }
    }

    /// Whether the background has the colour of this pixel, or the same in
    /// brighter light: a shadow of the leaf falls on the background beside it.
    pub(super) fn has(&self, planes: &Planes, at: usize) -> bool {
        let bin = bin(planes, at);
        self.share[bin] > COMMON && planes.lightness[at] < self.brightest[bin]
    }
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

/// Which pixels have nothing green in the square around them.
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
