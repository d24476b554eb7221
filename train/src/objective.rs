//! The training objective: one weighted cross-entropy per segment, each over its own part of the vocabulary.
//!
//! Source: `rudalle/dalle/model.py` and `rudolph/model/model.py` (`forward` with `return_loss`). Text positions never
//! get image logits, nor image positions text logits: the head is cut before the product, not after it.

use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use crate::fused;
use crate::gpt::{Batch, Gpt, Vocabulary, linear_rows};

/// What the positions around the border between left text and image are trained to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LossLayout {
    /// The last left position predicts the first code with the image logits: every code is learned.
    #[default]
    V2,
    /// As published for ruDALL·E v3 and RuDOLPH: the last left position is trained to emit the first code as if it
    /// were a text id, and the image logits never see that code. Only for fine-tuning those checkpoints.
    V3,
}

/// How much each segment's mean loss counts; their sum over the segments present divides the total.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossWeights {
    /// Left text.
    pub left: f64,
    /// Image.
    pub image: f64,
    /// Right text.
    pub right: f64,
}

impl Default for LossWeights {
    /// 1, 7 and 1, as published.
    fn default() -> Self {
        Self { left: 1.0, image: 7.0, right: 1.0 }
    }
}

/// The losses of a batch, each a scalar on the device.
#[derive(Clone, Debug)]
pub struct Losses {
    /// The weighted mean of those below, to differentiate.
    pub total: Tensor<1>,
    /// Mean over left-text positions, pads included: each has an id of its own.
    pub left: Option<Tensor<1>>,
    /// Mean over image positions.
    pub image: Option<Tensor<1>>,
    /// Mean over right-text positions that are no pads; 0 where there is none.
    pub right: Option<Tensor<1>>,
}

/// Losses per position, not yet averaged: `[b, n]`, and 0 where a right pad is the target.
#[derive(Clone, Debug)]
pub struct PositionLosses {
    /// Of left-text positions.
    pub left: Option<Tensor<2>>,
    /// Of image positions.
    pub image: Option<Tensor<2>>,
    /// Of right-text positions, and 1 where they count, 0 at pads.
    pub right: Option<(Tensor<2>, Tensor<2>)>,
}

/// The weighted losses of a batch from the hidden states `[b, t, d]` of [`Gpt::forward`].
pub fn losses(
    gpt: &Gpt,
    hidden: Tensor<3>,
    batch: &Batch,
    layout: LossLayout,
    weights: &LossWeights,
) -> Losses {
    let device = hidden.device();
    let positions = position_losses(gpt, hidden, batch, layout);
    let left = positions.left.map(Tensor::mean);
    let image = positions.image.map(Tensor::mean);
    let right = positions.right.map(|(nll, counts)| nll.sum() / counts.sum().clamp_min(1.0));
    let parts = [(&left, weights.left), (&image, weights.image), (&right, weights.right)];
    let present = parts.iter().filter_map(|(loss, weight)| Some((loss.as_ref()?.clone(), *weight)));
    let present = present.filter(|(_, weight)| *weight != 0.0).collect::<Vec<_>>();
    let sum: f64 = present.iter().map(|(_, weight)| weight).sum();
    let total = present.into_iter().map(|(loss, weight)| loss * (weight / sum)).reduce(|a, b| a + b);
    Losses { total: total.unwrap_or_else(|| Tensor::zeros([1], &device)), left, image, right }
}

/// The positions of one segment that are trained, and what they should say.
struct Span {
    from: usize,
    /// `[b, n]`
    targets: Tensor<2, Int>,
}

impl Span {
    fn len(&self) -> usize {
        self.targets.dims()[1]
    }

    fn cut(&self, hidden: &Tensor<3>) -> Tensor<3> {
        hidden.clone().narrow(1, self.from, self.len())
    }
}

/// Where each segment's targets are: position `p` predicts token `p + 1`, or `p` after a start token.
struct Spans {
    left: Option<Span>,
    image: Option<Span>,
    right: Option<Span>,
}

