//! The colours of what lies behind the plant.
//!
//! Owns the colour model of the background. Never looks at pixels near the
//! plant: they may be tissue.

use super::oklab::{BIN, BINS, Planes};
use super::regions::{Neighbours, Regions};

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

/// Of a colour that no tissue has.
const PLAIN: u8 = 0;
/// Green tissue.
const GREEN: u8 = 1;
/// Soil or wood as well as dead tissue, by colour.
const COLOURED: u8 = 2;
/// Paper or mildew.
const WHITISH: u8 = 3;
/// An area of either colour faces green tissue with less of its outline than
/// this if it is soil in a pot, with more if it is a lesion.
const BESIDE: f64 = 0.25;
/// It also is background if it has more than this share of the photo's border.
const FRAMES: f64 = 0.3;
/// And of the outline of that tissue it takes more than this if it is soil
/// around a plant, less if it is a lesion in a leaf.
const SURROUNDS: f64 = 0.7;

/// Which colours the background has, and how bright it is in each.
#[derive(Debug)]
pub(super) struct Background {
    /// Whether the background has this chromaticity.
    common: Vec<bool>,
    /// The brightest that it is in this one or those close by, with some room;
    /// below zero where it has none of them.
    nearly: Vec<f32>,
    /// The brightest that the background is by chromaticity.
    brightest: Vec<f32>,
}

impl Background {
    /// Learns from the pixels that are far from all green ones.
    pub(super) fn of(planes: &Planes, green: &[u8]) -> Self {
        let width = planes.width;
        let far = far_from(green, width);
        // Green, coloured and plain areas, so that the brown heart of a large
        // lesion is not one region with the grey ground on which the leaf lies.
        let kind: Vec<u8> = (0..green.len())
            .map(|at| match green[at] {
                1 => GREEN,
                _ if tissue_coloured(planes, at) => COLOURED,
                _ if whitish(planes, at) => WHITISH,
                _ => PLAIN,
            })
            .collect();
        let areas = Regions::of(&kind, width, Neighbours::Four);
        let behind = behind(&areas, &far);
        let mut count = vec![0.0_f32; BINS * BINS];
        let (mut sum, mut squares) = (count.clone(), count.clone());
        for at in 0..green.len() {
            let lit = planes.lightness[at] > DARKEST;
            if lit && far[at] && behind[areas.label[at] as usize] {
                let bin = usize::from(planes.chroma_bin[at]);
                let lightness = planes.lightness[at];
                count[bin] += 1.0;
                sum[bin] += lightness;
                squares[bin] += lightness * lightness;
            }
        }
        let spread = |values: &[f32]| spread_to_neighbours(values);
        let (count, sum, squares) = (spread(&count), spread(&sum), spread(&squares));
        let brightest: Vec<f32> = (0..BINS * BINS)
            .map(|bin| {
                let mean = sum[bin] / count[bin].max(1.0);
                let variance = squares[bin] / count[bin].max(1.0) - mean * mean;
                mean + 2.0 * variance.max(0.0).sqrt() + slack(bin, mean)
            })
            .collect();
        let common = most_common(&count);
        let nearly = brightest_nearby(&common, &brightest);
        Self {
            common,
            nearly,
            brightest,
        }
    }

    /// Whether the background has nearly the colour of this pixel: between
    /// leaves it takes on a tinge of green.
    pub(super) fn nearly_has(&self, planes: &Planes, at: usize) -> bool {
        planes.lightness[at] < self.nearly[usize::from(planes.chroma_bin[at])]
    }

