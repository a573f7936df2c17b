//! What an upload is, judged by its bytes and never by its name or declared
//! type: JPEG, PNG or WebP, whole as far as can be told without decoding, and
//! of a size that is safe to decode.

use std::io::Cursor;

use image::{ImageFormat, ImageReader, Limits};

/// A type of image that is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaType {
    /// `image/jpeg`
    Jpeg,
    /// `image/png`
    Png,
    /// `image/webp`
    Webp,
}

impl MediaType {
    /// As in a `Content-Type` header.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
        }
    }

    /// The usual ending of a file's name.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
        }
    }

    pub(super) fn of_extension(text: &str) -> Option<Self> {
        [Self::Jpeg, Self::Png, Self::Webp]
            .into_iter()
            .find(|kind| kind.extension() == text)
    }

    fn format(self) -> ImageFormat {
        match self {
            Self::Jpeg => ImageFormat::Jpeg,
            Self::Png => ImageFormat::Png,
            Self::Webp => ImageFormat::WebP,
        }
    }
}

/// An image that is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inspected {
    /// What it is.
    pub media_type: MediaType,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
}

/// Why bytes are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is nothing.
    #[error("it is empty")]
    Empty,
    /// It is something else; what it looks like.
    #[error("it is {0}, whatever its name says")]
    Other(&'static str),
    /// It begins as an accepted type and ends too early.
    #[error("it is cut off")]
    Truncated,
    /// Its header makes no sense.
    #[error("its header is damaged")]
    Damaged,
    /// Decoding it would take too much memory.
    #[error("it has {width} x {height} pixels")]
    TooManyPixels {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
    },
}

/// Memory that reading a header may take: real headers need far less.
const HEADER_MEMORY: u64 = 64 * 1024 * 1024;

const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Judges `bytes`. It reads headers only; still, it belongs off the async threads.
///
/// # Errors
/// [`Rejection`] says what is wrong.
pub fn inspect(bytes: &[u8], max_pixels: u64) -> Result<Inspected, Rejection> {
    let media_type = sniff(bytes)?;
    let whole = match media_type {
        MediaType::Jpeg => jpeg_has_end(bytes),
        MediaType::Png => png_has_end(bytes),
        MediaType::Webp => webp_is_complete(bytes),
    };
    let (width, height) = match dimensions(bytes, media_type) {
        Some(found) => found,
        None if whole => return Err(Rejection::Damaged),
        None => return Err(Rejection::Truncated),
    };
    if u64::from(width) * u64::from(height) > max_pixels {
        return Err(Rejection::TooManyPixels { width, height });
    }
    if width == 0 || height == 0 {
        return Err(Rejection::Damaged);
    }
    if !whole {
        return Err(Rejection::Truncated);
    }
    Ok(Inspected {
        media_type,
        width,
        height,
    })
}

fn dimensions(bytes: &[u8], media_type: MediaType) -> Option<(u32, u32)> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), media_type.format());
    let mut limits = Limits::default();
    limits.max_alloc = Some(HEADER_MEMORY);
    reader.limits(limits);
    reader.into_dimensions().ok()
}

fn sniff(bytes: &[u8]) -> Result<MediaType, Rejection> {
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    let riff = |kind: &[u8]| starts(b"RIFF") && bytes.get(8..12) == Some(kind);
    if bytes.is_empty() {
        return Err(Rejection::Empty);
    }
    if starts(b"\xff\xd8\xff") {
        return Ok(MediaType::Jpeg);
    }
    if starts(PNG_SIGNATURE) {
        return Ok(MediaType::Png);
    }
    if riff(b"WEBP") {
        return Ok(MediaType::Webp);
    }
    Err(Rejection::Other(other_kind(bytes)))
}

/// A name for what is often sent instead, so that the sender knows what to do.
fn other_kind(bytes: &[u8]) -> &'static str {
    const KNOWN: &[(&[u8], &str)] = &[
        (b"GIF8", "a GIF"),
        (b"BM", "a BMP"),
        (b"II*\0", "a TIFF"),
        (b"MM\0*", "a TIFF"),
        (b"PK", "a zip archive"),
        (b"%PDF", "a PDF"),
        (b"\x1f\x8b", "a gzip archive"),
        (b"MZ", "a program"),
        (b"\x7fELF", "a program"),
    ];
    if let Some((_, name)) = KNOWN.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return name;
    }
    if bytes.get(4..8) == Some(b"ftyp") {
        return match bytes.get(8..11) {
            Some(b"hei" | b"hev" | b"mif") => "a HEIC photo",
            Some(b"avi") => "an AVIF picture",
            _ => "a video",
        };
    }
    let text = bytes.trim_ascii_start();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    if text.starts_with(b"<") {
        return "an SVG or another XML or HTML text";
    }
    "no known picture"
}

