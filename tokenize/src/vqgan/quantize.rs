//! The quantiser: latent vectors ↔ codes, by nearest row or by argmax of a projection.

use burn::module::{Module, Param};
use burn::nn::conv::Conv2d;
use burn::nn::{Embedding, EmbeddingConfig, Initializer};
use burn::tensor::{Device, Int, Tensor};

use super::layers::conv1x1;
use super::{QuantizerKind, VqGanConfig};

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
        let [b, c, h, w] = z.dims();
        if let Some(logits) = self.logits(z.clone()) {
            return logits.argmax(1).reshape([b, h, w]);
        }
        let rows = z.permute([0, 2, 3, 1]).reshape([b * h * w, c]);
        nearest(rows, self.embedding.as_ref().map(|table| table.weight.val())).reshape([b, h, w])
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

/// Most distances that are held at once: 64 MB.
const DISTANCES: usize = 1 << 24;

/// Index of the nearest codebook row: argmin of |e|² − 2·z·e (|z|² does not change it), the lowest of equal ones.
fn nearest(rows: Tensor<2>, codebook: Option<Tensor<2>>) -> Tensor<1, Int> {
    let n = rows.dims()[0];
    let Some(codebook) = codebook else {
        return Tensor::zeros([n], &rows.device());
    };
    let entries = codebook.dims()[0];
    let norms = codebook.clone().powi_scalar(2).sum_dim(1).reshape([1, entries]);
    let codebook = codebook.transpose();
    // All pictures of a batch beside 16,384 rows would be gigabytes.
    let parts = rows.split((DISTANCES / entries.max(1)).max(1), 0).into_iter().map(|rows| {
        let n = rows.dims()[0];
        let distance = norms.clone() - rows.matmul(codebook.clone()).mul_scalar(2.0);
        distance.argmin(1).reshape([n])
    });
    Tensor::cat(parts.collect(), 0)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;

    fn codes(rows: Tensor<2>, codebook: Tensor<2>) -> Vec<i64> {
        nearest(rows, Some(codebook)).into_data().convert::<i64>().try_to_vec().unwrap()
    }

    #[test]
    fn the_lowest_of_equal_rows_is_taken() {
        let device = Device::flex();
        let codebook = Tensor::<2>::from_floats([[3.0, 0.0], [1.0, 1.0], [1.0, 1.0], [-1.0, 1.0]], &device);
        let rows = Tensor::<2>::from_floats([[1.0, 1.0], [0.0, 1.0], [0.0, 5.0]], &device);
        assert_eq!(codes(rows, codebook.clone()), [1, 1, 1]);
        // More equal rows than a vector register is wide.
        let same = Tensor::<2>::ones([1000, 2], &device);
        assert_eq!(codes(Tensor::ones([1, 2], &device), Tensor::cat(vec![codebook, same], 0)), [1]);
    }

    #[test]
    fn chunks_do_not_change_a_code() {
        let device = Device::flex();
        // 3 chunks: 8,192 entries × 2,048 rows are 64 MB.
        let codebook = Tensor::<2>::random([8192, 4], Distribution::Normal(0.0, 1.0), &device);
        let rows = Tensor::<2>::random([2 * 2048 + 7, 4], Distribution::Normal(0.0, 1.0), &device);
        let whole = codes(rows.clone(), codebook.clone());
        assert_eq!(whole.len(), 2 * 2048 + 7);
        for place in [0, 2047, 2048, 4102] {
            assert_eq!(codes(rows.clone().narrow(0, place, 1), codebook.clone()), [whole[place]], "{place}");
        }
    }
}
