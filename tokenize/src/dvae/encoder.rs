//! The encoder: pixels → logits of codes (`dall_e/encoder.py`).

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor};

use super::DvaeConfig;
use super::block::{Group, Output, conv};

/// Kernels of a block's four convolutions.
const SIDES: [usize; 4] = [3, 3, 3, 1];

/// Pixels to logits.
#[derive(Module, Debug)]
pub struct Encoder {
    blocks: Blocks,
}

#[derive(Module, Debug)]
struct Blocks {
    input: Conv2d,
    group_1: Group,
    group_2: Group,
    group_3: Group,
    group_4: Group,
    output: Output,
}

impl Encoder {
    pub(super) fn new(config: &DvaeConfig, device: &Device) -> Self {
        let n = config.n_hid;
        let group = |from: usize, to: usize| Group::new(from * n, to * n, SIDES, device);
        let blocks = Blocks {
            input: conv(3, n, 7, device),
            group_1: group(1, 1),
            group_2: group(1, 2),
            group_3: group(2, 4),
            group_4: group(4, 8),
            output: Output::new(8 * n, config.vocab_size, device),
        };
        Self { blocks }
    }

    /// # Shapes
    /// pixels in [0.1, 0.9] `[b, 3, h, w]` → `[b, vocabulary, h/8, w/8]`
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<4> {
        self.observed(pixels, |_, _| {})
    }

    /// [`Self::forward`], showing the output of `input` and of every group by its published name.
    pub fn observed(&self, pixels: Tensor<4>, mut see: impl FnMut(&'static str, &Tensor<4>)) -> Tensor<4> {
        let blocks = &self.blocks;
        let mut x = blocks.input.forward(pixels);
        see("input", &x);
        for (name, group) in
            [("group_1", &blocks.group_1), ("group_2", &blocks.group_2), ("group_3", &blocks.group_3)]
        {
            x = max_pool2d(group.forward(x), MaxPoolOptions::new([2, 2]));
            see(name, &x);
        }
        x = blocks.group_4.forward(x);
        see("group_4", &x);
        blocks.output.forward(x)
    }
}
