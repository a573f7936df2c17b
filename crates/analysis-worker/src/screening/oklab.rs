//! Colours as people see them: the photo in OKLab, one plane a channel.
//!
//! Owns the conversion and the derived planes (hue, saturation). Never decides
//! what a colour means.
//!
//! OKLab: B. Ottosson, "A perceptual color space for image processing" (2020).
//! All three of its channels grow with the cube root of the light, so `a / L`
//! and `b / L` stay the same when a photo is exposed longer or a leaf lies in
//! shade. That is why everything downstream works with hue and with saturation
//! (chroma over lightness), not with chroma alone.

use super::decode::Raster;

/// A photo in OKLab, with hue and saturation at hand.
#[derive(Debug)]
pub(super) struct Planes {
    pub(super) width: usize,
    /// Lightness, 0 (black) to 1 (white).
    pub(super) lightness: Vec<f32>,
    /// Green (negative) to red (positive), over lightness.
    pub(super) red: Vec<f32>,
    /// Blue (negative) to yellow (positive), over lightness.
    pub(super) yellow: Vec<f32>,
    /// Hue in degrees, -180 to 180: red about 29, brown 60, yellow 110, green 142, blue -96.
    pub(super) hue: Vec<f32>,
    /// Chroma over lightness.
    pub(super) saturation: Vec<f32>,
    /// `red` and `yellow` in bins, for histograms: `yellow` bin times [`BINS`]
    /// plus `red` bin.
    pub(super) chroma_bin: Vec<u16>,
}

/// Bins a side of a histogram over `red` and `yellow`.
pub(super) const BINS: usize = 64;
/// Width of a bin; zero is in the middle of [`BINS`] of them.
pub(super) const BIN: f32 = 0.0125;

impl Planes {
    /// Converts a photo.
    pub(super) fn of(photo: &Raster) -> Self {
        let linear = linear_table();
        let count = photo.width * photo.height;
        let plane = || vec![0.0_f32; count];
        let mut planes = Self {
            width: photo.width,
            lightness: plane(),
            red: plane(),
            yellow: plane(),
            hue: plane(),
            saturation: plane(),
            chroma_bin: vec![0; count],
        };
        // Blocks small enough for the first cache; within one the loops are
        // plain enough for the compiler to take several pixels at a time.
        for (block, pixels) in photo.pixels.as_chunks::<3>().0.chunks(BLOCK).enumerate() {
            let from = block * BLOCK;
            let range = from..from + pixels.len();
            let lightness = &mut planes.lightness[range.clone()];
            let red = &mut planes.red[range.clone()];
            let yellow = &mut planes.yellow[range.clone()];
            for (at, pixel) in pixels.iter().enumerate() {
                [lightness[at], red[at], yellow[at]] =
                    pixel.map(|value| linear[usize::from(value)]);
            }
            for ((l, a), b) in lightness.iter_mut().zip(&mut *red).zip(&mut *yellow) {
                [*l, *a, *b] = oklab([*l, *a, *b]);
                // Black has no hue: a floor keeps its noise from looking saturated.
                let scale = 1.0 / l.max(0.05);
                (*a, *b) = (*a * scale, *b * scale);
            }
            let bins = &mut planes.chroma_bin[range.clone()];
            for (bin, (&a, &b)) in bins.iter_mut().zip(red.iter().zip(&*yellow)) {
                *bin = bin_of(b) * BINS as u16 + bin_of(a);
            }
            let angles = planes.hue[range.clone()].iter_mut();
            for ((hue, saturation), (&a, &b)) in angles
                .zip(&mut planes.saturation[range])
                .zip(red.iter().zip(&*yellow))
            {
                *hue = hue_degrees(a, b);
                *saturation = (a * a + b * b).sqrt();
            }
        }
        planes
    }
}

#[inline]
fn bin_of(value: f32) -> u16 {
    (value / BIN + BINS as f32 / 2.0).clamp(0.0, BINS as f32 - 1.0) as i32 as u16
}

/// Pixels that are converted together.
const BLOCK: usize = 512;

