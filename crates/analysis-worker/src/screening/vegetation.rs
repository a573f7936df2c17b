//! Finds what is surely green plant tissue: the seed of the leaf.
//!
//! Owns the vegetation index and its threshold. Never judges yellow, brown or
//! white tissue: `leaf` adds that from its surroundings.
//!
//! Index: excess green, 2g - r - b on chromatic coordinates (Woebbecke et al.,
//! 1995). Threshold: Otsu's (1979), chosen from the photo. Otsu's always finds
//! two classes, even where there is only one, so it may only move within a band
//! in which a pixel can be green at all. A hue window in OKLab does what Meyer
//! and Neto's excess red (2008) does, and keeps water, sky and plastic out too.

use super::decode::Raster;
use super::oklab::Planes;
use super::regions::{Neighbours, Regions};

/// Below this a pixel is as likely grey as green (JPEG rounding alone gives 0.02).
const LEAST_THRESHOLD: f32 = 0.05;
/// Above this even dull, dusty or dark leaves would be lost.
const MOST_THRESHOLD: f32 = 0.11;
/// Hues of living leaf tissue in degrees: from yellow-green to blue-green.
const GREENEST: std::ops::RangeInclusive<f32> = 104.0..=192.0;
/// Darker than this, the hue is noise.
const DARKEST: f32 = 0.16;
/// A seed smaller than this share of the photo is a speck.
const SPECK_SHARE: f64 = 0.000_03;

/// Marks the green pixels of the photo with 1.
pub(super) fn green(photo: &Raster, planes: &Planes) -> Vec<u8> {
    let index: Vec<f32> = photo
        .pixels
        .as_chunks::<3>()
        .0
        .iter()
        .copied()
        .map(excess_green)
        .collect();
    let threshold = otsu(&index).clamp(LEAST_THRESHOLD, MOST_THRESHOLD);
    let mut seed: Vec<u8> = (0..index.len())
        .map(|at| {
            let green = index[at] > threshold
                && GREENEST.contains(&planes.hue[at])
                && planes.lightness[at] > DARKEST;
            u8::from(green)
        })
        .collect();
    let least = (index.len() as f64 * SPECK_SHARE).max(4.0) as u32;
    let regions = Regions::of(&seed, planes.width, Neighbours::Eight);
    for (at, seed) in seed.iter_mut().enumerate() {
        if *seed == 1 && regions.at(at).area < least {
            *seed = 0;
        }
    }
    seed
}

fn excess_green([r, g, b]: [u8; 3]) -> f32 {
    let [r, g, b] = [r, g, b].map(f32::from);
    (2.0 * g - r - b) / (r + g + b).max(1.0)
}

/// Otsu's threshold: the cut of the histogram with the greatest variance
/// between its two sides.
fn otsu(values: &[f32]) -> f32 {
    const BINS: usize = 256;
    const LOW: f32 = -0.5;
    const HIGH: f32 = 1.0;
    let mut histogram = [0_u32; BINS];
    for value in values {
        let bin = (value - LOW) / (HIGH - LOW) * BINS as f32;
        histogram[(bin.max(0.0) as usize).min(BINS - 1)] += 1;
    }
    let total = values.len() as f64;
    let sum: f64 = histogram
        .iter()
        .enumerate()
        .map(|(bin, &n)| bin as f64 * f64::from(n))
        .sum();
    let (mut below, mut sum_below) = (0.0, 0.0);
    let (mut best, mut best_variance) = (0, -1.0);
    for (bin, &count) in histogram.iter().enumerate() {
        below += f64::from(count);
        sum_below += bin as f64 * f64::from(count);
        let above = total - below;
        if below == 0.0 || above == 0.0 {
            continue;
        }
        let apart = sum_below / below - (sum - sum_below) / above;
        let variance = below * above * apart * apart;
        if variance > best_variance {
            (best, best_variance) = (bin, variance);
        }
    }
    LOW + (best + 1) as f32 * (HIGH - LOW) / BINS as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn otsu_cuts_between_two_heaps() {
        let values: Vec<f32> = (0..1000)
            .map(|n| if n < 700 { 0.0 } else { 0.4 } + (n % 10) as f32 * 0.005)
            .collect();
        let cut = otsu(&values);
        assert!((0.045..0.4).contains(&cut), "{cut}");
    }

    #[test]
    fn excess_green_is_zero_for_grey_and_does_not_depend_on_exposure() {
        assert_eq!(excess_green([90, 90, 90]), 0.0);
        assert!((excess_green([20, 40, 10]) - excess_green([80, 160, 40])).abs() < 1e-6);
    }
}
