//! From bytes to a small upright RGB picture.
//!
//! Owns the limits (bytes, pixels, memory) and the working resolution. Never
//! looks at what the photo shows, and never trusts a name or a declared type:
//! the content decides.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::metadata::Orientation;
use image::{
    DynamicImage, ImageBuffer, ImageDecoder, ImageFormat, ImageReader, Limits, Pixel, Rgb,
};

use super::ScreenError;

/// Most bytes of a photo.
pub const MAX_BYTES: usize = 10 * 1024 * 1024;
/// Most pixels of a photo, as its header tells them.
pub const MAX_PIXELS: u64 = 40_000_000;
/// The shortest side on which tissue can be told apart.
pub const MIN_SIDE: u32 = 32;
/// Pixels that are analysed: enough for a pustule of a leaf that fills the
/// photo, few enough for the whole analysis to take some tens of milliseconds.
const WORKING_PIXELS: f64 = 420_000.0;
/// A panorama is scaled down further: every file format can carry this side.
const WORKING_SIDE: f64 = 4096.0;
/// Covers 40 million pixels of four 16-bit channels, and the decoders' own buffers.
const MAX_DECODER_MEMORY: u64 = 512 * 1024 * 1024;

/// An RGB picture, three bytes a pixel, rows from the top.
#[derive(Debug, Clone)]
pub(super) struct Raster {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) pixels: Vec<u8>,
}

/// Decodes a photo to the working resolution, upright.
///
/// None of the decoders can scale while it decodes, so 40 million pixels cost
/// about 120 MB for a moment (a progressive JPEG twice more); what stays is
/// under 2 MB.
pub(super) fn decode(photo: &[u8]) -> Result<Raster, ScreenError> {
    if photo.len() > MAX_BYTES {
        return Err(ScreenError::TooManyBytes { bytes: photo.len() });
    }
    let format = image::guess_format(photo).map_err(|_| ScreenError::NotAnImage)?;
    if !matches!(
        format,
        ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP
    ) {
        return Err(ScreenError::NotAnImage);
    }
    // The decoders are others' code on hostile input. A panic in one is that
    // photo's failure, not the worker's.
    catch_unwind(AssertUnwindSafe(|| decode_as(photo, format)))
        .unwrap_or(Err(ScreenError::Undecodable))
}

fn decode_as(photo: &[u8], format: ImageFormat) -> Result<Raster, ScreenError> {
    let undecodable = |_| ScreenError::Undecodable;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODER_MEMORY);
    let mut reader = ImageReader::with_format(Cursor::new(photo), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(undecodable)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(ScreenError::TooManyPixels { width, height });
    }
    if width.min(height) < MIN_SIDE {
        return Err(ScreenError::TooSmall { width, height });
    }
    // A photo whose EXIF block is broken is still a photo.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let decoded = DynamicImage::from_decoder(decoder).map_err(undecodable)?;
    let small = match &decoded {
        DynamicImage::ImageRgb8(picture) => shrink(picture, |pixel| pixel.0.map(u32::from)),
        DynamicImage::ImageLuma8(picture) => shrink(picture, |pixel| [u32::from(pixel.0[0]); 3]),
        DynamicImage::ImageRgba8(picture) => shrink(picture, |pixel| on_white(pixel.0)),
        _ => shrink(&decoded.into_rgba8(), |pixel| on_white(pixel.0)),
    };
    upright(small, orientation)
}

/// What is transparent shows the page behind it: cut-out leaves stand on white.
fn on_white([r, g, b, alpha]: [u8; 4]) -> [u32; 3] {
    let alpha = u32::from(alpha);
    [r, g, b].map(|value| (u32::from(value) * alpha + 255 * (255 - alpha) + 127) / 255)
}

/// Averages blocks of pixels down to the working resolution.
fn shrink<P: Pixel<Subpixel = u8>>(
    picture: &ImageBuffer<P, Vec<u8>>,
    rgb: impl Fn(&P) -> [u32; 3],
) -> Raster {
    let (full_width, full_height) = (picture.width() as usize, picture.height() as usize);
    let by_area = (WORKING_PIXELS / (full_width * full_height) as f64).sqrt();
    let shrinking = by_area
        .min(WORKING_SIDE / full_width.max(full_height) as f64)
        .min(1.0);
    let scaled = |side: usize| ((side as f64 * shrinking) as usize).max(1);
    let (width, height) = (scaled(full_width), scaled(full_height));
    let columns: Vec<usize> = (0..=width).map(|x| x * full_width / width).collect();
    let mut pixels = Vec::with_capacity(width * height * 3);
    let mut sums = vec![[0_u32; 3]; width];
    for y in 0..height {
        let (top, bottom) = (y * full_height / height, (y + 1) * full_height / height);
        sums.fill([0; 3]);
        for row in picture.rows().skip(top).take(bottom - top) {
            let mut row = row;
            for (sum, bounds) in sums.iter_mut().zip(columns.windows(2)) {
                for pixel in row.by_ref().take(bounds[1] - bounds[0]) {
                    let [r, g, b] = rgb(pixel);
                    *sum = [sum[0] + r, sum[1] + g, sum[2] + b];
                }
            }
        }
        for (sum, bounds) in sums.iter().zip(columns.windows(2)) {
            let count = ((bounds[1] - bounds[0]) * (bottom - top)) as u32;
            pixels.extend(sum.map(|total| ((total + count / 2) / count) as u8));
        }
    }
    Raster {
        width,
        height,
        pixels,
    }
}

/// Turns the small picture as its EXIF block says; cheap at this size.
fn upright(small: Raster, orientation: Orientation) -> Result<Raster, ScreenError> {
    if orientation == Orientation::NoTransforms {
        return Ok(small);
    }
    let picture: ImageBuffer<Rgb<u8>, _> =
        ImageBuffer::from_raw(small.width as u32, small.height as u32, small.pixels)
            .ok_or(ScreenError::Undecodable)?;
    let mut picture = DynamicImage::ImageRgb8(picture);
    picture.apply_orientation(orientation);
    let picture = picture.into_rgb8();
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    Ok(Raster {
        width,
        height,
        pixels: picture.into_raw(),
    })
}