impl Spans {
    fn new(gpt: &Gpt, batch: &Batch, layout: LossLayout) -> Self {
        let shift = gpt.shift();
        // Without a start token the first token of a sequence has nothing before it that could predict it.
        let tail = |ids: Tensor<2, Int>, skip: usize| {
            let n = ids.dims()[1];
            (n > skip).then(|| ids.narrow(1, skip, n - skip))
        };
        let mut from = 0;
        let mut next = |ids: &Option<Tensor<2, Int>>| {
            let n = ids.as_ref().map_or(0, |ids| ids.dims()[1]);
            from += n;
            from - n + shift
        };
        let (_, image_at, right_at) = (next(&batch.left), next(&batch.image), next(&batch.right));
        let quirk = layout == LossLayout::V3 && shift == 0 && batch.left.is_some();
        let mut left = batch.left.clone().and_then(|ids| tail(gpt.left_targets(ids), 1 - shift));
        let mut image = batch.image.clone().map(|codes| (image_at, codes));
        if quirk && let Some((at, codes)) = image.take() {
            let first = codes.clone().narrow(1, 0, 1);
            left = Some(left.map_or(first.clone(), |left| Tensor::cat(vec![left, first], 1)));
            image = tail(codes, 1).map(|codes| (at + 1, codes));
        }
        // An image at the very beginning has no position before its first code, unless a start token stands there.
        let image =
            image.and_then(
                |(at, codes)| {
                    if at == 0 { tail(codes, 1).map(|codes| (1, codes)) } else { Some((at, codes)) }
                },
            );
        Self {
            left: left.map(|targets| Span { from: 0, targets }),
            image: image.map(|(at, targets)| Span { from: at - 1, targets }),
            // The first right token is BOS, and never a target.
            right: batch
                .right
                .clone()
                .and_then(|ids| tail(ids, 1))
                .map(|targets| Span { from: right_at, targets }),
        }
    }
}

/// The loss of every trained position of a batch.
pub fn position_losses(gpt: &Gpt, hidden: Tensor<3>, batch: &Batch, layout: LossLayout) -> PositionLosses {
    let spans = Spans::new(gpt, batch, layout);
    let hidden = gpt.head_norm(hidden);
    let image = spans.image.map(|span| segment_loss(gpt, Vocabulary::Image, span.cut(&hidden), span.targets));
    // Left and right text share the text columns of the head: one product for both.
    let text = match (&spans.left, &spans.right) {
        (Some(left), Some(right)) => Some((
            Tensor::cat(vec![left.cut(&hidden), right.cut(&hidden)], 1),
            Tensor::cat(vec![left.targets.clone(), right.targets.clone()], 1),
        )),
        (Some(span), None) | (None, Some(span)) => Some((span.cut(&hidden), span.targets.clone())),
        (None, None) => None,
    };
    let text = text.map(|(hidden, targets)| segment_loss(gpt, Vocabulary::Text, hidden, targets));
    let split = spans.left.as_ref().map_or(0, Span::len);
    let left = spans.left.as_ref().and_then(|span| Some(text.clone()?.narrow(1, 0, span.len())));
    let right = spans.right.and_then(|span| {
        let counts = span.targets.clone().not_equal_scalar(0).float();
        Some((text?.narrow(1, split, span.len()) * counts.clone(), counts))
    });
    PositionLosses { left, image, right }
}

/// `[b, n, d]` and targets `[b, n]` → `[b, n]`
fn segment_loss(gpt: &Gpt, vocabulary: Vocabulary, hidden: Tensor<3>, targets: Tensor<2, Int>) -> Tensor<2> {
    let [b, n, d] = hidden.dims();
    let (weight, bias) = gpt.head(gpt.columns(vocabulary));
    linear_cross_entropy(hidden.reshape([b * n, d]), weight, bias, targets.reshape([b * n])).reshape([b, n])
}

/// `-log softmax(hidden · weight + bias)[target]`, in nats.
///
/// # Shapes
/// `hidden` `[n, d]`, `weight` `[d, v]`, `bias` `[v]`, `targets` `[n]` below `v` → `[n]`
pub fn linear_cross_entropy(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    targets: Tensor<1, Int>,
) -> Tensor<1> {
    let logits = linear_rows(hidden, weight, bias);
    match fused::cross_entropy(logits.clone(), targets.clone()) {
        Some(nll) => nll,
        None => cross_entropy(logits, targets),
    }
}

