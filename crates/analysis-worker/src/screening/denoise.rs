//! Smooths a photo as much as its own noise asks for.
//!
//! Owns the noise estimate and the smoothing. Never removes detail from a
//! clean photo: a rust pustule may be three pixels wide.

use std::borrow::Cow;

use super::decode::Raster;

/// Standard deviation of the green-magenta difference (in byte steps) above
/// which hue can no longer be read from a single pixel.
const NOISY: f64 = 3.0;

/// Smooths the photo with one 3 x 3 mean, or two when it is very noisy.
pub(super) fn denoise(photo: &Raster) -> Cow<'_, Raster> {
    let noise = noise(photo);
    if noise < NOISY {
        return Cow::Borrowed(photo);
    }
    let once = mean_of_nine(photo);
    Cow::Owned(if noise < 3.0 * NOISY {
        once
    } else {
        mean_of_nine(&once)
    })
}

/// Noise of the colour difference 2G - R - B, by J. Immerkaer's mask, "Fast
/// Noise Variance Estimation" (1996), which cancels flat areas and edges. The
/// brightness is left out: the texture of a leaf is not noise.
fn noise(photo: &Raster) -> f64 {
    if photo.width < 3 || photo.height < 3 {
        return 0.0;
    }
    let row_bytes = photo.width * 3;
    let difference = |row: &[u8], x: usize| {
        2 * i32::from(row[3 * x + 1]) - i32::from(row[3 * x]) - i32::from(row[3 * x + 2])
    };
    let rows: Vec<&[u8]> = photo.pixels.chunks_exact(row_bytes).collect();
    let (mut sum, mut count) = (0_i64, 0_i64);
    // Every fourth row is plenty for a mean.
    for three in rows.windows(3).step_by(4) {
        for x in 1..photo.width - 1 {
            let [above, here, below] = [three[0], three[1], three[2]];
            let mask = difference(above, x - 1) - 2 * difference(above, x)
                + difference(above, x + 1)
                - 2 * difference(here, x - 1)
                + 4 * difference(here, x)
                - 2 * difference(here, x + 1)
                + difference(below, x - 1)
                - 2 * difference(below, x)
                + difference(below, x + 1);
            sum += i64::from(mask.abs());
            count += 1;
        }
    }
    // The difference adds up two green bytes and two others: its deviation is
    // the square root of six times that of one.
    (std::f64::consts::FRAC_PI_2).sqrt() * sum as f64 / (6.0 * count as f64) / 6_f64.sqrt()
}

fn mean_of_nine(photo: &Raster) -> Raster {
    let (width, height) = (photo.width, photo.height);
    let row_bytes = width * 3;
    let mut pixels = vec![0_u8; photo.pixels.len()];
    let mut columns = vec![0_u16; row_bytes];
    for y in 0..height {
        let (above, below) = (y.saturating_sub(1), (y + 1).min(height - 1));
        let rows = [above, y, below].map(|row| &photo.pixels[row * row_bytes..][..row_bytes]);
        for (at, sum) in columns.iter_mut().enumerate() {
            *sum = u16::from(rows[0][at]) + u16::from(rows[1][at]) + u16::from(rows[2][at]);
        }
        let target = &mut pixels[y * row_bytes..][..row_bytes];
        for (at, value) in target.iter_mut().enumerate() {
            let left = columns[if at < 3 { at } else { at - 3 }];
            let right = columns[if at + 3 < row_bytes { at + 3 } else { at }];
            *value = ((left + columns[at] + right + 4) / 9) as u8;
        }
    }
    Raster {
        width,
        height,
        pixels,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clean_edge_stays_sharp_and_noise_goes() {
        let edge: Vec<u8> = (0..64 * 64)
            .flat_map(|at| {
                if at % 64 < 32 {
                    [30, 120, 40]
                } else {
                    [200, 90, 30]
                }
            })
            .collect();
        let photo = Raster {
            width: 64,
            height: 64,
            pixels: edge.clone(),
        };
        let clean = denoise(&photo);
        assert_eq!(clean.pixels, edge);

        let speckled: Vec<u8> = (0..64 * 64 * 3_u32)
            .map(|at| 100 + (at.wrapping_mul(2_654_435_761) >> 16 & 63) as u8)
            .collect();
        let spread = |pixels: &[u8]| pixels.iter().max().unwrap() - pixels.iter().min().unwrap();
        let before = spread(&speckled);
        let photo = Raster {
            width: 64,
            height: 64,
            pixels: speckled,
        };
        let after = denoise(&photo);
        assert!(spread(&after.pixels) < before * 3 / 4);
    }
}
