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

use super::background::Background;
use super::decode::Raster;
use super::leaf::deep;
use super::oklab::Planes;
use super::regions::{Neighbours, Regions};

/// Below this a pixel is as likely grey as green (JPEG rounding alone gives 0.02).
const LEAST_THRESHOLD: f32 = 0.05;
/// Even beside sure tissue nothing closer to grey is called green.
const LEAST_DULL: f32 = 0.02;
/// Above this even dull, dusty or dark leaves would be lost.
const MOST_THRESHOLD: f32 = 0.11;
/// Hues of living leaf tissue in degrees: from yellow-green to blue-green.
const GREENEST: std::ops::RangeInclusive<f32> = 104.0..=192.0;
/// Darker than this, the hue is noise.
const DARKEST: f32 = 0.2;
/// Added to the sum of the three bytes, so that the noise of black counts little.
const BLACK: f32 = 15.0;
/// A plant has pieces of green that each fill at least this share of the photo,
const PIECE_SHARE: f64 = 0.000_5;
/// and together this one.
const PLANT_SHARE: f64 = 0.004;
/// A seed smaller than this share of the photo is a speck.
const SPECK_SHARE: f64 = 0.000_03;

/// How green each pixel is, and from where on it is green beyond doubt.
#[derive(Debug)]
pub(super) struct Greenness {
    index: Vec<f32>,
    threshold: f32,
}

impl Greenness {
    /// Measures a photo and chooses its threshold.
    pub(super) fn of(photo: &Raster) -> Self {
        let index: Vec<f32> = photo
            .pixels
            .as_chunks::<3>()
            .0
            .iter()
            .copied()
            .map(excess_green)
            .collect();
        let threshold = otsu(&index).clamp(LEAST_THRESHOLD, MOST_THRESHOLD);
        Self { index, threshold }
    }

    /// Marks with 1 what is green beyond doubt.
    pub(super) fn sure(&self, planes: &Planes) -> Vec<u8> {
        let mut sure = self.above(self.threshold, planes);
        let least = (sure.len() as f64 * SPECK_SHARE).max(4.0) as u32;
        let regions = Regions::of(&sure, planes.width, Neighbours::Eight);
        for (at, sure) in sure.iter_mut().enumerate() {
            *sure &= u8::from(regions.at(at).area >= least);
        }
        sure
    }

    /// Marks with 1 also duller tissue that hangs together with what is sure,
    /// and whose colour the background has not.
    pub(super) fn all(&self, planes: &Planes, sure: &[u8], background: &Background) -> Vec<u8> {
        let mut all = self.above(LEAST_DULL, planes);
        for (at, all) in all.iter_mut().enumerate() {
            *all = sure[at] | (*all & u8::from(!background.has(planes, at)));
        }
        let regions = Regions::of(&all, planes.width, Neighbours::Four);
        let mut sure_area = vec![0_u32; regions.regions.len()];
        for (at, &sure) in sure.iter().enumerate() {
            sure_area[regions.label[at] as usize] += u32::from(sure);
        }
        for (at, all) in all.iter_mut().enumerate() {
            let mostly_sure = sure_area[regions.label[at] as usize] * 3 >= regions.at(at).area;
            *all = if mostly_sure { *all } else { sure[at] };
        }
        // Only inside: around a leaf its colour bleeds into the background, the
        // more so the stronger a file is compressed.
        let inside = deep(&all, planes.width, 3);
        for (at, all) in all.iter_mut().enumerate() {
            *all &= sure[at] | u8::from(inside[at]);
        }
        all
    }

    fn above(&self, threshold: f32, planes: &Planes) -> Vec<u8> {
        let green = |at: usize| {
            self.index[at] > threshold
                && GREENEST.contains(&planes.hue[at])
                && planes.lightness[at] > DARKEST
        };
        (0..self.index.len())
            .map(|at| u8::from(green(at)))
            .collect()
    }
}

/// Whether there is enough green in pieces large enough to be a plant: moss in
/// a joint, a reflection, coloured noise are not.
pub(super) fn shows_plant(green: &[u8], width: usize) -> bool {
    let photo = green.len() as f64;
    let pieces = Regions::of(green, width, Neighbours::Eight);
    let in_pieces: f64 = pieces
        .regions
        .iter()
        .filter(|piece| piece.class == 1)
        .map(|piece| f64::from(piece.area))
        .filter(|area| *area >= PIECE_SHARE * photo)
        .sum();
    in_pieces >= PLANT_SHARE * photo
}

fn excess_green([r, g, b]: [u8; 3]) -> f32 {
    let [r, g, b] = [r, g, b].map(f32::from);
    (2.0 * g - r - b) / (r + g + b + BLACK)
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
    fn excess_green_is_zero_for_grey_and_hardly_depends_on_exposure() {
        assert_eq!(excess_green([90, 90, 90]), 0.0);
        assert!((excess_green([40, 80, 20]) - excess_green([80, 160, 40])).abs() < 0.05);
    }
}