/// `-log softmax(logits)[target]` in ordinary operations.
fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let n = logits.dims()[0];
    let shifted = logits.clone() - logits.detach().max_dim(1);
    let target = shifted.clone().gather(1, targets.reshape([n, 1]));
    (shifted.exp().sum_dim(1).log() - target).reshape([n])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpt::{GptConfig, ids};
    use burn::tensor::{Device, Distribution, activation};

    fn model() -> (Gpt, Batch) {
        let device = Device::flex();
        let config = GptConfig {
            layers: 2,
            dim: 16,
            heads: 2,
            left: 5,
            grid: 2,
            right: 4,
            text_vocab: 11,
            text_special: 2,
            image_vocab: 7,
            image_special: 1,
            init_std: 0.3,
            ..GptConfig::default()
        };
        let rows = |rows: &[Vec<u32>]| ids(rows, &device);
        let batch = Batch {
            left: rows(&[vec![2, 5, 3, 0, 0], vec![2, 7, 9, 8, 3]]),
            image: rows(&[vec![0, 6, 3, 1], vec![5, 5, 2, 4]]),
            right: rows(&[vec![2, 4, 3, 0], vec![2, 3, 0, 0]]),
        };
        (config.init(&device), batch)
    }

    /// The same by the whole head and a softmax over a slice of its logits.
    fn by_full_logits(gpt: &Gpt, hidden: Tensor<3>, columns: Vocabulary, at: &[(usize, usize, i64)]) -> f32 {
        let logits = gpt.logits(hidden, Vocabulary::All);
        let columns = gpt.columns(columns);
        let sum: f32 = at
            .iter()
            .map(|&(row, position, target)| {
                let slice = logits.clone().slice([row..row + 1, position..position + 1, columns.clone()]);
                let target = target as usize;
                -activation::log_softmax(slice, 2).narrow(2, target, 1).into_scalar::<f32>()
            })
            .sum();
        sum / at.len() as f32
    }

    fn value(loss: Option<Tensor<1>>) -> f32 {
        loss.unwrap().into_scalar()
    }

    #[test]
    fn the_kernel_and_the_plain_form_agree_in_values_and_gradients() {
        let device = Device::flex().autodiff();
        let logits = Tensor::<2>::random([19, 23], Distribution::Normal(0.0, 4.0), &device).require_grad();
        let targets = Tensor::<1, Int>::arange(0..19, &device);
        let fast = fused::cross_entropy(logits.clone(), targets.clone()).unwrap();
        let plain = cross_entropy(logits.clone(), targets);
        let grad = |y: Tensor<1>| logits.grad(&(y.clone() * y).sum().backward()).unwrap();
        assert!((fast.clone() - plain.clone()).abs().max().into_scalar::<f32>() < 1e-5);
        assert!((grad(fast) - grad(plain)).abs().max().into_scalar::<f32>() < 1e-4);
    }

    #[test]
    fn sliced_losses_equal_the_full_head() {
        let (gpt, batch) = model();
        let hidden = gpt.forward(gpt.embed(&batch).unwrap(), None);
        let losses = losses(&gpt, hidden.clone(), &batch, LossLayout::V2, &LossWeights::default());
        // Pads of the first row become 13 + 3 and 13 + 4.
        let left = [5, 3, 16, 17].into_iter().zip(0..).map(|(t, p)| (0, p, t));
        let left = left.chain([7, 9, 8, 3].into_iter().zip(0..).map(|(t, p)| (1, p, t))).collect::<Vec<_>>();
        let image = [0, 6, 3, 1].into_iter().zip(4..).map(|(t, p)| (0, p, t));
        let image =
            image.chain([5, 5, 2, 4].into_iter().zip(4..).map(|(t, p)| (1, p, t))).collect::<Vec<_>>();
        let right = [(0, 9, 4), (0, 10, 3), (1, 9, 3)];
        let expected = [
            by_full_logits(&gpt, hidden.clone(), Vocabulary::Text, &left),
            by_full_logits(&gpt, hidden.clone(), Vocabulary::Image, &image),
            by_full_logits(&gpt, hidden, Vocabulary::Text, &right),
        ];
        let total = (expected[0] + 7.0 * expected[1] + expected[2]) / 9.0;
        let found = [value(losses.left), value(losses.image), value(losses.right)];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
        assert!((losses.total.into_scalar::<f32>() - total).abs() < 1e-5);
    }

    #[test]
    fn v3_trains_the_first_code_as_a_text_id() {
        let (gpt, batch) = model();
        let hidden = gpt.forward(gpt.embed(&batch).unwrap(), None);
        let found = losses(&gpt, hidden.clone(), &batch, LossLayout::V3, &LossWeights::default());
        let image = [(0, 5, 6), (0, 6, 3), (0, 7, 1), (1, 5, 5), (1, 6, 2), (1, 7, 4)];
        let expected = by_full_logits(&gpt, hidden.clone(), Vocabulary::Image, &image);
        assert!((value(found.image) - expected).abs() < 1e-5);
        let left = [(0, 0, 5), (0, 1, 3), (0, 2, 16), (0, 3, 17), (0, 4, 0)];
        let left = left
            .into_iter()
            .chain([(1, 0, 7), (1, 1, 9), (1, 2, 8), (1, 3, 3), (1, 4, 5)])
            .collect::<Vec<_>>();
        let expected = by_full_logits(&gpt, hidden, Vocabulary::Text, &left);
        assert!((value(found.left) - expected).abs() < 1e-5);
    }

    #[test]
    fn absent_segments_and_empty_right_texts_do_not_count() {
        let (gpt, mut batch) = model();
        batch.right = ids(&[vec![0u32; 4], vec![0; 4]], &Device::flex());
        let hidden = gpt.forward(gpt.embed(&batch).unwrap(), None);
        let losses_of = |weights: LossWeights| losses(&gpt, hidden.clone(), &batch, LossLayout::V2, &weights);
        let all = losses_of(LossWeights::default());
        assert_eq!(value(all.right), 0.0);
        let only = losses_of(LossWeights { left: 0.0, image: 3.0, right: 0.0 });
        assert_eq!(only.total.into_scalar::<f32>(), value(only.image));
        let nothing = losses_of(LossWeights { left: 0.0, image: 0.0, right: 0.0 });
        assert_eq!(nothing.total.into_scalar::<f32>(), 0.0);
    }
}
