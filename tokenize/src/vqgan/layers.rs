//! Convolutions and the group norm of the VQGAN, under the published parameter names.

use burn::module::{Module, Param};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::activation::silu;
use burn::tensor::{Device, Tensor};

use super::tile::{Wires, filled, wire};
use crate::fused;

/// Epsilon of every group norm (taming `Normalize`).
const EPSILON: f64 = 1e-6;

/// Group normalisation with a gain and a bias per channel; without groups only gain and bias.
///
/// burn's own layer calls them `gamma` and `beta`; the checkpoints say `weight` and `bias`.
#[derive(Module, Debug)]
pub(crate) struct Norm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    groups: usize,
}

impl Norm {
    /// Unit gain, zero bias; no normalisation if `groups` is 0.
    pub(super) fn new(channels: usize, groups: usize, device: &Device) -> Self {
        Self {
            weight: Param::from_tensor(Tensor::ones([channels], device)),
            bias: Param::from_tensor(Tensor::zeros([channels], device)),
            groups,
        }
    }

    /// Normalises each group of channels over space.
    ///
    /// # Shapes
    /// `[b, c, h, w]` → `[b, c, h, w]`
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        if self.groups == 0 {
            return self.affine(x);
        }
        fused::group_norm(x, self.weight.val(), self.bias.val(), self.groups, EPSILON, false)
    }

    /// [`Self::forward`] followed by `x · sigmoid(x)`.
    pub(super) fn forward_swish(&self, x: Tensor<4>) -> Tensor<4> {
        if self.groups == 0 {
            return silu(self.affine(x));
        }
        fused::group_norm(x, self.weight.val(), self.bias.val(), self.groups, EPSILON, true)
    }

    fn affine(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, c, _, _] = x.dims();
        x * self.weight.val().reshape([1, c, 1, 1]) + self.bias.val().reshape([1, c, 1, 1])
    }

    /// The same with every bias at `bias`.
    pub(super) fn lifted(mut self, bias: f32) -> Self {
        self.bias = filled(&self.bias, bias);
        self
    }
}

/// 3×3, stride 1, same size.
pub(super) fn conv3x3(from: usize, to: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new([from, to], [3, 3]).with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)).init(device)
}

/// 1×1 projection of channels.
pub(super) fn conv1x1(from: usize, to: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new([from, to], [1, 1]).init(device)
}

/// Halves the side: zeros on the right and bottom edge, then 3×3 with stride 2.
#[derive(Module, Debug)]
pub(crate) struct Downsample {
    conv: Conv2d,
}

impl Downsample {
    pub(super) fn new(channels: usize, device: &Device) -> Self {
        let conv = Conv2dConfig::new([channels, channels], [3, 3])
            .with_stride([2, 2])
            .with_padding(PaddingConfig2d::Explicit(0, 0, 1, 1))
            .init(device);
        Self { conv }
    }

    /// The first channels come from single pixels of the input.
    pub(super) fn wired(self, wires: &Wires) -> Self {
        Self { conv: wire(self.conv, wires, 0.0) }
    }

    /// `[b, c, h, w]` → `[b, c, h/2, w/2]`
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        fused::halve(x, &self.conv)
    }
}

/// Doubles the side by nearest neighbour, then 3×3.
#[derive(Module, Debug)]
pub(crate) struct Upsample {
    conv: Conv2d,
}

impl Upsample {
    pub(super) fn new(channels: usize, device: &Device) -> Self {
        Self { conv: conv3x3(channels, channels, device) }
    }

    /// `[b, c, h, w]` → `[b, c, 2h, 2w]`
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        fused::conv3x3(fused::upsample2x(x), &self.conv)
    }
}
