//! Photos drawn by the tests: a leaf with rust-coloured spots on pale soil.

use std::{f64::consts::PI, io::Cursor};

use image::{ImageFormat, Rgb, RgbImage, codecs::jpeg::JpegEncoder};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};

const SOIL: [u8; 3] = [186, 178, 166];
const LEAF: [u8; 3] = [72, 128, 52];
const RUST: [u8; 3] = [176, 84, 22];

/// A small JPEG, quick to analyse; each seed gives another one.
#[must_use]
pub fn small(seed: u64) -> Vec<u8> {
    jpeg(&leaf(240, 180, 12, seed))
}

/// A JPEG of two megapixels, as phones send them.
#[must_use]
pub fn two_megapixels(seed: u64) -> Vec<u8> {
    jpeg(&leaf(1632, 1224, 60, seed))
}

/// A JPEG without any plant.
#[must_use]
pub fn no_plant() -> Vec<u8> {
    jpeg(&leaf_with(240, 180, &[], 1, |_, _| 2.0))
}

/// A leaf with spots.
#[must_use]
pub fn leaf(width: u32, height: u32, spots: usize, seed: u64) -> RgbImage {
    let mut random = SmallRng::seed_from_u64(seed);
    let across = move |x: f64, y: f64| across_leaf(x / f64::from(width), y / f64::from(height));
    let mut placed = Vec::with_capacity(spots);
    while placed.len() < spots {
        let x = random.random_range(0.1..0.9) * f64::from(width);
        let y = random.random_range(0.0..1.0) * f64::from(height);
        if across(x, y).abs() < 0.85 {
            placed.push((x, y, f64::from(width) * random.random_range(0.008..0.02)));
        }
    }
    leaf_with(width, height, &placed, seed, across)
}

fn leaf_with(
    width: u32,
    height: u32,
    spots: &[(f64, f64, f64)],
    seed: u64,
    across: impl Fn(f64, f64) -> f64,
) -> RgbImage {
    let mut grain = SmallRng::seed_from_u64(seed ^ 0x5eed);
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (f64::from(x), f64::from(y));
        let in_spot = |(sx, sy, r): &(f64, f64, f64)| (x - sx).hypot((y - sy) * 1.6) < *r;
        let colour = match across(x, y).abs() > 1.0 {
            true => SOIL,
            false if spots.iter().any(in_spot) => RUST,
            false => LEAF,
        };
        Rgb(colour.map(|c| c.saturating_add_signed(grain.random_range(-6..=6))))
    })
}

/// -1 at the leaf's upper edge, 0 on its midrib, 1 at the lower edge.
fn across_leaf(along: f64, down: f64) -> f64 {
    if !(0.04..0.96).contains(&along) {
        return 2.0;
    }
    let half = 0.34 * (PI * (along - 0.04) / 0.92).sin().powf(0.6);
    (down - 0.5) / half.max(1e-6)
}

/// The photo as a JPEG file.
#[must_use]
pub fn jpeg(photo: &RgbImage) -> Vec<u8> {
    let mut file = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut file, 88);
    photo
        .write_with_encoder(encoder)
        .expect("a picture in memory can be encoded");
    file
}

/// The photo as a PNG file.
#[must_use]
pub fn png(photo: &RgbImage) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    photo
        .write_to(&mut file, ImageFormat::Png)
        .expect("a picture in memory can be encoded");
    file.into_inner()
}
