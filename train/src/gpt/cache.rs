//! Keys and values of the positions already seen, in buffers made once for a whole sequence.

use burn::tensor::{Device, Int, Tensor};

use super::config::GptConfig;

/// The cache of one layer.
#[derive(Debug)]
pub struct LayerCache {
    keys: Tensor<4>,
    values: Tensor<4>,
    len: usize,
}

impl LayerCache {
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
        let shape = [batch, config.heads, config.segments().total(), config.dim / config.heads];
        let layer = |_| LayerCache {
            keys: Tensor::zeros(shape, device),
            values: Tensor::zeros(shape, device),
            len: 0,
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
                values: layer.values.select(0, rows),
                len: layer.len,
            }
        };
        Self { layers: self.layers.into_iter().map(layer).collect() }
    }

    /// Forgets everything after the first `len` positions, which other continuations may then share.
    pub fn truncate(&mut self, len: usize) {
        for layer in &mut self.layers {
            layer.len = layer.len.min(len);
        }
    }
}
