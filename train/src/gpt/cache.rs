//! Keys and values of the positions already seen, in buffers made once for a whole sequence.

use burn::tensor::{Device, Tensor};

use super::config::GptConfig;
use super::shift::Seen;

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

    /// Appends `[b, heads, t, head_dim]` and returns everything so far.
    pub(super) fn append(&mut self, k: Tensor<4>, v: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let (start, end) = (self.len, self.len + k.dims()[2]);
        let write = |buffer: &mut Tensor<4>, new: Tensor<4>| {
            let [b, heads, _, head_dim] = buffer.dims();
            // The buffer must be the only owner of its memory while it is written, or it is copied whole.
            buffer.inplace(|buffer| buffer.slice_assign([0..b, 0..heads, start..end, 0..head_dim], new));
            buffer.clone().narrow(2, 0, end)
        };
        self.len = end;
        (write(&mut self.keys, k), write(&mut self.values, v))
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
