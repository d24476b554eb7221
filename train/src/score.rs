//! Perplexities of texts and images under a model, and what ruDOLPH does with them: reranking and classification.
//!
//! Source: `rudolph/api.py` (`ce_to_ppl`, `self_reranking_by_text`, `self_reranking_by_image`, `zs_clf`). Their
//! perplexity is the mean of `exp(loss)` over positions, not the exponential of the mean loss.

use std::ops::Range;

use burn::tensor::{Int, Tensor};

use crate::gpt::{Batch, Gpt, Vocabulary};
use crate::objective::{LossLayout, linear_cross_entropy};
use crate::rudolph::Rudolph;

/// One perplexity per row of a batch, for each segment that it has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Perplexities {
    /// Of the left text without its pads.
    pub left: Vec<f32>,
    /// Of the image.
    pub image: Vec<f32>,
    /// Of the right text without its pads.
    pub right: Vec<f32>,
}

/// The perplexities of a batch. Special image tokens and left pads take no part in the softmax.
pub fn perplexities(model: &Rudolph, batch: &Batch) -> Perplexities {
    let config = model.config();
    let hidden = model.gpt.head_norm(model.hidden(batch));
    let text = 0..config.text_vocab + config.text_special;
    let from = model.gpt.columns(Vocabulary::Image).start;
    let image = from..from + config.image_vocab;
    // The published image logits never learned the first code.
    let first = usize::from(config.loss_layout == LossLayout::V3);
    let of = |ids: &Option<Tensor<2, Int>>, start: usize, skip: usize, columns: Range<usize>| {
        let Some(ids) = ids.as_ref().filter(|ids| ids.dims()[1] > skip) else { return Vec::new() };
        let n = ids.dims()[1] - skip;
        let said = hidden.clone().narrow(1, start + skip - 1, n);
        of_targets(&model.gpt, said, ids.clone().narrow(1, skip, n), columns, start != config.left)
    };
    Perplexities {
        left: of(&batch.left, 0, 1, text.clone()),
        image: of(&batch.image, config.left, first, image),
        right: of(&batch.right, config.left + config.grid * config.grid, 1, text),
    }
}

/// One perplexity per row of targets `[b, n]` under what the head's norm put out before each: `[b, n, d]`.
pub(crate) fn of_targets(
    gpt: &Gpt,
    said: Tensor<3>,
    targets: Tensor<2, Int>,
    columns: Range<usize>,
    skip_pads: bool,
) -> Vec<f32> {
    let [b, n, d] = said.dims();
    let (weight, bias) = gpt.head(columns);
    let nll = linear_cross_entropy(said.reshape([b * n, d]), weight, bias, targets.clone().reshape([b * n]));
    mean_exponential(nll.reshape([b, n]), targets, skip_pads)
}

/// Mean of `exp(nll)` per row, over all targets or over those that are no pads.
fn mean_exponential(nll: Tensor<2>, targets: Tensor<2, Int>, skip_pads: bool) -> Vec<f32> {
    let counts = if skip_pads { targets.not_equal_scalar(0).float() } else { Tensor::ones_like(&nll) };
    let mean = (nll.exp() * counts.clone()).sum_dim(1) / counts.sum_dim(1).clamp_min(1.0);
    mean.inner().into_data().convert::<f32>().try_to_vec::<f32>().unwrap_or_default()
}

/// Ranks candidates by two perplexities: 0 is the best there could be, the lowest sum wins.
///
/// Each is shifted to begin at 0 and divided by its median; the first counts `weight`, the second the rest. ruDOLPH
/// uses 0.95 on the text for images of a text, and 0.05 for texts of an image. The best is 0 also where all are equal,
/// as a single one is, which the published code gives NaN.
pub fn rerank(text: &[f32], image: &[f32], weight: f32) -> Vec<f32> {
    let relative = |values: &[f32]| {
        let min = values.iter().copied().fold(f32::INFINITY, f32::min);
        let spread = median(values) - min;
        let share = |value: &f32| if *value == min { 0.0 } else { (value - min) / spread };
        values.iter().map(share).collect::<Vec<_>>()
    };
    let both = relative(text).into_iter().zip(relative(image));
    both.map(|(text, image)| text * weight + image * (1.0 - weight)).collect()
}

/// The median, between the two middle ones where their number is even.
fn median(values: &[f32]) -> f32 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    match sorted.len() {
        0 => f32::NAN,
        n => (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0,
    }
}

/// Zero-shot classification: a softmax over the normalised perplexities of the classes; the lowest is the label.
pub fn classify(perplexities: &[f32]) -> Vec<f32> {
    let norm = perplexities.iter().map(|p| p * p).sum::<f32>().sqrt();
    let exponentials = perplexities.iter().map(|p| (p / norm).exp()).collect::<Vec<_>>();
    let sum: f32 = exponentials.iter().sum();
    exponentials.into_iter().map(|e| e / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_candidate_with_the_lowest_perplexities_ranks_first() {
        let scores = rerank(&[9.0, 3.0, 5.0], &[4.0, 4.5, 8.0], 0.95);
        assert!(scores[1] < scores[2] && scores[2] < scores[0], "{scores:?}");
        assert_eq!(median(&[1.0, 9.0, 2.0, 4.0]), 3.0);
        assert_eq!(rerank(&[9.0], &[4.0], 0.05), [0.0]);
        assert_eq!(rerank(&[], &[], 0.05), [0.0; 0]);
    }

    #[test]
    fn classes_sum_to_one_and_the_lowest_perplexity_gets_the_least() {
        let scores = classify(&[3.0, 1.0, 2.0]);
        assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!(scores[1] < scores[2] && scores[2] < scores[0]);
    }
}
