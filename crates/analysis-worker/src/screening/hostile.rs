//! What people send that is no plant photo: each gets its error, none a panic.

use image::{DynamicImage, ImageBuffer, Luma, LumaA, Rgb, Rgba};
use proptest::prelude::*;

use super::drawing::{Scene, draw};
use super::{MAX_BYTES, ScreenError, screen};

fn outcome(photo: &[u8]) -> Result<Option<u8>, ScreenError> {
    screen(photo, &mut |_| {}).map(|screening| screening.result.overall_health_score)
}

fn png(picture: impl Into<DynamicImage>) -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    picture
        .into()
        .write_to(&mut file, image::ImageFormat::Png)
        .unwrap();
    file.into_inner()
}

#[test]
fn what_is_no_photo_is_named_so() {
    for bytes in [
        &b""[..],
        b"x",
        b"PK\x03\x04zip",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"GIF89a",
    ] {
        assert_eq!(outcome(bytes), Err(ScreenError::NotAnImage));
    }
    assert_eq!(outcome(b"\xff\xd8\xff\xe0"), Err(ScreenError::Undecodable));
    assert_eq!(outcome(b"\x89PNG\r\n\x1a\n"), Err(ScreenError::Undecodable));
    assert_eq!(
        outcome(b"RIFF\x10\0\0\0WEBPVP8 "),
        Err(ScreenError::Undecodable)
    );
    let long = vec![0xff; MAX_BYTES + 1];
    assert_eq!(
        outcome(&long),
        Err(ScreenError::TooManyBytes {
            bytes: MAX_BYTES + 1
        })
    );
}

#[test]
fn a_bomb_is_refused_by_its_header() {
    // A PNG header of 50,000 x 50,000 pixels, its checksum right, no data behind.
    let mut bomb = png(ImageBuffer::from_pixel(64, 64, Luma([0_u8])));
    bomb[16..20].copy_from_slice(&50_000_u32.to_be_bytes());
    bomb[20..24].copy_from_slice(&50_000_u32.to_be_bytes());
    let checksum = crc32(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&checksum.to_be_bytes());
    let expected = ScreenError::TooManyPixels {
        width: 50_000,
        height: 50_000,
    };
    assert_eq!(outcome(&bomb), Err(expected));
}

/// CRC-32 as PNG has it (ISO 3309), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |mut crc, &byte| {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
        crc
    })
}

#[test]
fn odd_pictures_get_an_answer() {
    let none = Err(ScreenError::NoPlant);
    let too_small = Err(ScreenError::TooSmall {
        width: 31,
        height: 400,
    });
    assert_eq!(
        outcome(&png(ImageBuffer::from_pixel(
            31,
            400,
            Rgb([20_u8, 120, 20])
        ))),
        too_small
    );
    for value in [0_u8, 128, 255] {
        assert_eq!(
            outcome(&png(ImageBuffer::from_pixel(64, 48, Luma([value])))),
            none
        );
        assert_eq!(
            outcome(&png(ImageBuffer::from_pixel(64, 48, LumaA([value, 9])))),
            none
        );
    }
    // Transparent green is the white page.
    assert_eq!(
        outcome(&png(ImageBuffer::from_pixel(
            64,
            48,
            Rgba([20_u8, 120, 20, 0])
        ))),
        none
    );
    let deep = ImageBuffer::from_pixel(64, 48, Rgb([5_000_u16, 30_000, 5_000]));
    assert_eq!(outcome(&png(deep)), Ok(Some(100)));
    // All leaf, and as long and thin as a file may be.
    assert_eq!(
        outcome(&png(ImageBuffer::from_pixel(
            9_000,
            32,
            Rgb([60_u8, 120, 40])
        ))),
        Ok(Some(100))
    );
    assert_eq!(
        outcome(&png(ImageBuffer::from_pixel(
            32,
            9_000,
            Rgb([60_u8, 120, 40])
        ))),
        Ok(Some(100))
    );
}

#[test]
fn the_same_photo_has_the_same_result() {
    let photo = draw(&Scene::default()).jpeg(80);
    let mut stages = Vec::new();
    let first = screen(&photo, &mut |stage| stages.push(stage.percent())).unwrap();
    let second = screen(&photo, &mut |_| {}).unwrap();
    assert_eq!(first.result, second.result);
    assert_eq!(first.overlay, second.overlay);
    assert_eq!(stages.len(), 4);
    assert!(stages.is_sorted() && stages.iter().all(|&percent| percent < 100));
    let overlay = image::load_from_memory(&first.overlay.bytes).unwrap();
    assert_eq!(overlay.width() as usize, first.labels.width());
    assert_eq!(overlay.height() as usize, first.labels.height());
}

#[test]
fn a_photo_that_is_turned_by_its_exif_block_is_analysed_upright() {
    let photo = draw(&Scene {
        width: 120,
        height: 80,
        ..Scene::default()
    })
    .jpeg(80);
    // APP1 behind the start marker: TIFF, little-endian, one entry, orientation 6.
    let exif =
        b"\xff\xe1\0\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let turned = [&photo[..2], &exif[..], &photo[2..]].concat();
    let labels = screen(&turned, &mut |_| {}).unwrap().labels;
    assert_eq!((labels.width(), labels.height()), (80, 120));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_damaged_photo_never_panics(
        at in 0_usize..4_000, value: u8, keep in 0.0_f64..1.0, lossless: bool,
    ) {
        let drawing = draw(&Scene { width: 64, height: 48, ..Scene::default() });
        let mut photo = if lossless { drawing.png() } else { drawing.jpeg(70) };
        let index = at % photo.len();
        photo[index] = value;
        photo.truncate((photo.len() as f64 * keep) as usize);
        let _ = outcome(&photo);
    }
}
