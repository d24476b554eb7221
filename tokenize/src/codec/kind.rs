//! The kinds of image codecs, and how a file shows which one it holds.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::sber_dwt;
use crate::Result;
use crate::checkpoint::Checkpoint;
use crate::clusters::Clusters;
use crate::dvae::{self, Dvae};
use crate::llamagen::LlamaGen;
use crate::vqgan::VqGan;

/// The kinds of codecs that are read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CodecKind {
    /// taming's and LDM's VQGAN, and those trained here: the nearest codebook row.
    Vqgan,
    /// taming's and Sber's Gumbel VQGAN: the largest logit, never noise.
    Gumbel,
    /// Sber's Gumbel VQGAN whose decoder draws wavelet bands and so twice the size.
    SberDwt,
    /// OpenAI's discrete VAE of DALL·E.
    Dvae,
    /// LlamaGen's VQ-8 and VQ-16: the row at the smallest angle.
    #[serde(rename = "llamagen")]
    LlamaGen,
    /// ImageGPT's palette: one code per pixel.
    Clusters,
}

impl CodecKind {
    /// Its name in metadata and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vqgan => "vqgan",
            Self::Gumbel => "gumbel",
            Self::SberDwt => "sber_dwt",
            Self::Dvae => "dvae",
            Self::LlamaGen => "llamagen",
            Self::Clusters => "clusters",
        }
    }
}

impl fmt::Display for CodecKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What lies at a path: the palette's file, or an opened checkpoint.
pub(super) enum Found {
    Clusters(std::path::PathBuf),
    Weights(CodecKind, Checkpoint),
}

/// Recognises a codec by its files and keys.
pub(super) fn find(path: &Path) -> Result<Found> {
    if let Some(palette) = Clusters::find(path) {
        return Ok(Found::Clusters(palette));
    }
    if path.is_dir() && dvae::files(path).is_ok() {
        return Ok(Found::Weights(CodecKind::Dvae, Dvae::checkpoint(path)?));
    }
    let file = Checkpoint::open(path)?;
    if Dvae::recognise(file.keys()) {
        return Ok(Found::Weights(CodecKind::Dvae, Dvae::checkpoint(path)?));
    }
    if LlamaGen::recognise(file.keys()) {
        return Ok(Found::Weights(CodecKind::LlamaGen, file));
    }
    let Some(model) = VqGan::weights_in(&file) else { return Err(unknown(&file)) };
    let has = |key| model.shape(key).is_some();
    let kind = match () {
        () if has(sber_dwt::ANCHOR) => CodecKind::SberDwt,
        () if has("quantize.proj.weight") => CodecKind::Gumbel,
        () if has("quantize.embedding.weight") => CodecKind::Vqgan,
        () => {
            return Err(file.fault(
                "no codebook (quantize.embedding.weight or quantize.proj.weight): an autoencoder whose latents are \
                 continuous, such as Stable Diffusion's, gives no codes",
            ));
        }
    };
    Ok(Found::Weights(kind, model))
}

fn unknown(file: &Checkpoint) -> crate::Error {
    let keys: Vec<&str> = file.keys().take(3).collect();
    file.fault(format!(
        "no codec that is known here (taming, LDM or Sber VQGAN, OpenAI dVAE, LlamaGen VQ, ImageGPT clusters); its \
         keys begin with {}",
        keys.join(", ")
    ))
}
