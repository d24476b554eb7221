//! What a sequence costs: operations, and numbers that are kept for the way back.
//!
//! Operations are those of the matrix products and of attention over the pairs that the masks allow, as MFU counts them
//! (Chowdhery et al. 2022, appendix B); two for each multiplication and addition. Numbers kept are counted from what the
//! kernels of [`crate::fused`] and burn's own operations hold on to between the way forth and the way back.

use super::{GptConfig, Segments};

/// How many positions of each segment a sequence has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lengths {
    /// Left text.
    pub left: usize,
    /// Image.
    pub image: usize,
    /// Right text.
    pub right: usize,
}

/// What training one sequence costs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Floating-point operations on the way forth; the way back takes twice as many.
    pub forth: f64,
    /// Those of the layers alone, which recomputing them takes once more.
    pub layers: f64,
    /// Numbers that one layer keeps.
    pub layer: u64,
    /// Numbers that a layer's input takes: what is kept of it where layers are recomputed.
    pub input: u64,
    /// Numbers that embeddings, norms and logits keep, with the logits' gradient.
    pub ends: u64,
}

impl Cost {
    /// Numbers kept at the moment when most are: after the way forth. One layer at a time where they are recomputed.
    #[must_use]
    pub const fn kept(&self, layers: usize, recompute: bool) -> u64 {
        let layers = layers as u64;
        if recompute { self.ends + self.layer + layers * self.input } else { self.ends + layers * self.layer }
    }

    /// Operations of a step on it: forth, twice as many back, and the layers forth again where they are recomputed.
    #[must_use]
    pub fn step(&self) -> f64 {
        3.0 * self.forth
    }
}

impl GptConfig {
    /// What training a sequence with these segments costs.
    #[must_use]
    pub fn cost(&self, lengths: Lengths) -> Cost {
        let positions = lengths.left + lengths.image + lengths.right;
        let (t, d, inner) = (positions as f64, self.dim as f64, self.inner_dim() as f64);
        let wide = 4.0 * d;
        let products = 4.0 * d * inner + (self.activation.inputs() as f64 + 1.0) * d * wide;
        let pairs: f64 = (0..self.layers).map(|layer| self.pairs(layer, positions)).sum();
        let layers = 2.0 * t * products * self.layers as f64 + 4.0 * inner * pairs;
        let text = (lengths.left + lengths.right) as f64 * self.total_text() as f64;
        let image = lengths.image as f64 * self.total_image() as f64;
        Cost {
            forth: layers + 2.0 * d * (text + image),
            layers,
            layer: positions as u64 * self.kept_by_a_layer(),
            input: (positions * self.dim) as u64,
            // The sum of the embeddings, the final norm's input and output, the heads' rows; logits once forth, and the
            // larger part's gradient.
            ends: (4 * positions * self.dim) as u64 + (text + image) as u64 + text.max(image) as u64,
        }
    }

    /// Numbers that one layer keeps for each position.
    fn kept_by_a_layer(&self) -> u64 {
        let (d, inner) = (self.dim, self.inner_dim());
        // Inputs and outputs of both norms; queries, keys and values, and what they attended to.
        let attention = 4 * d + 4 * inner;
        // The activation's input and output; the gated one keeps both halves, the gate after GELU and two of its parts.
        let wide = 4 * d * if self.activation.inputs() == 2 { 6 } else { 2 };
        let branches = 2 * d * (usize::from(self.sandwich) + usize::from(self.dropout > 0.0));
        let scales = if self.layer_scale { 2 * d } else { 0 };
        (attention + wide + branches + scales) as u64
    }

    /// Pairs of positions that see each other in a layer, among the first `positions`.
    fn pairs(&self, layer: usize, positions: usize) -> f64 {
        let (segments, kind) = (self.seen_segments(), self.masks.kind(layer, self.layers));
        let count = |q: usize| (0..positions).filter(|p| kind.allows(&segments, q, *p)).count();
        (0..positions).map(|q| count(q) as f64).sum()
    }
}

impl From<Segments> for Lengths {
    fn from(segments: Segments) -> Self {
        Self { left: segments.left, image: segments.image(), right: segments.right }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpt::MaskSchedule;

    fn config() -> GptConfig {
        GptConfig {
            layers: 4,
            dim: 256,
            heads: 8,
            left: 64,
            grid: 16,
            right: 0,
            text_vocab: 4096,
            text_special: 0,
            image_vocab: 4096,
            image_special: 0,
            masks: MaskSchedule::Full,
            ..GptConfig::default()
        }
    }

    #[test]
    fn operations_are_six_for_each_weight_and_token_and_the_attention() {
        let config = config();
        let cost = config.cost(config.segments().into());
        let (t, d) = (320.0, 256.0);
        let weights = 4.0 * 12.0 * d * d;
        let attention = 4.0 * 4.0 * d * t * (t + 1.0) / 2.0;
        let head = 2.0 * d * (64.0 * config.total_text() as f64 + 256.0 * 4096.0);
        let forth = 2.0 * t * weights + attention + head;
        assert!((cost.forth - forth).abs() < 1.0, "{} {forth}", cost.forth);
        assert!((cost.step() - 3.0 * forth).abs() < 3.0);
    }

    #[test]
    fn sparse_masks_cost_less() {
        let full = config();
        let sparse = GptConfig { masks: MaskSchedule::Dalle { kernel: 11, wrap: false }, ..config() };
        let cost = |config: &GptConfig| config.cost(config.segments().into());
        assert!(cost(&sparse).forth < cost(&full).forth);
        assert_eq!(cost(&sparse).layer, cost(&full).layer, "the kernel keeps no scores");
    }

    #[test]
    fn recomputing_keeps_one_layer_and_the_inputs_of_all() {
        let cost = config().cost(config().segments().into());
        let saved = cost.kept(4, false) - cost.kept(4, true);
        assert_eq!(saved, 3 * cost.layer - 4 * cost.input);
    }
}
