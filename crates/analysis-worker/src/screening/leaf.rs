//! Grows the leaf from its green seed over tissue that is no longer green.
//!
//! Owns the decision what belongs to the plant. Never names a symptom.
//!
//! Rust, brown, yellow and white tissue on a leaf is leaf; soil, wood, skin,
//! paper and petals beside it are not, in the same colours. Colour alone cannot
//! tell them apart, so three questions do: does the colour occur in the
//! background, far from anything green? Does the region lean on green tissue
//! along a good part of its outline? Is it of a size and brightness that a
//! symptom can have?

use super::background::{Background, tissue_coloured, whitish};
use super::oklab::Planes;
use super::reference::Reference;
use super::regions::{Neighbours, Region, Regions};

/// Not part of a plant.
pub(super) const OUTSIDE: u8 = 0;
/// Green tissue.
pub(super) const GREEN: u8 = 1;
/// Tissue of another colour that belongs to the leaf.
pub(super) const GROWN: u8 = 2;

/// An enclosed gap of this share of the photo is leaf whatever its colour:
/// glare, a vein, a hair.
const PINHOLE_SHARE: f64 = 0.000_3;
/// The same for a gap that lies mostly in tissue that is no longer green.
const HEART_SHARE: f64 = 0.02;

/// What a region of not-green colour shows of its surroundings.
#[derive(Debug, Clone, Copy, Default)]
struct Setting {
    /// Sides of its pixels that face green tissue.
    contact: u32,
    /// Sum of the lightness of its pixels.
    lightness: f32,
    /// Sum of the saturation of its pixels.
    saturation: f32,
    /// Sums of its colour coordinates.
    red: f32,
    yellow: f32,
    /// Its pixels whose colour is nearly that of the background.
    nearly_background: u32,
    /// Sum of the colour steps across `contact`.
    step: f32,
}

/// Marks each pixel as `OUTSIDE`, `GREEN` or `GROWN`.
pub(super) fn leaf(
    planes: &Planes,
    green: &[u8],
    background: &Background,
    reference: &Reference,
) -> Vec<u8> {
    let width = planes.width;
    let gaps = Regions::of(green, width, Neighbours::Four);
    let candidate: Vec<u8> = (0..green.len())
        .map(|at| u8::from(green[at] == 0 && may_be_tissue(planes, at, gaps.at(at), background)))
        .collect();
    let regions = Regions::of(&candidate, width, Neighbours::Four);
    let settings = settings(planes, green, background, &regions);
    let green_area = green.iter().filter(|&&green| green == 1).count() as f32;
    let accepted: Vec<bool> = regions
        .regions
        .iter()
        .zip(&settings)
        .map(|(region, setting)| {
            region.class == 1 && belongs(region, setting, reference, green_area, green.len())
        })
        .collect();
    let mut leaf = green.to_vec();
    for (at, leaf) in leaf.iter_mut().enumerate() {
        if accepted[regions.label[at] as usize] {
            *leaf = GROWN;
        }
    }
    fill(&mut leaf, width);
    drop_rims(&mut leaf, width);
    leaf
}

/// Takes in enclosed gaps of any colour: small ones, and larger ones that lie in
/// tissue which is itself no longer green, as the black heart of a lesion does.
/// A gap between green leaves stays what it is.
fn fill(leaf: &mut [u8], width: usize) {
    let outside: Vec<u8> = leaf.iter().map(|&kind| u8::from(kind == OUTSIDE)).collect();
    let gaps = Regions::of(&outside, width, Neighbours::Four);
    let shore = gaps.contact(|at| leaf[at] == GROWN);
    let photo = leaf.len() as f64;
    for (at, leaf) in leaf.iter_mut().enumerate() {
        let gap = gaps.at(at);
        if gap.class == 0 || gap.edge > 0 {
            continue;
        }
        let within = shore[gaps.label[at] as usize] * 2 > gap.perimeter;
        let most = if within { HEART_SHARE } else { PINHOLE_SHARE };
        if f64::from(gap.area) <= most * photo {
            *leaf = GROWN;
        }
    }
}

/// Takes back grown regions that are only a rim: where the leaf ends, blur
/// mixes its colour with that behind it, and the mixture looks like a symptom.
fn drop_rims(leaf: &mut [u8], width: usize) {
    let regions = Regions::of(leaf, width, Neighbours::Four);
    let rims = regions.rims(&deep(leaf, width, 1));
    for (at, leaf) in leaf.iter_mut().enumerate() {
        if *leaf == GROWN && rims[regions.label[at] as usize] {
            *leaf = OUTSIDE;
        }
    }
}

