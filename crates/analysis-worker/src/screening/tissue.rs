//! Sorts the pixels of the leaf into healthy tissue and four symptoms.
//!
//! Owns the colour classes. Never widens or narrows the leaf, and never says
//! what causes a colour: rust-coloured is a colour, rust is a diagnosis.

use super::leaf::{GREEN, GROWN, OUTSIDE, deep};
use super::oklab::Planes;
use super::reference::{LocalLight, Reference};
use super::regions::{Neighbours, Regions};

/// What a pixel of the photo shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Tissue {
    /// Not part of a plant.
    Background = 0,
    /// Leaf without a visible symptom.
    Healthy = 1,
    /// Yellowed leaf.
    Chlorotic = 2,
    /// Orange to rusty brown, as the pustules of rust fungi are.
    Rust = 3,
    /// Brown, tan or blackened: dead.
    Necrotic = 4,
    /// Covered in whitish grey, as by powdery mildew.
    Mildew = 5,
}

/// Yellow-brown pixels, until their region is looked at.
const MAYBE_RUST: u8 = 6;
/// Those that only the company of others makes rust.
const HARDLY_RUST: u8 = 7;
/// A patch of unsure orange larger than this share of the leaf is no pustule.
const PUSTULE_SHARE: f32 = 0.02;
/// A patch smaller than this share of the photo is no patch.
const SPECK_SHARE: f64 = 0.000_02;

/// Labels each pixel of the photo with a [`Tissue`].
pub(super) fn classify(planes: &Planes, leaf: &[u8], reference: &Reference) -> Vec<Tissue> {
    let light = LocalLight::of(planes, leaf, reference);
    let mut map = vec![Tissue::Background as u8; leaf.len()];
    for (y, row) in map.chunks_exact_mut(planes.width).enumerate() {
        for (x, class) in row.iter_mut().enumerate() {
            let at = y * planes.width + x;
            if leaf[at] != OUTSIDE {
                *class = colour_class(planes, at, light.at(x, y), leaf[at] == GROWN, reference);
            }
        }
    }
    settle_rust(&mut map, planes.width);
    absorb_enclaves(&mut map, planes.width);
    keep_solid_mildew(&mut map, planes.width);
    drop_rims(&mut map, &deep(leaf, planes.width, 1), planes.width);
    drop_specks(&mut map, planes.width);
    map.into_iter().map(tissue).collect()
}

fn tissue(class: u8) -> Tissue {
    match class {
        0 => Tissue::Background,
        2 => Tissue::Chlorotic,
        3 => Tissue::Rust,
        4 => Tissue::Necrotic,
        5 => Tissue::Mildew,
        _ => Tissue::Healthy,
    }
}

fn colour_class(planes: &Planes, at: usize, local: f32, grown: bool, reference: &Reference) -> u8 {
    let (hue, saturation) = (planes.hue[at], planes.saturation[at]);
    let lightness = planes.lightness[at];
    // Yellowed against this photo's green, but never by what is yellow-green in all plants.
    let yellowed = (reference.hue - 13.0).clamp(98.0, 113.0);
    // On the way to orange: a small file blurs a pustule's colour into the green around it.
    let rusty = (reference.hue - 17.0).clamp(88.0, 103.0);
    let vivid = saturation > (0.65 * reference.saturation).max(0.13);
    // Loss of chlorophyll makes a leaf lighter; the pigment of spores makes it darker.
    let lighter = lightness > 1.1 * local;
    if hue > 20.0 && hue < rusty && vivid && !lighter && lightness > 0.25 {
        return match rusty - hue {
            more if more > 25.0 && saturation > 0.14 => Tissue::Rust as u8,
            more if more > 5.0 => MAYBE_RUST,
            _ => HARDLY_RUST,
        };
    }
    if hue > 25.0 && hue < 72.0 && saturation > 0.17 && lightness < 0.8 {
        return Tissue::Rust as u8;
    }
    if hue < yellowed && hue > 68.0 && saturation > 0.12 && lightness > 0.75 * local {
        return Tissue::Chlorotic as u8;
    }
    // Whitish in warm light too: far paler than the tan of dead tissue.
    if lightness > 1.3 * local && saturation < 0.055 && (30.0..=140.0).contains(&hue) {
        return Tissue::Mildew as u8;
    }
    // Burnt-out pixels have no colour left to judge.
    let burnt_out = lightness > 0.9 && saturation < 0.06;
    if hue < 98.0 && hue > -45.0 && saturation > 0.03 && !burnt_out {
        return Tissue::Necrotic as u8;
    }
    // Mixed with white the green keeps its hue; the gloss of the sky turns it blue.
    let whitened = saturation < 0.03 && planes.yellow[at] > -0.01
        || (reference.hue - 25.0..reference.hue + 12.0).contains(&hue);
    if whitened && lightness > 1.2 * local && saturation < 0.5 * reference.saturation {
        return Tissue::Mildew as u8;
    }
    if hue < yellowed && hue > 60.0 && saturation > 0.06 {
        return if grown {
            Tissue::Necrotic as u8
        } else {
            Tissue::Chlorotic as u8
        };
    }
    Tissue::Healthy as u8
}

