//! OpenAI's discrete VAE, the image tokenizer of DALL·E 1: 8,192 codes, 8 pixels per code.
//!
//! Field names are the published parameter names (a convolution's `w` and `b` are burn's `weight` and `bias`). Sources:
//! openai/DALL-E `dall_e/{encoder,decoder,utils}.py`, `notebooks/usage.ipynb`.

mod block;
mod config;
mod decoder;
mod encoder;
mod files;

use std::path::Path;

use burn::module::Module;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Int, Tensor};

pub use config::DvaeConfig;
pub use decoder::Decoder;
pub use encoder::Encoder;
pub use files::files;

use crate::Result;
use crate::checkpoint::Checkpoint;
use crate::pixels::Preprocess;

/// Groups of residual blocks in each half; the side halves (doubles) after all but the last.
const GROUPS: usize = 4;

/// Residual blocks per group.
const BLOCKS: usize = 2;

/// Side of the square that the published model was trained on.
const RESOLUTION: usize = 256;

/// Both halves under the names that [`Dvae::checkpoint`] gives them.
#[derive(Module, Debug)]
struct Halves {
    encoder: Encoder,
    decoder: Decoder,
}

/// The codec.
#[derive(Debug)]
pub struct Dvae {
    halves: Halves,
    config: DvaeConfig,
    preprocess: Preprocess,
}

impl Dvae {
    /// Whether a checkpoint with these keys is this model, or one half of it.
    pub fn recognise<'a>(keys: impl IntoIterator<Item = &'a str>) -> bool {
        keys.into_iter().any(|key| key.ends_with("blocks.group_1.block_1.res_path.conv_1.w"))
    }

    /// The checkpoint of both halves, from a folder with `encoder.*` and `decoder.*` or from one of these files (see
    /// [`files`]).
    ///
    /// # Errors
    /// A half that is missing, or that is no checkpoint.
    pub fn checkpoint(path: &Path) -> Result<Checkpoint> {
        let [encoder, decoder] = files(path)?;
        let parts = vec![("encoder", Checkpoint::open(&encoder)?), ("decoder", Checkpoint::open(&decoder)?)];
        Ok(Checkpoint::joined(path, parts))
    }

    /// The model of a [`Self::checkpoint`].
    ///
    /// # Errors
    /// Halves that do not belong together; weights that do not fit, key by key.
    pub fn open(checkpoint: &Checkpoint, device: &Device) -> Result<Self> {
        let config = DvaeConfig::of(checkpoint)?;
        let halves =
            Halves { encoder: Encoder::new(&config, device), decoder: Decoder::new(&config, device) };
        let halves = checkpoint.clone().renamed(|key| Some(name(key))).fill(halves)?;
        Ok(Self { halves, config, preprocess: Preprocess::openai(RESOLUTION) })
    }

    /// Deterministic codes: the largest logit, as OpenAI's notebook takes it (no Gumbel noise).
    ///
    /// # Shapes
    /// pixels in the range of [`Self::preprocess`] `[b, 3, h, w]` → `[b, h/8, w/8]`
    pub fn encode(&self, pixels: Tensor<4>) -> Tensor<3, Int> {
        let logits = self.halves.encoder.forward(pixels);
        let [b, _, h, w] = logits.dims();
        logits.argmax(1).reshape([b, h, w])
    }

    /// Pictures of a batch of codes: the median of the logit-Laplace distribution of every value.
    ///
    /// # Shapes
    /// `[b, h, w]` → pixels around the range of [`Self::preprocess`] `[b, 3, 8·h, 8·w]`, not clamped
    pub fn decode(&self, codes: Tensor<3, Int>) -> Tensor<4> {
        sigmoid(self.halves.decoder.forward(codes).narrow(1, 0, 3))
    }

    /// Pixels to logits of codes.
    pub fn encoder(&self) -> &Encoder {
        &self.halves.encoder
    }

    /// Codes to pixels.
    pub fn decoder(&self) -> &Decoder {
        &self.halves.decoder
    }

    /// Pixels per code side.
    pub fn downsampling(&self) -> usize {
        1 << (GROUPS - 1)
    }

    /// Number of distinct codes.
    pub fn codebook_size(&self) -> usize {
        self.config.vocab_size
    }

    /// What the published notebook does to a picture.
    pub fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }
}

/// Our name of a published parameter.
fn name(published: &str) -> String {
    match published.rsplit_once('.') {
        Some((layer, "w")) => format!("{layer}.weight"),
        Some((layer, "b")) => format!("{layer}.bias"),
        _ => published.to_owned(),
    }
}

#[cfg(test)]
mod tests;