/// OKLab of linear sRGB, by Ottosson's two matrices.
#[expect(
    clippy::excessive_precision,
    reason = "the constants as they are published"
)]
#[inline]
fn oklab([r, g, b]: [f32; 3]) -> [f32; 3] {
    let l = cube_root(0.412_221_470_8 * r + 0.536_332_536_3 * g + 0.051_445_992_9 * b);
    let m = cube_root(0.211_903_498_2 * r + 0.680_699_545_1 * g + 0.107_396_956_6 * b);
    let s = cube_root(0.088_302_461_9 * r + 0.281_718_837_6 * g + 0.629_978_700_5 * b);
    [
        0.210_454_255_3 * l + 0.793_617_785_0 * m - 0.004_072_046_8 * s,
        1.977_998_495_1 * l - 2.428_592_205_0 * m + 0.450_593_709_9 * s,
        0.025_904_037_1 * l + 0.782_771_766_2 * m - 0.808_675_766_0 * s,
    ]
}

/// Cube root by a guess from the exponent and one step of Halley's method:
/// within 2e-5 for 0..=1, and a fraction of the cost of `f32::cbrt`.
#[inline]
fn cube_root(x: f32) -> f32 {
    let guess = f32::from_bits(x.to_bits() / 3 + 0x2a51_37a0);
    let cube = guess * guess * guess;
    guess * (cube + 2.0 * x) / (2.0 * cube + x + f32::MIN_POSITIVE)
}

/// The angle of (a, b) in degrees, to a tenth; 0 for no colour at all.
#[inline]
fn hue_degrees(a: f32, b: f32) -> f32 {
    let (x, y) = (a.abs(), b.abs());
    let ratio = x.min(y) / x.max(y).max(1e-9);
    let square = ratio * ratio;
    let angle = ratio * (57.272_6 + square * (-18.417_6 + square * (8.253_6 - square * 2.118)));
    let angle = if y > x { 90.0 - angle } else { angle };
    let angle = if a < 0.0 { 180.0 - angle } else { angle };
    if b < 0.0 { -angle } else { angle }
}

/// sRGB's transfer function (IEC 61966-2-1) for each byte.
fn linear_table() -> [f32; 256] {
    std::array::from_fn(|byte| {
        let value = byte as f32 / 255.0;
        if value <= 0.040_45 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planes_of(rgb: [u8; 3]) -> Planes {
        Planes::of(&Raster {
            width: 1,
            height: 1,
            pixels: rgb.to_vec(),
        })
    }

    #[test]
    fn known_colours_have_their_published_values() {
        // L, chroma, hue as CSS Color 4 gives them for oklch().
        for (rgb, lightness, chroma, hue) in [
            ([255, 0, 0], 0.628, 0.2577, 29.23),
            ([0, 128, 0], 0.5198, 0.1769, 142.5),
            ([255, 255, 0], 0.968, 0.211, 109.77),
            ([0, 0, 255], 0.452, 0.3132, 264.05 - 360.0),
        ] {
            let planes = planes_of(rgb);
            let chroma_seen = planes.saturation[0] * planes.lightness[0];
            assert!((planes.lightness[0] - lightness).abs() < 2e-3, "{rgb:?}");
            assert!((chroma_seen - chroma).abs() < 2e-3, "{rgb:?} {chroma_seen}");
            assert!(
                (planes.hue[0] - hue).abs() < 0.3,
                "{rgb:?} {}",
                planes.hue[0]
            );
        }
    }

    #[test]
    fn greys_have_no_saturation() {
        for grey in [0, 1, 40, 128, 254, 255] {
            assert!(planes_of([grey; 3]).saturation[0] < 2e-3, "{grey}");
        }
    }

    #[test]
    fn every_angle_is_right_to_a_tenth_of_a_degree() {
        for degree in -179..180 {
            let (b, a) = (degree as f32).to_radians().sin_cos();
            assert!((hue_degrees(a, b) - degree as f32).abs() < 0.1, "{degree}");
        }
    }
}