/// Settles what is yellow-brown: rust where it is small, as pustules are, or
/// touches sure rust (hysteresis, as in Canny's edges, 1986), else yellowing.
fn settle_rust(map: &mut [u8], width: usize) {
    let sure = Tissue::Rust as u8;
    let leaf_area = map
        .iter()
        .filter(|&&class| class != Tissue::Background as u8)
        .count() as f32;
    let rusty: Vec<u8> = map
        .iter()
        .map(|&class| u8::from(class == sure || class >= MAYBE_RUST))
        .collect();
    let regions = Regions::of(&rusty, width, Neighbours::Eight);
    let mut cores = vec![[0_u32; 2]; regions.regions.len()];
    for (at, &class) in map.iter().enumerate() {
        let [sure_area, core_area] = &mut cores[regions.label[at] as usize];
        *sure_area += u32::from(class == sure);
        *core_area += u32::from(class == sure || class == MAYBE_RUST);
    }
    for (at, class) in map
        .iter_mut()
        .enumerate()
        .filter(|(_, class)| **class >= MAYBE_RUST)
    {
        let area = regions.at(at).area;
        let [sure_area, core_area] = cores[regions.label[at] as usize];
        let pustule = (area as f32) < PUSTULE_SHARE * leaf_area && core_area * 8 >= area;
        let rust = pustule || sure_area * 4 >= area;
        *class = if rust { sure } else { Tissue::Chlorotic as u8 };
    }
}

/// Rust-coloured specks in a brown lesion are its shading, and brown specks in
/// rust are: each goes with what mostly surrounds it, if that is larger.
fn absorb_enclaves(map: &mut [u8], width: usize) {
    let (rust, necrotic) = (Tissue::Rust as u8, Tissue::Necrotic as u8);
    let regions = Regions::of(map, width, Neighbours::Four);
    // Sides that face the other of the two, and the largest region there.
    let mut facing = vec![(0_u32, 0_u32); regions.regions.len()];
    regions.each_border(|at, other| {
        if map[at].abs_diff(map[other]) == 1 && map[at].min(map[other]) == rust {
            let (sides, largest) = &mut facing[regions.label[at] as usize];
            *sides += 1;
            *largest = (*largest).max(regions.at(other).area);
        }
    });
    for (at, class) in map.iter_mut().enumerate() {
        if *class == rust || *class == necrotic {
            let region = regions.at(at);
            let (sides, largest) = facing[regions.label[at] as usize];
            if sides * 2 > region.perimeter && largest > region.area {
                *class = rust + necrotic - *class;
            }
        }
    }
}

/// Glare on a glossy leaf is as pale as mildew, but thin: of the pale pixels
/// those stay that have others all around.
fn keep_solid_mildew(map: &mut [u8], width: usize) {
    let mildew = Tissue::Mildew as u8;
    let height = map.len() / width;
    let before = map.to_vec();
    for (at, class) in map
        .iter_mut()
        .enumerate()
        .filter(|(_, class)| **class == mildew)
    {
        let (x, y) = (at % width, at / width);
        let mut pale = 0;
        for near_y in y.saturating_sub(2)..=(y + 2).min(height - 1) {
            for near_x in x.saturating_sub(2)..=(x + 2).min(width - 1) {
                pale += u32::from(before[near_y * width + near_x] == mildew);
            }
        }
        if pale < 17 {
            *class = Tissue::Healthy as u8;
        }
    }
}

/// Drops what is only a rim of the leaf, where blur mixes in the background.
/// Pale pixels must each lie deeper: a white background spills far.
fn drop_rims(map: &mut [u8], deep: &[bool], width: usize) {
    let regions = Regions::of(map, width, Neighbours::Eight);
    let rims = regions.rims(deep);
    for (at, class) in map
        .iter_mut()
        .enumerate()
        .filter(|(_, class)| **class > GREEN)
    {
        let pale_rim = !deep[at] && *class == Tissue::Mildew as u8;
        if pale_rim || rims[regions.label[at] as usize] {
            *class = Tissue::Healthy as u8;
        }
    }
}

fn drop_specks(map: &mut [u8], width: usize) {
    let least = (map.len() as f64 * SPECK_SHARE).max(3.0) as u32;
    let regions = Regions::of(map, width, Neighbours::Eight);
    for (at, class) in map.iter_mut().enumerate() {
        if *class > GREEN && regions.at(at).area < least {
            *class = Tissue::Healthy as u8;
        }
    }
}
