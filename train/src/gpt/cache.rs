//! Keys and values of the positions already seen, in buffers made once for a whole sequence.

use burn::tensor::{Device, Int, Tensor};

use super::config::GptConfig;
use super::linear::linear_tensors;
use super::mask::Mask;
use super::shift::Seen;
use super::{Gpt, Vocabulary};
use crate::fused::{self, Sight};

/// The cache of one layer.
#[derive(Debug)]
pub struct LayerCache {
    keys: Tensor<4>,
    values: Tensor<4>,
    len: usize,
    /// What token shift looks back at, before the attention and before the feed-forward part.
    pub(super) shifted: Option<[Seen; 2]>,
}

impl LayerCache {
    /// Positions seen so far, until [`Self::append`] counts those that are on their way.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Appends `[b, heads, t, head_dim]`.
    pub(super) fn append(&mut self, k: Tensor<4>, v: Tensor<4>) {
        let (start, end) = (self.len, self.len + k.dims()[2]);
        let write = |buffer: &mut Tensor<4>, new: Tensor<4>| {
            let [b, heads, _, head_dim] = buffer.dims();
            // The buffer must be the only owner of its memory while it is written, or it is copied whole.
            buffer.inplace(|buffer| buffer.slice_assign([0..b, 0..heads, start..end, 0..head_dim], new));
        };
        write(&mut self.keys, k);
        write(&mut self.values, v);
        self.len = end;
    }

    /// Keys and values of everything so far: `[b, heads, len, head_dim]`.
    pub(super) fn seen(&self) -> (Tensor<4>, Tensor<4>) {
        (self.keys.clone().narrow(2, 0, self.len), self.values.clone().narrow(2, 0, self.len))
    }

    /// Attention of the positions appended last, from the queries in their `qkv` `[b, t, 3d]`; `None` where there is no
    /// kernel.
    pub(super) fn attend(&self, qkv: &Tensor<3>, mask: &Mask) -> Option<Tensor<3>> {
        let sight = Sight { kind: mask.kind, segments: mask.segments };
        let start = self.len - qkv.dims()[1];
        fused::cached_attention(qkv.clone(), self.keys.clone(), self.values.clone(), start, sight)
    }
}

/// The caches of all layers for one batch.
#[derive(Debug)]
pub struct Cache {
    pub(super) layers: Vec<LayerCache>,
}

impl Cache {
    /// Empty buffers for `batch` sequences of full length.
    pub fn new(config: &GptConfig, batch: usize, device: &Device) -> Self {
        let shape = [batch, config.heads, config.segments().total(), config.head_dim()];
        let layer = |_| LayerCache {
            keys: Tensor::zeros(shape, device),
            values: Tensor::zeros(shape, device),
            len: 0,
            shifted: config.shift_tokens.then(|| [(); 2].map(|()| Seen::new(config, batch, device))),
        };
        Self { layers: (0..config.layers).map(layer).collect() }
    }

    /// Positions seen so far.
    pub fn len(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.len)
    }

    /// Whether nothing has been seen.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The caches of some rows of the batch; a row that comes several times is continued in several ways.
    #[must_use]
    pub fn select(self, rows: &[usize]) -> Self {
        let batch = self.layers.first().map_or(0, |layer| layer.keys.dims()[0]);
        if rows.iter().copied().eq(0..batch) {
            return self;
        }
        let layer = |layer: LayerCache| {
            let rows: Vec<i64> = rows.iter().map(|row| *row as i64).collect();
            let rows = Tensor::<1, Int>::from_data(rows.as_slice(), &layer.keys.device());
            LayerCache {
                keys: layer.keys.select(0, rows.clone()),
                values: layer.values.select(0, rows.clone()),
                len: layer.len,
                shifted: layer.shifted.map(|parts| parts.map(|seen| seen.select(rows.clone()))),
            }
        };
        Self { layers: self.layers.into_iter().map(layer).collect() }
    }

    /// Forgets everything after the first `len` positions, which other continuations may then share.
    pub fn truncate(&mut self, len: usize) {
        for layer in &mut self.layers {
            layer.len = layer.len.min(len);
            for seen in layer.shifted.iter_mut().flatten() {
                seen.truncate(len);
            }
        }
    }
}

/// Scores that one forward pass of new positions may have in memory where there is no kernel: 256 MiB of them.
const SCORES: usize = 1 << 26;

/// The columns of the head for a part of the vocabulary, side by side in memory: a step needs no copy of them.
#[derive(Debug)]
pub struct Head {
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
}

impl Gpt {
    /// The head for a part of the vocabulary, to be kept from step to step.
    pub fn head_of(&self, vocabulary: Vocabulary) -> Head {
        let (weight, bias) = self.head(self.columns(vocabulary));
        // A view of some columns would be copied for every product.
        Head { weight: weight.mul_scalar(1.0), bias }
    }

    /// Logits by a head of [`Self::head_of`]: `[b, t, d]` from [`Self::forward`] → `[b, t, n]`.
    pub fn logits_of(&self, hidden: Tensor<3>, head: &Head) -> Tensor<3> {
        linear_tensors(self.head_norm(hidden), head.weight.clone(), head.bias.clone())
    }

    /// [`Self::forward`] of new positions `[b, t, d]` of which only the last is asked for: `[b, 1, d]`; `None` without
    /// positions. Where scores are kept in memory, a long run is cut so that they do not fill it.
    pub fn forward_last(&self, x: Tensor<3>, cache: &mut Cache) -> Option<Tensor<3>> {
        let [b, t, _] = x.dims();
        let keys = (cache.len() + t).max(1);
        let most = if fused::is_cpu(&x.device()) { t } else { SCORES / (b * self.config().heads * keys) };
        let mut last = None;
        for from in (0..t).step_by(most.max(1)) {
            let n = most.max(1).min(t - from);
            last = Some(self.forward(x.clone().narrow(1, from, n), Some(cache)).narrow(1, n - 1, 1));
        }
        last
    }
}
