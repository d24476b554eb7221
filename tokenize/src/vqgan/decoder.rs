//! The decoder: latent vectors → pixels (taming `Decoder`).

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};

use super::attention::AttnBlock;
use super::encoder::{Middle, in_parts, run_level};
use super::layers::{Norm, Upsample, conv3x3};
use super::resnet::ResnetBlock;
use super::{See, VqGanConfig};
use crate::fused;

/// One resolution of the decoder.
#[derive(Module, Debug)]
pub(crate) struct UpLevel {
    block: Vec<ResnetBlock>,
    attn: Vec<AttnBlock>,
    upsample: Option<Upsample>,
}

/// Latents to pixels. `up[i]` works at resolution level `i` (0 = full), so the last runs first.
#[derive(Module, Debug)]
pub struct Decoder {
    conv_in: Conv2d,
    mid: Middle,
    up: Vec<UpLevel>,
    norm_out: Norm,
    conv_out: Conv2d,
}

impl Decoder {
    pub(super) fn new(config: &VqGanConfig, drawn: usize, device: &Device) -> Self {
        let levels = config.ch_mult.len();
        let lowest = config.channels(levels - 1);
        let mut channels = lowest;
        let mut up: Vec<UpLevel> = (0..levels)
            .rev()
            .map(|level| {
                let to = config.channels(level);
                let block = (0..=config.num_res_blocks)
                    .map(|i| ResnetBlock::new(if i == 0 { channels } else { to }, to, config.groups, device))
                    .collect();
                let attn = if config.has_attention(level) { config.num_res_blocks + 1 } else { 0 };
                channels = to;
                UpLevel {
                    block,
                    attn: (0..attn).map(|_| AttnBlock::new(to, config.groups, device)).collect(),
                    upsample: (level > 0).then(|| Upsample::new(to, device)),
                }
            })
            .collect();
        up.reverse();
        Self {
            conv_in: conv3x3(config.z_channels, lowest, device),
            mid: Middle::new(lowest, config.groups, device),
            up,
            norm_out: Norm::new(channels, config.groups, device),
            conv_out: conv3x3(channels, drawn, device),
        }
    }

    /// # Shapes
    /// `[b, z_channels, h, w]` → pixels around [-1, 1] `[b, 3, h·f, w·f]`
    pub fn forward(&self, z: Tensor<4>) -> Tensor<4> {
        self.stages(z, &mut |_, _| {}, |x, _| self.draw(self.norm_out.forward_swish(x)))
    }

    /// The last convolution, on what [`Self::features`] gives.
    pub fn draw(&self, features: Tensor<4>) -> Tensor<4> {
        fused::conv3x3(features, &self.conv_out)
    }

    /// What the last convolution sees; the adversarial weight is computed at that layer.
    pub fn features(&self, z: Tensor<4>) -> Tensor<4> {
        self.stages(z, &mut |_, _| {}, |x, _| self.norm_out.forward_swish(x))
    }

    /// [`Self::forward`]; `see` gets what every stage gives, of a few pictures at a time where a batch is large.
    pub fn observed(&self, z: Tensor<4>, see: See<'_>) -> Tensor<4> {
        self.stages(z, see, |x, see| {
            see(format_args!("norm_out"), &self.norm_out.forward(x.clone()));
            self.draw(self.norm_out.forward_swish(x))
        })
    }

    /// All levels, then `end`.
    fn stages(&self, z: Tensor<4>, see: See<'_>, end: impl Fn(Tensor<4>, See<'_>) -> Tensor<4>) -> Tensor<4> {
        let x = fused::conv3x3(z, &self.conv_in);
        see(format_args!("conv_in"), &x);
        let mut x = self.mid.observed(x, see);
        for (i, level) in self.up.iter().enumerate().rev() {
            let [_, _, h, w] = x.dims();
            let channels = level.block.last().map_or(1, ResnetBlock::channels_out);
            let pixels = if level.upsample.is_some() { 4 * h * w } else { h * w };
            x = in_parts(x, channels * pixels, |x| {
                let mut x = run_level(&level.block, &level.attn, x, &mut |part, x| {
                    see(format_args!("up.{i}.{part}"), x);
                });
                if let Some(upsample) = &level.upsample {
                    x = upsample.forward(x);
                    see(format_args!("up.{i}.upsample"), &x);
                }
                if i == 0 { end(x, see) } else { x }
            });
        }
        x
    }

    /// The last convolution's parameters.
    pub fn conv_out(&self) -> &Conv2d {
        &self.conv_out
    }
}
