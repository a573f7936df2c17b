//! Sorts the pixels of the leaf into healthy tissue and four symptoms.
//!
//! Owns the colour classes. Never widens or narrows the leaf, and never says
//! what causes a colour: rust-coloured is a colour, rust is a diagnosis.

use super::leaf::{GREEN, GROWN, OUTSIDE};
use super::oklab::Planes;
use super::reference::Reference;
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

/// The pixels that are labelled `Rust` only if they touch a sure one.
const MAYBE_RUST: u8 = 6;
/// A patch smaller than this share of the photo is no patch.
const SPECK_SHARE: f64 = 0.000_02;

/// Labels each pixel of the photo with a [`Tissue`].
pub(super) fn classify(planes: &Planes, leaf: &[u8], reference: &Reference) -> Vec<Tissue> {
    let mut map: Vec<u8> = (0..leaf.len())
        .map(|at| match leaf[at] {
            OUTSIDE => Tissue::Background as u8,
            kind => colour_class(planes, at, kind == GROWN, reference),
        })
        .collect();
    settle_rust(&mut map, planes.width);
    keep_solid_mildew(&mut map, planes.width);
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

fn colour_class(planes: &Planes, at: usize, grown: bool, reference: &Reference) -> u8 {
    let (hue, saturation) = (planes.hue[at], planes.saturation[at]);
    let lightness = planes.lightness[at];
    // Yellowed against this photo's green, but never by what is yellow-green in all plants.
    let yellowed = (reference.hue - 14.0).clamp(98.0, 110.0);
    if hue < 76.0 && hue > 25.0 && saturation > 0.15 && (0.25..0.78).contains(&lightness) {
        return Tissue::Rust as u8;
    }
    if hue < 84.0 && hue > 20.0 && saturation > 0.115 && (0.25..0.78).contains(&lightness) {
        return MAYBE_RUST;
    }
    if hue < yellowed && hue > 60.0 && saturation > 0.13 && lightness > 0.7 * reference.lightness {
        return Tissue::Chlorotic as u8;
    }
    if hue < 98.0 && hue > -45.0 && saturation > 0.03 {
        return Tissue::Necrotic as u8;
    }
    if lightness > reference.lightness + 0.12
        && saturation < 0.45 * reference.saturation
        && planes.yellow[at] > -0.005
    {
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

/// A pustule is darker and duller at its rim: what touches a sure pixel is
/// rust, what stands alone is dead tissue (hysteresis, as in Canny's edges, 1986).
fn settle_rust(map: &mut [u8], width: usize) {
    let rusty: Vec<u8> = map
        .iter()
        .map(|&class| u8::from(class == Tissue::Rust as u8 || class == MAYBE_RUST))
        .collect();
    let regions = Regions::of(&rusty, width, Neighbours::Eight);
    let mut sure = vec![0_u32; regions.regions.len()];
    for (at, &class) in map.iter().enumerate() {
        sure[regions.label[at] as usize] += u32::from(class == Tissue::Rust as u8);
    }
    for (at, class) in map.iter_mut().enumerate() {
        if rusty[at] == 1 {
            let region = regions.label[at] as usize;
            let rust = sure[region] * 5 >= regions.regions[region].area;
            *class = if rust {
                Tissue::Rust as u8
            } else {
                Tissue::Necrotic as u8
            };
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

fn drop_specks(map: &mut [u8], width: usize) {
    let least = (map.len() as f64 * SPECK_SHARE).max(3.0) as u32;
    let regions = Regions::of(map, width, Neighbours::Eight);
    for (at, class) in map.iter_mut().enumerate() {
        if *class > GREEN && regions.at(at).area < least {
            *class = Tissue::Healthy as u8;
        }
    }
}
