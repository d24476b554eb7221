//! ImageGPT's colour clusters: every pixel becomes the nearest of a few hundred colours.
//!
//! Sources: Hugging Face transformers `models/imagegpt/image_processing_imagegpt.py`; openai/image-gpt `src/utils.py`
//! and `src/run.py`; Chen et al. 2020, "Generative Pretraining from Pixels", section 3.3.

mod file;
mod kmeans;
mod nearest;
mod numpy;
mod palette;
mod sample;
mod seeding;

use std::path::{Path, PathBuf};

use pipeline::picture::Picture;
use rayon::prelude::*;

pub use kmeans::{KMeans, KMeansConfig, kmeans};
pub use nearest::{Colour, Nearest};
pub use palette::{Counted, Palette};
pub use sample::{Sample, Sampled, sample};

use crate::pixels::Preprocess;
use crate::{Error, Result};

/// A palette as a codec: one code per pixel.
#[derive(Clone, Debug)]
pub struct Clusters {
    nearest: Nearest,
    /// What a code is drawn as.
    pixels: Vec<[u8; 3]>,
    preprocess: Preprocess,
}

impl Clusters {
    /// A palette of given colours for pictures of `side` pixels.
    ///
    /// # Errors
    /// No colours, more than 65,536, or a value that is no number.
    pub fn new(colours: &[Colour], side: usize) -> Result<Self> {
        let refuse = |why: String| Err(Error::Config { key: "clusters".to_owned(), why });
        if colours.is_empty() || colours.len() > usize::from(u16::MAX) + 1 {
            return refuse(format!("{} colours; a code names 1 to 65536", colours.len()));
        }
        if let Some(row) = colours.iter().position(|colour| colour.iter().any(|value| !value.is_finite())) {
            return refuse(format!("colour {row} is {:?}", colours[row]));
        }
        if side == 0 {
            return refuse("pictures of 0 pixels".to_owned());
        }
        Ok(Self {
            nearest: Nearest::new(colours),
            pixels: colours.iter().map(bytes).collect(),
            preprocess: Preprocess::imagegpt(side),
        })
    }

    /// Whether a checkpoint with these keys is a palette.
    pub fn recognise<'a>(keys: impl IntoIterator<Item = &'a str>) -> bool {
        keys.into_iter().eq([file::NAME])
    }

    /// The palette's file if `path` is one, or a folder with one: `preprocessor_config.json` with `clusters` (Hugging
    /// Face), `kmeans_centers.npy` (OpenAI), `clusters.safetensors` (`tokenize clusters`).
    pub fn find(path: &Path) -> Option<PathBuf> {
        file::find(path)
    }

    /// The palette of a file or folder that [`Self::find`] knows.
    ///
    /// # Errors
    /// A damaged file, or one with a setting that this codec has not.
    pub fn open(path: &Path) -> Result<Self> {
        file::open(path)
    }

    /// Writes the palette: `.npy` as OpenAI's file, anything else as safetensors. `about` is kept as text where the
    /// container has room for it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path, about: serde_json::Value) -> Result<()> {
        file::save(self, path, about)
    }

    /// The code of every pixel of every picture, row by row. Equal to Hugging Face's `color_quantize`.
    pub fn encode(&self, pictures: &[Picture]) -> Vec<Vec<u16>> {
        let codes = |picture: &Picture| {
            let pixels = picture.pixels().as_chunks::<3>().0;
            pixels.iter().map(|pixel| self.nearest.code(*pixel)).collect()
        };
        pictures.par_iter().map(codes).collect()
    }

    /// The picture of codes.
    ///
    /// # Errors
    /// Codes that do not fill the picture, or that name no colour.
    pub fn decode(&self, codes: &[u16], width: usize, height: usize) -> Result<Picture> {
        let refuse = |why: String| Error::Config { key: "codes".to_owned(), why };
        let mut pixels = Vec::with_capacity(3 * codes.len());
        for code in codes {
            let colour = self.pixels.get(usize::from(*code));
            pixels.extend(
                colour.ok_or_else(|| refuse(format!("{code}; there are {} colours", self.pixels.len())))?,
            );
        }
        let (w, h) = (u32::try_from(width).unwrap_or(0), u32::try_from(height).unwrap_or(0));
        let picture = Picture::new(w, h, pixels);
        picture.ok_or_else(|| refuse(format!("{} codes for {width}x{height} pixels", codes.len())))
    }

    /// The colours in [-1, 1].
    pub fn colours(&self) -> &[Colour] {
        self.nearest.colours()
    }

    /// Pixels per code side.
    pub fn downsampling(&self) -> usize {
        1
    }

    /// Number of distinct codes.
    pub fn codebook_size(&self) -> usize {
        self.pixels.len()
    }

    /// What the published code does to a picture: scaled to the grid itself, without keeping its proportions.
    pub fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }
}

/// `rint(127.5 · (c + 1))` in f32, halves to the even number; clusters of dark colours lie a little below -1.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=255 before")]
fn bytes(colour: &Colour) -> [u8; 3] {
    colour.map(|value| (127.5 * (value as f32 + 1.0)).round_ties_even().clamp(0.0, 255.0) as u8)
}

#[cfg(test)]
mod tests;
