//! The decoder: codes → the distribution of every pixel (`dall_e/decoder.py`).

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Int, Tensor};

use super::DvaeConfig;
use super::block::{Group, Output, conv};
use crate::fused;

/// Kernels of a block's four convolutions.
const SIDES: [usize; 4] = [1, 3, 3, 3];

/// Codes to pixels.
#[derive(Module, Debug)]
pub struct Decoder {
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

impl Decoder {
    pub(super) fn new(config: &DvaeConfig, device: &Device) -> Self {
        let n = config.n_hid;
        let group = |from: usize, to: usize| Group::new(from, to * n, SIDES, device);
        let blocks = Blocks {
            input: conv(config.vocab_size, config.n_init, 1, device),
            group_1: group(config.n_init, 8),
            group_2: group(8 * n, 4),
            group_3: group(4 * n, 2),
            group_4: group(2 * n, 1),
            output: Output::new(n, 6, device),
        };
        Self { blocks }
    }

    /// # Shapes
    /// `[b, h, w]` → μ and ln b of a logit-Laplace distribution per colour `[b, 6, 8·h, 8·w]`
    pub fn forward(&self, codes: Tensor<3, Int>) -> Tensor<4> {
        self.observed(codes, |_, _| {})
    }

    /// [`Self::forward`], showing the output of `input` and of every group by its published name.
    pub fn observed(
        &self,
        codes: Tensor<3, Int>,
        mut see: impl FnMut(&'static str, &Tensor<4>),
    ) -> Tensor<4> {
        let blocks = &self.blocks;
        let mut x = lookup(&blocks.input, codes);
        see("input", &x);
        for (name, group) in
            [("group_1", &blocks.group_1), ("group_2", &blocks.group_2), ("group_3", &blocks.group_3)]
        {
            x = fused::upsample2x(group.forward(x));
            see(name, &x);
        }
        x = blocks.group_4.forward(x);
        see("group_4", &x);
        blocks.output.forward(x)
    }
}

/// The 1×1 convolution of one-hot codes, which picks a column of the weights: no tensor as wide as the vocabulary.
///
/// # Shapes
/// `[b, h, w]` → `[b, channels, h, w]`
fn lookup(conv: &Conv2d, codes: Tensor<3, Int>) -> Tensor<4> {
    let [b, h, w] = codes.dims();
    let weight = conv.weight.val();
    let [to, vocabulary, ..] = weight.dims();
    let columns: Tensor<2> = weight.reshape([to, vocabulary]).select(1, codes.reshape([b * h * w]));
    let x = columns.reshape([to, b, h, w]).swap_dims(0, 1);
    match &conv.bias {
        Some(bias) => x + bias.val().reshape([1, to, 1, 1]),
        None => x,
    }
}
