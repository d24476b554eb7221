//! PatchGAN: judges overlapping patches as real or drawn (taming `NLayerDiscriminator`).
//!
//! Group norm stands where taming has batch norm: no running statistics to carry through a resume,
//! and the same answer for any batch size.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, Initializer, PaddingConfig2d};
use burn::tensor::activation::leaky_relu;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// Size of the discriminator. Defaults: taming `NLayerDiscriminator` (ndf 64, 3 layers).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiscriminatorConfig {
    /// Channels of the first layer; doubles per layer up to eight times.
    pub channels: usize,
    /// Layers that halve the side.
    pub layers: usize,
}

impl Default for DiscriminatorConfig {
    fn default() -> Self {
        Self { channels: 64, layers: 3 }
    }
}

/// Convolutions with the norms between them.
#[derive(Module, Debug)]
pub struct Discriminator {
    main: Vec<Conv2d>,
    norms: Vec<GroupNorm>,
}

impl DiscriminatorConfig {
    /// A discriminator with taming's initial weights, N(0, 0.02).
    pub fn init(&self, device: &Device) -> Discriminator {
        let conv = |from, to, stride| {
            Conv2dConfig::new([from, to], [4, 4])
                .with_stride([stride, stride])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_initializer(Initializer::Normal { mean: 0.0, std: 0.02 })
                .init(device)
        };
        let width = |layer: usize| self.channels * (1 << layer.min(3));
        let mut main = vec![conv(3, width(0), 2)];
        let mut norms = Vec::new();
        for layer in 1..=self.layers {
            let stride = if layer < self.layers { 2 } else { 1 };
            main.push(conv(width(layer - 1), width(layer), stride));
            norms.push(GroupNormConfig::new(width(layer).min(8), width(layer)).init(device));
        }
        main.push(conv(width(self.layers), 1, 1));
        Discriminator { main, norms }
    }
}

impl Discriminator {
    /// One logit per patch; large means real.
    ///
    /// # Shapes
    /// pixels in [-1, 1] `[b, 3, h, w]` → `[b, 1, h', w']`
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<4> {
        let last = self.main.len() - 1;
        let mut x = pixels;
        for (i, conv) in self.main.iter().enumerate() {
            x = conv.forward(x);
            if i > 0 && i < last {
                x = self.norms[i - 1].forward(x);
            }
            if i < last {
                x = leaky_relu(x, 0.2);
            }
        }
        x
    }
}
