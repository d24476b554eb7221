//! The encoder: pixels → latent vectors (taming `Encoder`).

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};

use super::attention::AttnBlock;
use super::layers::{Downsample, Norm, conv3x3};
use super::resnet::ResnetBlock;
use super::tile::{LIFT, fold, straight, wire};
use super::{See, VqGanConfig};
use crate::fused;

/// The middle tap of a 3×3 kernel.
const CENTRE: usize = 4;

/// One resolution of the encoder.
#[derive(Module, Debug)]
pub(crate) struct DownLevel {
    block: Vec<ResnetBlock>,
    attn: Vec<AttnBlock>,
    downsample: Option<Downsample>,
}

/// The two residual blocks and the attention at the lowest resolution.
#[derive(Module, Debug)]
pub(crate) struct Middle {
    block_1: ResnetBlock,
    attn_1: AttnBlock,
    block_2: ResnetBlock,
}

impl Middle {
    pub(super) fn new(channels: usize, groups: usize, device: &Device) -> Self {
        Self {
            block_1: ResnetBlock::new(channels, channels, groups, device),
            attn_1: AttnBlock::new(channels, groups, device),
            block_2: ResnetBlock::new(channels, channels, groups, device),
        }
    }

    fn wired(self, channels: usize) -> Self {
        Self {
            block_1: self.block_1.wired(channels),
            attn_1: self.attn_1.wired(),
            block_2: self.block_2.wired(channels),
        }
    }

    /// `[b, c, h, w]` → `[b, c, h, w]`
    pub(super) fn observed(&self, x: Tensor<4>, see: See<'_>) -> Tensor<4> {
        let x = self.block_1.forward(x);
        see(format_args!("mid.block_1"), &x);
        let x = self.attn_1.forward(x);
        see(format_args!("mid.attn_1"), &x);
        let x = self.block_2.forward(x);
        see(format_args!("mid.block_2"), &x);
        x
    }
}

/// Residual blocks (each followed by attention where the level has it).
pub(super) fn run_level(
    blocks: &[ResnetBlock],
    attn: &[AttnBlock],
    mut x: Tensor<4>,
    see: See<'_>,
) -> Tensor<4> {
    for (i, block) in blocks.iter().enumerate() {
        x = block.forward(x);
        see(format_args!("block.{i}"), &x);
        if let Some(attn) = attn.get(i) {
            x = attn.forward(x);
            see(format_args!("attn.{i}"), &x);
        }
    }
    x
}

/// Bytes of a feature map that the caches can hold and that the allocator hands out again: fresh memory must be cleared.
const PART: usize = 16 << 20;

/// `f` on a few pictures at a time, so that a map of `values` per picture stays small. Only without gradients on the
/// processor: a tape keeps everything anyway.
pub(super) fn in_parts(x: Tensor<4>, values: usize, mut f: impl FnMut(Tensor<4>) -> Tensor<4>) -> Tensor<4> {
    let pictures = (PART / values.max(1).saturating_mul(4)).max(1);
    if x.dims()[0] <= pictures || !fused::is_plain_cpu(&x.device()) {
        return f(x);
    }
    Tensor::cat(x.split(pictures, 0).into_iter().map(f).collect(), 0)
}

/// Pixels to latents.
#[derive(Module, Debug)]
pub struct Encoder {
    conv_in: Conv2d,
    down: Vec<DownLevel>,
    mid: Middle,
    norm_out: Norm,
    conv_out: Conv2d,
}

impl Encoder {
    pub(super) fn new(config: &VqGanConfig, device: &Device) -> Self {
        let levels = config.ch_mult.len();
        let mut channels = config.ch;
        let down = (0..levels)
            .map(|level| {
                let to = config.channels(level);
                let block = (0..config.num_res_blocks)
                    .map(|i| ResnetBlock::new(if i == 0 { channels } else { to }, to, config.groups, device))
                    .collect();
                let attn = if config.has_attention(level) { config.num_res_blocks } else { 0 };
                channels = to;
                DownLevel {
                    block,
                    attn: (0..attn).map(|_| AttnBlock::new(to, config.groups, device)).collect(),
                    downsample: (level + 1 < levels).then(|| Downsample::new(to, device)),
                }
            })
            .collect();
        Self {
            conv_in: conv3x3(3, config.ch, device),
            down,
            mid: Middle::new(channels, config.groups, device),
            norm_out: Norm::new(channels, config.groups, device),
            conv_out: conv3x3(channels, config.z_channels, device),
        }
    }

    /// An encoder whose first outputs are the values of its tile, colour by colour, each halving of the side folding
    /// 2×2 pixels into four channels.
    pub(super) fn wired(self) -> Self {
        let mut channels = 3;
        let down = self.down.into_iter().map(|level| {
            let block = level.block.into_iter().map(|block| block.wired(channels)).collect();
            let attn = level.attn.into_iter().map(AttnBlock::wired).collect();
            let downsample = level.downsample.map(|downsample| downsample.wired(&fold(channels)));
            channels *= if downsample.is_some() { 4 } else { 1 };
            DownLevel { block, attn, downsample }
        });
        let down = down.collect();
        Self {
            conv_in: wire(self.conv_in, &straight(3, CENTRE), 0.0),
            down,
            mid: self.mid.wired(channels),
            norm_out: self.norm_out.lifted(LIFT),
            conv_out: wire(self.conv_out, &straight(channels, CENTRE), -LIFT),
        }
    }

    /// # Shapes
    /// pixels in [-1, 1] `[b, 3, h, w]` → `[b, z_channels, h/f, w/f]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.observed(x, &mut |_, _| {})
    }

    /// [`Self::forward`]; `see` gets what every stage gives, of a few pictures at a time where a batch is large.
    pub fn observed(&self, mut x: Tensor<4>, see: See<'_>) -> Tensor<4> {
        for (i, level) in self.down.iter().enumerate() {
            let [_, _, h, w] = x.dims();
            let channels = level.block.last().map_or(1, ResnetBlock::channels_out);
            x = in_parts(x, channels * h * w, |mut x| {
                if i == 0 {
                    x = fused::conv3x3(x, &self.conv_in);
                    see(format_args!("conv_in"), &x);
                }
                x = run_level(&level.block, &level.attn, x, &mut |part, x| {
                    see(format_args!("down.{i}.{part}"), x);
                });
                if let Some(downsample) = &level.downsample {
                    x = downsample.forward(x);
                    see(format_args!("down.{i}.downsample"), &x);
                }
                x
            });
        }
        let x = self.mid.observed(x, see);
        fused::conv3x3(self.norm_out.forward_swish(x), &self.conv_out)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use burn::tensor::Distribution;

    use super::*;

    #[test]
    fn large_maps_are_cut_into_pictures_and_a_tape_is_not() {
        for (device, values, expected) in [
            (Device::flex(), PART / 4, 3),
            (Device::flex(), PART / 8, 2),
            (Device::flex(), 1, 1),
            (Device::flex().autodiff(), PART, 1),
        ] {
            let x = Tensor::<4>::random([3, 2, 4, 5], Distribution::Normal(0.0, 1.0), &device);
            let calls = Cell::new(0);
            let y = in_parts(x.clone(), values, |x| {
                calls.set(calls.get() + 1);
                x * 2.0
            });
            assert_eq!((calls.get(), y.into_data()), (expected, (x * 2.0).into_data()));
        }
    }
}
