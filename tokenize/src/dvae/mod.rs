//! OpenAI's discrete VAE, the image tokenizer of DALL·E 1: 8,192 codes, 8 pixels per code.
//!
//! Field names are the published parameter names (a convolution's `w` and `b` are burn's `weight` and `bias`). Sources:
//! openai/DALL-E `dall_e/{encoder,decoder,utils}.py`, `notebooks/usage.ipynb`.

mod block;
mod config;
mod decoder;
mod encoder;
mod files;

use std::path::{Path, PathBuf};

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

/// Both halves of the model.
#[derive(Debug)]
pub struct Dvae {
    /// Pixels to logits of codes.
    pub encoder: Encoder,
    /// Codes to pixels.
    pub decoder: Decoder,
    config: DvaeConfig,
    preprocess: Preprocess,
    files: [PathBuf; 2],
}

impl Dvae {
    /// Whether a checkpoint with these keys is one half of this model.
    pub fn recognise<'a>(keys: impl IntoIterator<Item = &'a str>) -> bool {
        keys.into_iter().any(|key| key == "blocks.group_1.block_1.res_path.conv_1.w")
    }

    /// Both halves from a folder with `encoder.*` and `decoder.*`, or from one of the two files (see [`files`]).
    ///
    /// # Errors
    /// A half that is missing, halves that do not belong together, weights that do not fit, key by key.
    pub fn open(path: &Path, device: &Device) -> Result<Self> {
        let files = files(path)?;
        let [encoder, decoder] = [Checkpoint::open(&files[0])?, Checkpoint::open(&files[1])?];
        let config = DvaeConfig::of(&encoder, &decoder)?;
        Ok(Self {
            encoder: encoder.fill(Encoder::new(&config, device), published)?,
            decoder: decoder.fill(Decoder::new(&config, device), published)?,
            config,
            preprocess: Preprocess::openai(RESOLUTION),
            files,
        })
    }

    /// Deterministic codes: the largest logit, as OpenAI's notebook takes it (no Gumbel noise).
    ///
    /// # Shapes
    /// pixels in the range of [`Self::preprocess`] `[b, 3, h, w]` → `[b, h/8, w/8]`
    pub fn encode(&self, pixels: Tensor<4>) -> Tensor<3, Int> {
        let logits = self.encoder.forward(pixels);
        let [b, _, h, w] = logits.dims();
        logits.argmax(1).reshape([b, h, w])
    }

    /// Pictures of a batch of codes: the mean of the logit-Laplace distribution of every pixel.
    ///
    /// # Shapes
    /// `[b, h, w]` → pixels around the range of [`Self::preprocess`] `[b, 3, 8·h, 8·w]`, not clamped
    pub fn decode(&self, codes: Tensor<3, Int>) -> Tensor<4> {
        sigmoid(self.decoder.forward(codes).narrow(1, 0, 3))
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

    /// The files of the encoder and of the decoder.
    pub fn files(&self) -> &[PathBuf; 2] {
        &self.files
    }
}

/// The published name of a parameter.
fn published(key: &str) -> String {
    match key.rsplit_once('.') {
        Some((layer, "weight")) => format!("{layer}.w"),
        Some((layer, "bias")) => format!("{layer}.b"),
        _ => key.to_owned(),
    }
}
