//! Draws leaves with known symptoms, for tests and measurements.
//!
//! Owns the scenes. Never reads a photo: what it draws is all that a test needs,
//! and the truth about each pixel comes with it.

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

/// What is drawn on the leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Small orange-brown pustules.
    Rust,
    /// Yellow areas with soft edges.
    Chlorosis,
    /// Brown dead spots.
    Necrosis,
    /// Whitish patches.
    Mildew,
}

/// What a pixel of a drawing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Truth {
    /// Behind the leaf.
    Backdrop,
    /// Healthy leaf.
    Healthy,
    /// A symptom.
    Marked(Mark),
    /// At a border, where either answer is right.
    Border,
}

/// What lies behind the leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backdrop {
    /// Bright paper.
    Paper,
    /// A grey board.
    Grey,
    /// Violet-grey cardboard.
    Violet,
    /// Brown soil with clods.
    Soil,
    /// Planks.
    Wood,
    /// Blue fabric.
    Fabric,
    /// Black cloth.
    Black,
    /// An unevenly lit beige wall.
    Wall,
}

impl Backdrop {
    /// All of them.
    pub(crate) const ALL: [Self; 8] = [
        Self::Paper,
        Self::Grey,
        Self::Violet,
        Self::Soil,
        Self::Wood,
        Self::Fabric,
        Self::Black,
        Self::Wall,
    ];
}

/// A leaf to draw.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    /// Pixels in a row.
    pub(crate) width: usize,
    /// Rows.
    pub(crate) height: usize,
    /// sRGB of healthy tissue.
    pub(crate) green: [u8; 3],
    /// What is behind.
    pub(crate) backdrop: Backdrop,
    /// Symptoms and the share of the leaf that each is to cover.
    pub(crate) marks: Vec<(Mark, f64)>,
    /// Gain of red, green and blue, in linear light.
    pub(crate) light: [f32; 3],
    /// Radius of the lens's blur in pixels.
    pub(crate) blur: usize,
    /// Standard deviation of the sensor's noise in byte steps.
    pub(crate) noise: f32,
    /// Chooses the shapes.
    pub(crate) seed: u64,
}

impl Default for Scene {
    fn default() -> Self {
        Self {
            width: 400,
            height: 300,
            green: [70, 125, 45],
            backdrop: Backdrop::Grey,
            marks: Vec::new(),
            light: [1.0; 3],
            blur: 1,
            noise: 2.0,
            seed: 1,
        }
    }
}

/// A picture with the truth about each pixel.
#[derive(Debug, Clone)]
pub(crate) struct Drawing {
    /// Pixels in a row.
    pub(crate) width: usize,
    /// RGB, row by row.
    pub(crate) pixels: Vec<u8>,
    /// As many as pixels.
    pub(crate) truth: Vec<Truth>,
}

impl Drawing {
    /// As a JPEG file.
    #[must_use]
    pub(crate) fn jpeg(&self, quality: u8) -> Vec<u8> {
        let mut file = Vec::new();
        JpegEncoder::new_with_quality(&mut file, quality)
            .encode(
                &self.pixels,
                self.width as u32,
                self.height(),
                ExtendedColorType::Rgb8,
            )
            .expect("memory takes every write");
        file
    }

    /// As a PNG file.
    #[must_use]
    pub(crate) fn png(&self) -> Vec<u8> {
        let mut file = Vec::new();
        PngEncoder::new(&mut file)
            .write_image(
                &self.pixels,
                self.width as u32,
                self.height(),
                ExtendedColorType::Rgb8,
            )
            .expect("memory takes every write");
        file
    }

    fn height(&self) -> u32 {
        (self.pixels.len() / 3 / self.width) as u32
    }
}

