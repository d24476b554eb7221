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

use crate::{Error, Result};

/// Groups of a norm, where a layer has that many channels.
const GROUPS: usize = 8;

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
    /// Channels that come out of `layer`; layer 0 is the first convolution, which has no norm.
    fn width(&self, layer: usize) -> usize {
        self.channels * (1 << layer.min(3))
    }

    /// Groups of a norm of `width` channels.
    fn groups(width: usize) -> usize {
        width.min(GROUPS)
    }

    /// How far the 4×4 windows of `layer` move; the last convolution comes after layer `layers`.
    fn stride(&self, layer: usize) -> usize {
        if layer == 0 || layer < self.layers { 2 } else { 1 }
    }

    /// Patches along one side of a picture of `side` pixels; 0 where it is too small to be judged.
    fn patches(&self, side: usize) -> usize {
        // A window of 4 with a border of 1 on both sides.
        let through = |side: usize, layer| {
            let side = if self.stride(layer) == 2 { side / 2 } else { side.saturating_sub(1) };
            (side > 0).then_some(side)
        };
        (0..=self.layers.saturating_add(1)).try_fold(side, through).unwrap_or(0)
    }

    /// Refuses what cannot be built, and pictures of `side` pixels that are too small to be judged: such a discriminator
    /// would fail only when it begins to count, thousands of steps into a run.
    ///
    /// # Errors
    /// Names the key.
    pub(super) fn check(&self, side: usize) -> Result<()> {
        if self.channels == 0 {
            return Err(Error::config("adversary.discriminator.channels: must be at least 1"));
        }
        let odd = |width: &usize| !width.is_multiple_of(Self::groups(*width));
        if let Some(width) = (1..=self.layers.min(3)).map(|layer| self.width(layer)).find(odd) {
            return Err(Error::config(format!(
                "adversary.discriminator.channels: {} gives a layer of {width} channels, which {GROUPS} groups do not divide",
                self.channels
            ))
            .with_hint("a multiple of 4 always fits"));
        }
        if self.patches(side) == 0 {
            return Err(Error::config(format!(
                "data.image_size: {side} is too small for a discriminator of {} layers: no patch is left to judge",
                self.layers
            ))
            .with_hint("fewer `adversary.discriminator.layers`, larger pictures, or `adversary.weight` = 0"));
        }
        Ok(())
    }

    /// A discriminator with taming's initial weights, N(0, 0.02).
    pub fn init(&self, device: &Device) -> Discriminator {
        let conv = |from, to, stride| {
            Conv2dConfig::new([from, to], [4, 4])
                .with_stride([stride, stride])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_initializer(Initializer::Normal { mean: 0.0, std: 0.02 })
                .init(device)
        };
        let mut main = vec![conv(3, self.width(0), self.stride(0))];
        let mut norms = Vec::new();
        for layer in 1..=self.layers {
            let width = self.width(layer);
            main.push(conv(self.width(layer - 1), width, self.stride(layer)));
            norms.push(GroupNormConfig::new(Self::groups(width), width).init(device));
        }
        main.push(conv(self.width(self.layers), 1, self.stride(self.layers + 1)));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_are_counted_as_the_layers_make_them() {
        let device = Device::flex();
        for layers in 0..=3 {
            let config = DiscriminatorConfig { channels: 4, layers };
            let smallest = (1..).find(|side| config.patches(*side) > 0).unwrap();
            assert_eq!(smallest, [4, 6, 12, 24][layers]);
            for side in [smallest, smallest + 1, 29, 32] {
                let judged = config.init(&device).forward(Tensor::zeros([1, 3, side, side], &device));
                let patches = config.patches(side);
                assert_eq!(judged.dims(), [1, 1, patches, patches], "{layers} layers, {side} px");
            }
        }
    }

    #[test]
    fn what_cannot_be_built_is_refused() {
        let fault = |channels, layers, side| {
            DiscriminatorConfig { channels, layers }.check(side).unwrap_err().to_string()
        };
        assert!(fault(0, 3, 256).ends_with("channels: must be at least 1"));
        assert!(fault(6, 3, 256).contains("6 gives a layer of 12 channels"));
        assert!(fault(64, 3, 16).starts_with("data.image_size: 16 is too small"));
        assert!(fault(64, usize::MAX, 256).starts_with("data.image_size"));
        for channels in [1, 2, 4, 12, 64] {
            let config = DiscriminatorConfig { channels, layers: 3 };
            config.check(64).unwrap();
            config.init(&Device::flex());
        }
    }
}
