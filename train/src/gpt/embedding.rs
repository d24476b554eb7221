//! Token and position vectors of the three segments.

use burn::nn::{Embedding, EmbeddingConfig, Initializer};
use burn::tensor::{Device, Int, Tensor};

use super::config::{GptConfig, GridPositions, Start};

/// Id of the start-of-text token in every published text vocabulary.
pub const BOS: u32 = 2;
/// Id of the end-of-text token.
pub const EOS: u32 = 3;
/// Id of the padding.
pub const PAD: u32 = 0;

/// The position tables of an image.
pub(super) struct ImagePositions<'a> {
    pub(super) rows: Option<&'a Embedding>,
    pub(super) cols: Option<&'a Embedding>,
    pub(super) flat: Option<&'a Embedding>,
}

impl ImagePositions<'_> {
    /// `[1, n, d]` for positions `from..from + n` of the image; a start token before it is position 0 of a flat table.
    pub(super) fn vectors(&self, from: usize, n: usize) -> Option<Tensor<3>> {
        if let Some(table) = self.flat {
            return Some(table.weight.val().narrow(0, from, n).unsqueeze());
        }
        let (rows, cols) = (self.rows?.weight.val(), self.cols?.weight.val());
        let [side, dim] = rows.dims();
        let (first, last) = (from / side, (from + n).div_ceil(side));
        let rows = rows.narrow(0, first, last - first).unsqueeze_dim::<3>(1);
        let grid = (rows + cols.unsqueeze_dim::<3>(0)).reshape([1, (last - first) * side, dim]);
        Some(if grid.dims()[1] == n { grid } else { grid.narrow(1, from - first * side, n) })
    }
}

/// A table of `rows` vectors drawn from N(0, [`GptConfig::embedding_std`]²).
pub(super) fn table(rows: usize, config: &GptConfig, device: &Device) -> Option<Embedding> {
    let initializer = Initializer::Normal { mean: 0.0, std: config.embedding_std };
    (rows > 0).then(|| EmbeddingConfig::new(rows, config.dim).with_initializer(initializer).init(device))
}

/// Rows of the image table: the codes, the special tokens, and the start vector where there is one.
pub(super) fn image_rows(config: &GptConfig) -> usize {
    if config.grid == 0 { 0 } else { config.total_image() + usize::from(config.start == Start::Image) }
}

/// Rows of a flat position table.
pub(super) fn flat_rows(config: &GptConfig) -> usize {
    if config.positions == GridPositions::Flat { config.segments().image() } else { 0 }
}

/// Rows of the row and of the column table.
pub(super) fn side_rows(config: &GptConfig) -> usize {
    if config.positions == GridPositions::RowCol { config.grid } else { 0 }
}

/// Puts `id` before every row of `ids`.
pub(super) fn prepend(id: usize, ids: Tensor<2, Int>) -> Tensor<2, Int> {
    let [b, _] = ids.dims();
    let start = Tensor::full([b, 1], id as i64, &ids.device());
    Tensor::cat(vec![start, ids], 1)
}

/// `share` of the gradient reaches `x`; the value stays.
pub(super) fn shrink_gradient(x: Tensor<3>, share: f64) -> Tensor<3> {
    if share >= 1.0 || !x.device().is_autodiff() {
        return x;
    }
    x.clone() * share + x.detach() * (1.0 - share)
}
