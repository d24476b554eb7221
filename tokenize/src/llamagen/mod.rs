//! LlamaGen's VQ-8 and VQ-16: taming's VQGAN under names of its own, with a codebook on the unit sphere.
//!
//! Latents and codebook rows are scaled to length 1 before the distance is taken, and the scaled rows are what the
//! decoder gets. Source: FoundationVision/LlamaGen `tokenizer/tokenizer_image/vq_model.py`.

mod config;
mod names;

use burn::tensor::{Device, Int, Tensor};

pub use config::config;

use crate::Result;
use crate::checkpoint::Checkpoint;
use crate::pixels::Preprocess;
use crate::vqgan::{VqGan, VqGanConfig};

/// Side of the square that the published models were trained on.
const RESOLUTION: usize = 256;

/// A key that no other codec has. The published programs (`extract_codes_c2i.py`, `sample_c2i.py`) take the weights under
/// `model`, not the running average `ema` beside it; so does [`Checkpoint::below`].
const ANCHOR: &str = "encoder.conv_blocks.0.res.0.conv1.weight";

/// Shortest length that a vector is divided by (the default of torch's `F.normalize`).
const EPSILON: f64 = 1e-12;

/// The codec.
#[derive(Debug)]
pub struct LlamaGen {
    /// The layers; its codebook rows have length 1.
    model: VqGan,
    config: VqGanConfig,
    preprocess: Preprocess,
}

impl LlamaGen {
    /// Whether a checkpoint with these keys is this model.
    pub fn recognise<'a>(keys: impl IntoIterator<Item = &'a str>) -> bool {
        keys.into_iter().any(|key| key.ends_with(ANCHOR))
    }

    /// The model of a checkpoint (`vq_ds8_c2i.pt`, `vq_ds16_c2i.pt`, …).
    ///
    /// # Errors
    /// Shapes that are no such model; weights that do not fit, key by key.
    pub fn open(checkpoint: &Checkpoint, device: &Device) -> Result<Self> {
        let found = checkpoint.below(ANCHOR);
        let checkpoint =
            found.ok_or_else(|| checkpoint.fault(format!("not a LlamaGen codec: no {ANCHOR}")))?;
        let config = config(&checkpoint)?;
        let levels = config.ch_mult.len();
        let mut model = checkpoint.renamed(|key| names::name(key, levels)).fill(config.init(device)?)?;
        let rows = model.quantize.codebook().map(|rows| unit(rows.val(), 1));
        if let Some(rows) = rows {
            model.quantize = model.quantize.with_codebook(rows);
        }
        Ok(Self { model, config, preprocess: Preprocess::llamagen(RESOLUTION) })
    }

    /// Latents before quantisation and before they are scaled.
    ///
    /// # Shapes
    /// pixels in [-1, 1] `[b, 3, h, w]` → `[b, embed_dim, h/f, w/f]`
    pub fn latents(&self, pixels: Tensor<4>) -> Tensor<4> {
        self.model.latents(pixels)
    }

    /// Deterministic codes: the row at the smallest angle.
    ///
    /// # Shapes
    /// pixels in the range of [`Self::preprocess`] `[b, 3, h, w]` → `[b, h/f, w/f]`
    pub fn encode(&self, pixels: Tensor<4>) -> Tensor<3, Int> {
        self.model.quantize.codes(unit(self.latents(pixels), 1))
    }

    /// The rows of codes, of length 1 (`get_codebook_entry`).
    ///
    /// # Shapes
    /// `[b, h, w]` → `[b, embed_dim, h, w]`
    pub fn lookup(&self, codes: Tensor<3, Int>) -> Tensor<4> {
        self.model.quantize.lookup(codes)
    }

    /// Pictures of a batch of codes.
    ///
    /// # Shapes
    /// `[b, h, w]` → pixels around the range of [`Self::preprocess`] `[b, 3, h·f, w·f]`, not clamped
    pub fn decode(&self, codes: Tensor<3, Int>) -> Tensor<4> {
        self.model.decode(codes)
    }

    /// The layers under taming's names.
    pub fn model(&self) -> &VqGan {
        &self.model
    }

    /// Pixels per code side: 8 or 16.
    pub fn downsampling(&self) -> usize {
        self.config.downsampling()
    }

    /// Number of distinct codes.
    pub fn codebook_size(&self) -> usize {
        self.config.codebook_size()
    }

    /// What the published `extract_codes_c2i.py` does to a picture.
    pub fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }
}

/// Vectors along `dim`, scaled to length 1.
fn unit<const D: usize>(x: Tensor<D>, dim: usize) -> Tensor<D> {
    let length = x.clone().powi_scalar(2).sum_dim(dim).sqrt().clamp_min(EPSILON);
    x / length
}

#[cfg(test)]
mod tests;