/// Draws a scene.
#[must_use]
pub(crate) fn draw(scene: &Scene) -> Drawing {
    let mut random = Random(scene.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let count = scene.width * scene.height;
    let shape = Shape::random(&mut random);
    let places: Vec<Option<(f32, f32)>> = (0..count)
        .map(|at| shape.place(scene, at % scene.width, at / scene.width))
        .collect();
    let mut truth: Vec<Truth> = places
        .iter()
        .map(|place| {
            if place.is_some() {
                Truth::Healthy
            } else {
                Truth::Backdrop
            }
        })
        .collect();
    let mut light = vec![[0.0_f32; 3]; count];
    for (at, pixel) in light.iter_mut().enumerate() {
        let (x, y) = (at % scene.width, at / scene.width);
        *pixel = match places[at] {
            Some(place) => leaf_colour(scene, place, x, y),
            None => backdrop_colour(scene, x, y),
        };
    }
    for &(mark, share) in &scene.marks {
        add_marks(scene, mark, share, &mut truth, &mut light, &mut random);
    }
    let light = blurred(&light, scene);
    let pixels = light
        .iter()
        .flat_map(|pixel| std::array::from_fn::<f32, 3, _>(|c| pixel[c] * scene.light[c]))
        .map(|value| (srgb(value) * 255.0 + scene.noise * random.normal()).round() as u8)
        .collect();
    widen_borders(&mut truth, scene);
    Drawing {
        width: scene.width,
        pixels,
        truth,
    }
}

/// A leaf's outline: a spindle along an axis, a little toothed.
#[derive(Debug)]
struct Shape {
    angle: f32,
    slenderness: f32,
    teeth: f32,
}

impl Shape {
    fn random(random: &mut Random) -> Self {
        Self {
            angle: random.between(-0.6, 0.6),
            slenderness: random.between(0.26, 0.4),
            teeth: random.between(8.0, 24.0),
        }
    }

    /// Where on the leaf a pixel lies: along the axis 0..1 and across -1..1.
    fn place(&self, scene: &Scene, x: usize, y: usize) -> Option<(f32, f32)> {
        let size = 0.9 * scene.width.min(scene.height) as f32;
        let (dx, dy) = (
            (x as f32 - scene.width as f32 / 2.0) / size,
            (y as f32 - scene.height as f32 / 2.0) / size,
        );
        let (sin, cos) = self.angle.sin_cos();
        let (along, across) = (dx * cos + dy * sin + 0.5, dy * cos - dx * sin);
        if !(0.0..=1.0).contains(&along) {
            return None;
        }
        let teeth = 1.0 + 0.04 * (along * self.teeth * std::f32::consts::TAU).sin();
        let half = self.slenderness * (along * std::f32::consts::PI).sin().powf(0.8) * teeth;
        (across.abs() < half).then(|| (along, across / half))
    }
}

/// Healthy tissue: veins, a dome's shading, a fine grain.
fn leaf_colour(scene: &Scene, (along, across): (f32, f32), x: usize, y: usize) -> [f32; 3] {
    let vein = across.abs() < 0.03 || ((along - 0.35 * across.abs()) * 14.0).fract().abs() < 0.06;
    let shading = 1.0 - 0.25 * across * across + 0.12 * across + 0.15 * (along - 0.5);
    let grain = 1.0 + 0.10 * grain(scene.seed, x, y, 3) + 0.08 * grain(scene.seed ^ 7, x, y, 24);
    let base = scene.green.map(|value| linear(f32::from(value) / 255.0));
    let lift = if vein { 1.18 } else { 1.0 };
    base.map(|value| value * shading * grain * lift)
}

fn backdrop_colour(scene: &Scene, x: usize, y: usize) -> [f32; 3] {
    let fine = grain(scene.seed ^ 11, x, y, 2);
    let coarse = grain(scene.seed ^ 13, x, y, 30);
    let (rgb, rough) = match scene.backdrop {
        Backdrop::Paper => ([236, 234, 230], 0.03 * fine),
        Backdrop::Grey => ([128, 129, 131], 0.08 * fine),
        Backdrop::Violet => ([150, 138, 146], 0.1 * fine + 0.08 * coarse),
        Backdrop::Soil => ([98, 72, 52], 0.35 * fine + 0.4 * coarse),
        Backdrop::Wood => ([168, 122, 78], 0.2 * grain(scene.seed ^ 17, x / 40, y, 3)),
        Backdrop::Fabric => ([52, 72, 118], 0.2 * fine),
        Backdrop::Black => ([14, 14, 15], 0.2 * fine),
        Backdrop::Wall => {
            let falloff = x as f32 / scene.width as f32 - 0.5;
            ([214, 200, 176], 0.03 * fine - 0.5 * falloff)
        }
    };
    rgb.map(|value| linear(value as f32 / 255.0) * (1.0 + rough).max(0.05))
}

/// Adds blots of one kind until they cover their share of the leaf.
fn add_marks(
    scene: &Scene,
    mark: Mark,
    share: f64,
    truth: &mut [Truth],
    light: &mut [[f32; 3]],
    random: &mut Random,
) {
    let leaf: Vec<usize> = (0..truth.len())
        .filter(|&at| truth[at] == Truth::Healthy)
        .collect();
    let wanted = (leaf.len() as f64 * share) as usize;
    let unit = scene.width.min(scene.height) as f32;
    let (smallest, largest, soft) = match mark {
        Mark::Rust => (0.008, 0.022, 0.35),
        Mark::Chlorosis => (0.03, 0.09, 0.6),
        Mark::Necrosis => (0.015, 0.06, 0.2),
        Mark::Mildew => (0.03, 0.07, 0.35),
    };
    let mut covered = 0;
    for _ in 0..4000 {
        if covered >= wanted {
            break;
        }
        let centre = leaf[random.below(leaf.len())];
        let (cx, cy) = ((centre % scene.width) as f32, (centre / scene.width) as f32);
        let radius = unit * random.between(smallest, largest);
        let stretch = random.between(0.6, 1.0);
        let colour = mark_colour(mark, random).map(|value| linear(value / 255.0));
        let reach = radius.ceil() as isize + 1;
        for y in cy as isize - reach..=cy as isize + reach {
            for x in cx as isize - reach..=cx as isize + reach {
                if x < 0 || y < 0 || x >= scene.width as isize || y >= scene.height as isize {
                    continue;
                }
                let at = y as usize * scene.width + x as usize;
                let (dx, dy) = (
                    (x as f32 - cx) / radius,
                    (y as f32 - cy) / (radius * stretch),
                );
                let distance = (dx * dx + dy * dy).sqrt()
                    + 0.12 * grain(scene.seed ^ 19, x as usize, y as usize, 5);
                if distance > 1.0 || truth[at] != Truth::Healthy {
                    continue;
                }
                // Opaque inside, fading over the soft part of the radius.
                let cover = ((1.0 - distance) / soft).min(1.0);
                let shade = 1.0 + 0.15 * grain(scene.seed ^ 23, x as usize, y as usize, 3);
                for (value, paint) in light[at].iter_mut().zip(colour) {
                    *value += (paint * shade - *value) * cover;
                }
                if cover > 0.75 {
                    truth[at] = Truth::Marked(mark);
                    covered += 1;
                } else {
                    truth[at] = Truth::Border;
                }
            }
        }
    }
}

fn mark_colour(mark: Mark, random: &mut Random) -> [f32; 3] {
    let (dark, bright) = match mark {
        Mark::Rust => ([140.0, 66.0, 22.0], [196.0, 108.0, 44.0]),
        Mark::Chlorosis => ([190.0, 182.0, 62.0], [222.0, 206.0, 96.0]),
        Mark::Necrosis => ([92.0, 68.0, 50.0], [172.0, 138.0, 98.0]),
        Mark::Mildew => ([205.0, 210.0, 200.0], [232.0, 234.0, 228.0]),
    };
    let mix = random.between(0.0, 1.0);
    std::array::from_fn(|c| dark[c] + (bright[c] - dark[c]) * mix)
}

/// Where kinds meet, blur and compression mix them: nobody is judged there.
fn widen_borders(truth: &mut [Truth], scene: &Scene) {
    let before = truth.to_vec();
    let reach = 1 + scene.blur;
    for (at, truth) in truth.iter_mut().enumerate() {
        let (x, y) = (at % scene.width, at / scene.width);
        let near = |other: usize| before[other] != before[at];
        let meets = (x >= reach && near(at - reach))
            || (x + reach < scene.width && near(at + reach))
            || (y >= reach && near(at - reach * scene.width))
            || (y + reach < scene.height && near(at + reach * scene.width));
        if meets {
            *truth = Truth::Border;
        }
    }
}

fn blurred(light: &[[f32; 3]], scene: &Scene) -> Vec<[f32; 3]> {
    if scene.blur == 0 {
        return light.to_vec();
    }
    let across =
        |source: &[[f32; 3]], step: usize, length: usize, line: fn(usize, usize) -> usize| {
            (0..source.len())
                .map(|at| {
                    let position = line(at, scene.width);
                    let from = position.saturating_sub(scene.blur);
                    let to = (position + scene.blur).min(length - 1);
                    let mut sum = [0.0; 3];
                    for near in from..=to {
                        let pixel = source[at - position * step + near * step];
                        sum = std::array::from_fn(|c| sum[c] + pixel[c]);
                    }
                    sum.map(|value| value / (to - from + 1) as f32)
                })
                .collect::<Vec<[f32; 3]>>()
        };
    let rows = across(light, 1, scene.width, |at, width| at % width);
    across(&rows, scene.width, scene.height, |at, width| at / width)
}

/// Smooth noise from -1 to 1 with features of `size` pixels.
fn grain(seed: u64, x: usize, y: usize, size: usize) -> f32 {
    let (column, row) = (x / size, y / size);
    let (fx, fy) = (
        (x % size) as f32 / size as f32,
        (y % size) as f32 / size as f32,
    );
    let corner = |dx: usize, dy: usize| {
        let mut hash = seed ^ ((column + dx) as u64) << 32 ^ (row + dy) as u64;
        hash = (hash ^ hash >> 31).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ hash >> 29).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((hash >> 40) as f32 / (1_u64 << 23) as f32) - 1.0
    };
    let top = corner(0, 0) * (1.0 - fx) + corner(1, 0) * fx;
    let bottom = corner(0, 1) * (1.0 - fx) + corner(1, 1) * fx;
    top * (1.0 - fy) + bottom * fy
}

fn linear(value: f32) -> f32 {
    if value <= 0.040_45 {
        value / 12.92
    } else {
        ((value + 0.055) / 1.055).powf(2.4)
    }
}

fn srgb(value: f32) -> f32 {
    let value = value.clamp(0.0, 1.0);
    if value <= 0.003_130_8 {
        12.92 * value
    } else {
        1.055 * value.powf(1.0 / 2.4) - 0.055
    }
}

/// Marsaglia's xorshift: the same drawing for the same seed, everywhere.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * (self.next() >> 40) as f32 / (1_u64 << 24) as f32
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    /// About normal: the sum of four even draws.
    fn normal(&mut self) -> f32 {
        (0..4).map(|_| self.between(-1.0, 1.0)).sum::<f32>() * 0.866
    }
}
