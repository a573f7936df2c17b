//! The picture for the user: the photo with every symptom outlined.
//!
//! Owns the colours of the outlines and the encoding. Never decides what is
//! outlined.

use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;

use super::decode::Raster;
use super::tissue::Tissue;

/// Shown small in a list and full size once: artefacts at 80 are not seen.
const QUALITY: u8 = 80;

/// An encoded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    /// The file.
    pub bytes: Vec<u8>,
    /// Its type, e.g. `image/jpeg`.
    pub media_type: &'static str,
}

/// The colour in which a kind of tissue is outlined: none occurs on leaves.
#[must_use]
pub fn outline_colour(tissue: Tissue) -> Option<[u8; 3]> {
    match tissue {
        Tissue::Background | Tissue::Healthy => None,
        Tissue::Chlorotic => Some([255, 235, 0]),
        Tissue::Rust => Some([255, 0, 140]),
        Tissue::Necrotic => Some([0, 225, 255]),
        Tissue::Mildew => Some([120, 60, 255]),
    }
}

/// Draws the outlines on the photo, its background darkened, and encodes it.
pub(super) fn draw(photo: &Raster, map: &[Tissue]) -> Overlay {
    let width = photo.width;
    let mut pixels = photo.pixels.clone();
    for (y, row) in pixels.chunks_exact_mut(3 * width).enumerate() {
        let start = y * width;
        let here = &map[start..start + width];
        // At the photo's edge a patch has no rim: the row stands for its own neighbour.
        let above = if y > 0 {
            &map[start - width..start]
        } else {
            here
        };
        let below = map.get(start + width..start + 2 * width).unwrap_or(here);
        for (x, pixel) in row.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            let tissue = here[x];
            if tissue == Tissue::Background {
                *pixel = pixel.map(|value| value / 2);
            } else if let Some(colour) = outline_colour(tissue) {
                let (left, right) = (here[x.saturating_sub(1)], here[(x + 1).min(width - 1)]);
                if [left, right, above[x], below[x]]
                    .iter()
                    .any(|&other| other != tissue)
                {
                    *pixel = colour;
                }
            }
        }
    }
    let mut bytes = Vec::with_capacity(pixels.len() / 8);
    let (width, height) = (photo.width as u32, photo.height as u32);
    JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .encode(&pixels, width, height, ExtendedColorType::Rgb8)
        .expect("a working picture fits a JPEG, and memory takes every write");
    Overlay {
        bytes,
        media_type: "image/jpeg",
    }
}