/// Which pixels of the leaf are farther from its outline than blur reaches, a
/// number of times.
pub(super) fn deep(leaf: &[u8], width: usize, times: usize) -> Vec<bool> {
    let reach = times * ((leaf.len() as f32).sqrt() / 350.0).round().max(2.0) as usize;
    let height = leaf.len() / width;
    // Rows first, then columns; what lies beyond the photo counts as leaf.
    let mut near_side = vec![0_u8; leaf.len()];
    for (row, near) in leaf
        .chunks_exact(width)
        .zip(near_side.chunks_exact_mut(width))
    {
        for (x, _) in row.iter().enumerate().filter(|(_, leaf)| **leaf == OUTSIDE) {
            near[x.saturating_sub(reach)..(x + reach + 1).min(width)].fill(1);
        }
    }
    let mut deep = vec![true; leaf.len()];
    for y in 0..height {
        for near_y in y.saturating_sub(reach)..=(y + reach).min(height - 1) {
            let near = &near_side[near_y * width..][..width];
            for (deep, near) in deep[y * width..][..width].iter_mut().zip(near) {
                *deep &= *near == 0;
            }
        }
    }
    deep
}

/// Whether a pixel that is not green could be plant tissue by its colour.
fn may_be_tissue(planes: &Planes, at: usize, gap: &Region, background: &Background) -> bool {
    let (hue, saturation) = (planes.hue[at], planes.saturation[at]);
    let lightness = planes.lightness[at];
    if lightness < 0.16 || background.has(planes, at) {
        return false;
    }
    if tissue_coloured(planes, at) {
        return true;
    }
    // Inside the leaf also the purple-brown of old spots, and whitish tissue;
    // but nothing blue or magenta. Whitish tissue also at the leaf's edge, if
    // what is behind is not of that kind.
    let inside = gap.edge == 0 && f64::from(gap.area) < 0.02 * planes.hue.len() as f64;
    (inside && ((-45.0..=112.0).contains(&hue) || saturation < 0.04))
        || (whitish(planes, at) && !background.nearly_has(planes, at))
}

fn settings(
    planes: &Planes,
    green: &[u8],
    background: &Background,
    regions: &Regions,
) -> Vec<Setting> {
    let mut settings = vec![Setting::default(); regions.regions.len()];
    regions.each_border(|tissue, neighbour| {
        if green[neighbour] == 1 && regions.at(tissue).class == 1 {
            let setting = &mut settings[regions.label[tissue] as usize];
            setting.contact += 1;
            let (red, yellow) = (
                planes.red[tissue] - planes.red[neighbour],
                planes.yellow[tissue] - planes.yellow[neighbour],
            );
            setting.step += (red * red + yellow * yellow).sqrt();
        }
    });
    for at in 0..green.len() {
        if regions.at(at).class == 1 {
            let setting = &mut settings[regions.label[at] as usize];
            setting.lightness += planes.lightness[at];
            setting.saturation += planes.saturation[at];
            setting.red += planes.red[at];
            setting.nearly_background += u32::from(background.nearly_has(planes, at));
            setting.yellow += planes.yellow[at];
        }
    }
    settings
}

/// Whether a region of candidate colour belongs to the plant.
fn belongs(
    region: &Region,
    setting: &Setting,
    reference: &Reference,
    green_area: f32,
    photo_area: usize,
) -> bool {
    let area = region.area as f32;
    let contact = setting.contact as f32;
    // Spots lean all around, a dead tip with its one end; soil in a pot touches
    // the plant here and there along a long outline.
    let outline = region.perimeter as f32;
    let leans =
        contact >= 0.2 * outline || (contact >= 0.1 * outline && contact * contact >= 0.4 * area);
    if !leans || area > 3.0 * green_area {
        return false;
    }
    // Soil seen between leaves lies in their shade.
    let sizeable = area > 0.003 * photo_area as f32;
    if sizeable && setting.lightness / area < 0.6 * reference.lightness {
        return false;
    }
    // A bright wall or paper seen between leaves has a tinge of their green.
    let lighter = setting.lightness / area > reference.lightness + 0.1;
    if lighter && setting.nearly_background * 2 > region.area {
        return false;
    }
    // A petal or a fruit: large, brighter than the leaf, vivid, and set off
    // from the green by an edge, where yellowing tissue fades into it.
    let large = area > 0.01 * photo_area as f32;
    let vivid = setting.saturation / area > 0.12;
    let set_off = setting.step / contact.max(1.0) > 0.06;
    if large && lighter && vivid && set_off {
        return false;
    }
    // A hand or clay: redder than dead tissue, or as red and lighter than the
    // leaf, and in one large piece, where rust comes in many small ones.
    let reddish = setting.red > 0.75 * setting.yellow;
    let red = setting.red > 0.1 * area;
    let light = setting.lightness / area > reference.lightness + 0.08;
    !(large && reddish && (red || light))
}