/// Walks the segments to the scan, behind which `FF D9` can only be the end:
/// entropy-coded data stuffs each `FF` with `00` (ITU T.81 B.1.1.5). Looking
/// from the start would find the end of a thumbnail.
fn jpeg_has_end(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xff, marker]) = bytes.get(at..at + 2) {
        match marker {
            0xff => at += 1,
            0x01 | 0xd0..=0xd7 => at += 2,
            0xda => {
                let scan = &bytes[at..];
                return scan.windows(2).any(|pair| pair == [0xff, 0xd9]);
            }
            _ => {
                let Some(&[high, low]) = bytes.get(at + 2..at + 4) else {
                    return false;
                };
                at += 2 + usize::from(u16::from_be_bytes([high, low])).max(2);
            }
        }
    }
    false
}

/// Walks the chunks (PNG specification, section 5) to `IEND`.
fn png_has_end(bytes: &[u8]) -> bool {
    const FRAME: usize = 12;
    let mut at = PNG_SIGNATURE.len();
    while let Some(&[a, b, c, d, ref kind @ ..]) = bytes.get(at..at + 8) {
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let Some(end) = at
            .checked_add(FRAME + length)
            .filter(|end| *end <= bytes.len())
        else {
            return false;
        };
        if kind == b"IEND" {
            return true;
        }
        at = end;
    }
    false
}

/// The container names its own length (RFC 9649, section 2.4).
fn webp_is_complete(bytes: &[u8]) -> bool {
    let Some(&[a, b, c, d]) = bytes.get(4..8) else {
        return false;
    };
    let told = u32::from_le_bytes([a, b, c, d]) as usize;
    told.checked_add(8)
        .is_some_and(|length| length >= 20 && length <= bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(format: ImageFormat) -> Vec<u8> {
        let picture =
            image::RgbImage::from_fn(64, 48, |x, y| image::Rgb([x as u8 * 4, y as u8 * 5, 90]));
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    const ALL: [(MediaType, ImageFormat); 3] = [
        (MediaType::Jpeg, ImageFormat::Jpeg),
        (MediaType::Png, ImageFormat::Png),
        (MediaType::Webp, ImageFormat::WebP),
    ];

    #[test]
    fn whole_pictures_are_accepted() {
        for (media_type, format) in ALL {
            let found = inspect(&drawn(format), 10_000).unwrap();
            assert_eq!(
                found,
                Inspected {
                    media_type,
                    width: 64,
                    height: 48
                }
            );
        }
    }

    #[test]
    fn a_picture_cut_anywhere_is_refused() {
        for (_, format) in ALL {
            let whole = drawn(format);
            for length in 0..whole.len() - 1 {
                assert!(
                    inspect(&whole[..length], 10_000).is_err(),
                    "{format:?} cut at {length}"
                );
            }
        }
    }

    #[test]
    fn phones_append_to_their_photos() {
        let mut photo = drawn(ImageFormat::Jpeg);
        photo.extend_from_slice(b"a trailer of the camera");
        assert!(inspect(&photo, 10_000).is_ok());
    }

    #[test]
    fn too_many_pixels_are_refused_from_the_header() {
        for (_, format) in ALL {
            let refused = inspect(&drawn(format), 64 * 48 - 1).unwrap_err();
            assert_eq!(
                refused,
                Rejection::TooManyPixels {
                    width: 64,
                    height: 48
                }
            );
        }
        // A PNG of a few bytes that claims four thousand million pixels.
        let mut bomb = drawn(ImageFormat::Png);
        bomb[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
        assert!(inspect(&bomb, 40_000_000).is_err());
    }

    #[test]
    fn what_is_something_else_is_named() {
        for (bytes, name) in [
            (&b"GIF89a"[..], "a GIF"),
            (b"PK\x03\x04", "a zip archive"),
            (
                b"  <svg xmlns=\"http://www.w3.org/2000/svg\"/>",
                "an SVG or another XML or HTML text",
            ),
            (
                b"\xef\xbb\xbf<?xml version=\"1.0\"?>",
                "an SVG or another XML or HTML text",
            ),
            (b"\0\0\0\x18ftypheic", "a HEIC photo"),
            (b"hello", "no known picture"),
            (b"RIFF\0\0\0\0WAVE", "no known picture"),
        ] {
            assert_eq!(inspect(bytes, 100), Err(Rejection::Other(name)));
        }
        assert_eq!(inspect(b"", 100), Err(Rejection::Empty));
    }

    #[test]
    fn damage_never_panics() {
        for (_, format) in ALL {
            let whole = drawn(format);
            for at in 0..whole.len().min(400) {
                for value in [0, 0x7f, 0xff] {
                    let mut damaged = whole.clone();
                    damaged[at] = value;
                    let _ = inspect(&damaged, 10_000);
                }
            }
        }
    }
}
