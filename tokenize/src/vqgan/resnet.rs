//! The residual block of taming's `ResnetBlock` (no time embedding, no dropout).

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};

use super::layers::{Norm, conv1x1, conv3x3};
use super::tile::{silent, straight, wire};
use crate::fused;

/// norm → swish → 3×3 → norm → swish → 3×3, plus the input (projected when channels change).
#[derive(Module, Debug)]
pub(crate) struct ResnetBlock {
    norm1: Norm,
    conv1: Conv2d,
    norm2: Norm,
    conv2: Conv2d,
    nin_shortcut: Option<Conv2d>,
}

impl ResnetBlock {
    pub(super) fn new(from: usize, to: usize, groups: usize, device: &Device) -> Self {
        Self {
            norm1: Norm::new(from, groups, device),
            conv1: conv3x3(from, to, device),
            norm2: Norm::new(to, groups, device),
            conv2: conv3x3(to, to, device),
            nin_shortcut: (from != to).then(|| conv1x1(from, to, device)),
        }
    }

    /// Passes its first `channels` on as they are.
    pub(super) fn wired(self, channels: usize) -> Self {
        Self {
            conv2: silent(self.conv2),
            nin_shortcut: self.nin_shortcut.map(|conv| wire(conv, &straight(channels, 0), 0.0)),
            ..self
        }
    }

    pub(super) fn channels_out(&self) -> usize {
        self.conv2.weight.dims()[0]
    }

    /// `[b, from, h, w]` → `[b, to, h, w]`
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let h = fused::conv3x3(self.norm1.forward_swish(x.clone()), &self.conv1);
        let h = fused::conv3x3(self.norm2.forward_swish(h), &self.conv2);
        let shortcut = match &self.nin_shortcut {
            Some(conv) => fused::conv1x1(x, conv),
            None => x,
        };
        shortcut + h
    }
}
