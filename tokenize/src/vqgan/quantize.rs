//! The quantiser: latent vectors ↔ codes, by nearest row or by argmax of a projection.

use burn::module::{Module, Param};
use burn::nn::conv::Conv2d;
use burn::nn::{Embedding, EmbeddingConfig, Initializer};
use burn::tensor::{Device, Int, Tensor};

use super::layers::conv1x1;
use super::{QuantizerKind, VqGanConfig};
use crate::fused;

/// The codebook, under taming's names: `embedding` (VQ) or `proj` and `embed` (Gumbel).
#[derive(Module, Debug)]
pub struct Quantizer {
    embedding: Option<Embedding>,
    embed: Option<Embedding>,
    proj: Option<Conv2d>,
}

impl Quantizer {
    pub(super) fn new(config: &VqGanConfig, device: &Device) -> Self {
        // taming initialises the VQ codebook uniformly in ±1/n.
        let bound = 1.0 / config.n_embed as f64;
        let table = |initializer| {
            Some(
                EmbeddingConfig::new(config.n_embed, config.embed_dim)
                    .with_initializer(initializer)
                    .init(device),
            )
        };
        match config.quantizer {
            QuantizerKind::Vq => Self {
                embedding: table(Initializer::Uniform { min: -bound, max: bound }),
                embed: None,
                proj: None,
            },
            QuantizerKind::Gumbel => Self {
                embedding: None,
                embed: table(Initializer::Normal { mean: 0.0, std: 1.0 }),
                proj: Some(conv1x1(config.embed_dim, config.n_embed, device)),
            },
        }
    }

    /// The codebook `[n_embed, embed_dim]`.
    pub fn codebook(&self) -> Option<&Param<Tensor<2>>> {
        self.embedding.as_ref().or(self.embed.as_ref()).map(|table| &table.weight)
    }

    /// Replaces the codebook (dead rows restarted during training).
    #[must_use]
    pub fn with_codebook(mut self, rows: Tensor<2>) -> Self {
        for table in [&mut self.embedding, &mut self.embed].into_iter().flatten() {
            table.weight = table.weight.clone().map(|_| rows.clone());
        }
        self
    }

    /// Logits of the Gumbel quantiser, `None` for VQ.
    ///
    /// # Shapes
    /// `[b, embed_dim, h, w]` → `[b, n_embed, h, w]`
    pub fn logits(&self, z: Tensor<4>) -> Option<Tensor<4>> {
        self.proj.as_ref().map(|proj| proj.forward(z))
    }

    /// Deterministic codes: nearest row, or argmax of the projection without noise.
    ///
    /// # Shapes
    /// `[b, embed_dim, h, w]` → `[b, h, w]`
    pub fn codes(&self, z: Tensor<4>) -> Tensor<3, Int> {
        let [b, _, h, w] = z.dims();
        if let Some(logits) = self.logits(z.clone()) {
            return logits.argmax(1).reshape([b, h, w]);
        }
        match &self.embedding {
            Some(table) => fused::nearest(z, table.weight.val()),
            None => Tensor::zeros([b, h, w], &z.device()),
        }
    }

    /// Codebook rows of `codes`.
    ///
    /// # Shapes
    /// `[b, h, w]` → `[b, embed_dim, h, w]`
    pub fn lookup(&self, codes: Tensor<3, Int>) -> Tensor<4> {
        let [b, h, w] = codes.dims();
        let table = self.embedding.as_ref().or(self.embed.as_ref());
        match table {
            Some(table) => {
                let dim = table.weight.dims()[1];
                table.forward(codes.reshape([b, h * w])).reshape([b, h, w, dim]).permute([0, 3, 1, 2])
            }
            None => Tensor::zeros([b, 1, h, w], &codes.device()),
        }
    }
}
