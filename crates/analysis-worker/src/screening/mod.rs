//! The built-in image analyser: screens a photo of a plant by colour.
//!
//! Owns the way from a photo's bytes to a result and an overlay picture: pure
//! computation, the same result for the same bytes. Never does I/O, never asks
//! the clock, never claims to diagnose. `docs/ANALYSER.md` describes the method
//! and its limits.

mod decode;
mod denoise;
mod oklab;
mod regions;
mod vegetation;
mod reference;
mod background;
mod leaf;
mod tissue;
mod report;
mod overlay;

#[cfg(test)]
mod drawing;
#[cfg(test)]
mod accuracy;
#[cfg(test)]
mod hostile;

use shared_dto::analysis::AnalysisResult;
use thiserror::Error;

pub use self::decode::{MAX_BYTES, MAX_PIXELS, MIN_SIDE};
pub use self::overlay::{Overlay, outline_colour};
pub use self::report::{ANALYSER, DISCLAIMER};
pub use self::tissue::Tissue;

use self::background::Background;
use self::oklab::Planes;
use self::reference::Reference;
use self::report::Circumstances;
use self::vegetation::Greenness;

/// Screens a photo (JPEG, PNG or WebP by content), telling each stage as it begins.
///
/// # Errors
/// When the bytes are not such a photo, are beyond the limits, or show no plant.
pub fn screen(photo: &[u8], progress: &mut dyn FnMut(Stage)) -> Result<Screening, ScreenError> {
    progress(Stage::Decoding);
    let original = decode::decode(photo)?;
    progress(Stage::Segmenting);
    let smooth = denoise::denoise(&original);
    let planes = Planes::of(&smooth);
    let greenness = Greenness::of(&smooth);
    let sure = greenness.sure(&planes);
    let background = Background::of(&planes, &sure);
    let green = greenness.all(&planes, &sure, &background);
    if !vegetation::shows_plant(&green, planes.width) {
        return Err(ScreenError::NoPlant);
    }
    let reference = Reference::of(&planes, &green);
    let leaf = leaf::leaf(&planes, &green, &background, &reference);
    progress(Stage::Classifying);
    let tissues = tissue::classify(&planes, &leaf, &reference);
    let circumstances = Circumstances {
        reference_certain: reference.certain,
        badly_exposed: badly_exposed(&planes, &tissues),
    };
    let result = report::report(&tissues, planes.width, circumstances);
    progress(Stage::Drawing);
    let overlay = overlay::draw(&original, &tissues);
    Ok(Screening {
        result,
        overlay,
        labels: Labels {
            width: planes.width,
            tissues,
        },
    })
}

/// Share of the leaf that is so dark or so bright that its colour says little.
fn badly_exposed(planes: &Planes, tissues: &[Tissue]) -> f64 {
    let (mut leaf, mut bad) = (0_u32, 0_u32);
    for (lightness, _) in planes
        .lightness
        .iter()
        .zip(tissues)
        .filter(|(_, tissue)| **tissue != Tissue::Background)
    {
        leaf += 1;
        bad += u32::from(!(0.25..0.95).contains(lightness));
    }
    f64::from(bad) / f64::from(leaf.max(1))
}

/// What came out of a photo.
#[derive(Debug, Clone)]
pub struct Screening {
    /// The findings.
    pub result: AnalysisResult,
    /// The photo with the symptoms outlined.
    pub overlay: Overlay,
    /// What each pixel of the working picture was taken for.
    pub labels: Labels,
}

/// The working picture's labels: upright, at most 420,000 of them.
#[derive(Debug, Clone)]
pub struct Labels {
    width: usize,
    tissues: Vec<Tissue>,
}

impl Labels {
    /// Pixels in a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> usize {
        self.tissues.len() / self.width
    }

    /// Row by row from the top.
    #[must_use]
    pub fn tissues(&self) -> &[Tissue] {
        &self.tissues
    }
}

/// A step of the screening; told when it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reading the photo.
    Decoding,
    /// Finding the leaf.
    Segmenting,
    /// Looking for symptoms.
    Classifying,
    /// Drawing the overlay.
    Drawing,
}

impl Stage {
    /// How much of the screening is done when this stage begins, in per cent,
    /// by the time that the stages take.
    #[must_use]
    pub fn percent(self) -> u8 {
        match self {
            Self::Decoding => 5,
            Self::Segmenting => 35,
            Self::Classifying => 65,
            Self::Drawing => 80,
        }
    }

    /// A short name for programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Decoding => "decoding",
            Self::Segmenting => "segmenting",
            Self::Classifying => "classifying",
            Self::Drawing => "drawing",
        }
    }

    /// The stage in words for the user.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::Decoding => "Reading the photo",
            Self::Segmenting => "Finding the leaves",
            Self::Classifying => "Looking for symptoms",
            Self::Drawing => "Drawing the overlay",
        }
    }
}

/// Why a photo got no result; the text is fit for the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ScreenError {
    /// The bytes are no JPEG, PNG or WebP.
    #[error("The file is not a JPEG, PNG or WebP photo")]
    NotAnImage,
    /// The bytes start like a photo but cannot be read as one.
    #[error("The photo is damaged and could not be read")]
    Undecodable,
    /// The file is longer than [`MAX_BYTES`].
    #[error("The photo has {bytes} bytes; at most {MAX_BYTES} are accepted")]
    TooManyBytes {
        /// Its length.
        bytes: usize,
    },
    /// The header tells more than [`MAX_PIXELS`].
    #[error("The photo has {width} x {height} pixels; at most {MAX_PIXELS} in all are accepted")]
    TooManyPixels {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// A side is shorter than [`MIN_SIDE`].
    #[error("The photo has only {width} x {height} pixels; each side needs at least {MIN_SIDE}")]
    TooSmall {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// Nothing in it looks like a plant.
    #[error("No plant found in the photo")]
    NoPlant,
}