    /// Whether the background has the colour of this pixel, or the same in
    /// brighter light: a shadow of the leaf falls on the background beside it.
    pub(super) fn has(&self, planes: &Planes, at: usize) -> bool {
        let bin = usize::from(planes.chroma_bin[at]);
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

/// Whether a colour is nearly white.
pub(super) fn whitish(planes: &Planes, at: usize) -> bool {
    planes.saturation[at] < 0.04 && planes.lightness[at] > 0.75
}

/// Whether a colour occurs in yellow, brown or tan tissue.
pub(super) fn tissue_coloured(planes: &Planes, at: usize) -> bool {
    (20.0..=112.0).contains(&planes.hue[at]) && planes.saturation[at] > 0.05
}

/// Which areas are background: those that reach far from the plant and, where
/// their colour could be dead tissue, do not lie in a leaf as a lesion does.
fn behind(areas: &Regions, far: &[bool]) -> Vec<bool> {
    let mut far_area = vec![0_u32; areas.regions.len()];
    for (&label, _) in areas.label.iter().zip(far).filter(|(_, far)| **far) {
        far_area[label as usize] += 1;
    }
    let bulk = (far.len() as f64 * BULK) as u32;
    let large = |area: usize| far_area[area] * 4 >= bulk;
    let contact = areas.contact(|at| areas.at(at).class == GREEN);
    let hole = |area: usize| contact[area] == areas.regions[area].perimeter;
    // Of each large area of such a colour: the sides that face green, those that face a
    // large plain area, and the outline, without holes, of the green that it
    // touches.
    let mut facing = vec![[0_u32; 3]; areas.regions.len()];
    let mut outline = vec![0_u32; areas.regions.len()];
    let mut neighbours = Vec::new();
    areas.each_border(|at, other| {
        let (mine, other) = (areas.label[at] as usize, areas.label[other] as usize);
        let other_class = areas.regions[other].class;
        outline[other] += u32::from(other_class == GREEN && (large(mine) || !hole(mine)));
        if matches!(areas.regions[mine].class, COLOURED | WHITISH) && large(mine) {
            match other_class {
                GREEN => {
                    facing[mine][0] += 1;
                    if neighbours.last() != Some(&(mine, other)) {
                        neighbours.push((mine, other));
                    }
                }
                _ => facing[mine][1] += u32::from(large(other)),
            }
        }
    });
    neighbours.sort_unstable();
    neighbours.dedup();
    for (mine, green) in neighbours {
        facing[mine][2] += outline[green];
    }
    let border: u32 = areas.regions.iter().map(|area| area.edge).sum();
    (0..areas.regions.len())
        .map(|index| {
            let area = &areas.regions[index];
            let [green, plain, around] = facing[index].map(f64::from);
            let edge = f64::from(area.edge);
            let frames = edge > FRAMES * f64::from(border);
            let beside = green < BESIDE * (green + plain + edge);
            let surrounds = green > SURROUNDS * around;
            match area.class {
                PLAIN => far_area[index] >= bulk,
                COLOURED | WHITISH => large(index) && (frames || beside || surrounds),
                _ => false,
            }
        })
        .collect()
}

/// How much brighter than elsewhere the background may be and still be known:
/// a white wall or paper is lit unevenly and burns out; tissue that is paler
/// than the soil or board behind it shall not be taken for it.
fn slack(bin: usize, mean: f32) -> f32 {
    let [red, yellow] =
        [bin % BINS, bin / BINS].map(|index| (index as f32 + 0.5 - BINS as f32 / 2.0) * BIN);
    let white = mean > 0.75 && (red * red + yellow * yellow).sqrt() < 0.07;
    if white { 0.3 } else { 0.05 }
}

/// The greatest of the common bins around each bin, and 0.1.
fn brightest_nearby(common: &[bool], brightest: &[f32]) -> Vec<f32> {
    let mut nearby = vec![-1.0_f32; common.len()];
    for bin in (0..common.len()).filter(|&bin| common[bin]) {
        let (row, column) = (bin / BINS, bin % BINS);
        for near_row in row.saturating_sub(1)..=(row + 1).min(BINS - 1) {
            for near_column in column.saturating_sub(1)..=(column + 1).min(BINS - 1) {
                let near = &mut nearby[near_row * BINS + near_column];
                *near = near.max(brightest[bin] + 0.1);
            }
        }
    }
    nearby
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
