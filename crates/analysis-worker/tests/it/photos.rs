//! Photos that the tests draw.

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};

/// A green leaf with rust-coloured spots before a white wall.
pub(crate) fn leaf() -> Vec<u8> {
    encode(|x, y| {
        let (dx, dy) = (f64::from(x) - 160.0, f64::from(y) - 120.0);
        let spot = |sx: f64, sy: f64| (dx - sx).hypot(dy - sy) < 9.0;
        if (dx / 130.0).powi(2) + (dy / 85.0).powi(2) > 1.0 {
            Rgb([245, 245, 245])
        } else if spot(-60.0, 10.0) || spot(20.0, -30.0) || spot(50.0, 25.0) {
            Rgb([178, 92, 24])
        } else {
            Rgb([62, 128, 44])
        }
    })
}

/// A grey wall.
pub(crate) fn wall() -> Vec<u8> {
    encode(|x, y| Rgb([128, 128, 128_u8.wrapping_add(((x ^ y) & 3) as u8)]))
}

fn encode(pixel: impl Fn(u32, u32) -> Rgb<u8>) -> Vec<u8> {
    let mut bytes = Vec::new();
    RgbImage::from_fn(320, 240, pixel)
        .write_to(&mut Cursor::new(&mut bytes), ImageFormat::Jpeg)
        .unwrap();
    bytes
}
