//! The residual block of both halves, and a group of them.

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use super::{BLOCKS, GROUPS};
use crate::fused;

/// What the residual path is multiplied by: 1 / (layers of the half)².
const POST_GAIN: f64 = 1.0 / ((GROUPS * BLOCKS) as f64 * (GROUPS * BLOCKS) as f64);

/// Same size, stride 1; `side` is odd.
pub(super) fn conv(from: usize, to: usize, side: usize, device: &Device) -> Conv2d {
    let pad = (side - 1) / 2;
    Conv2dConfig::new([from, to], [side, side])
        .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
        .init(device)
}

/// The convolution of `relu(x)`.
pub(super) fn relu_conv(x: Tensor<4>, conv: &Conv2d) -> Tensor<4> {
    let x = relu(x);
    if conv.kernel_size == [3, 3] { fused::conv3x3(x, conv) } else { conv.forward(x) }
}

/// The four convolutions, each of a ReLU.
#[derive(Module, Debug)]
struct ResPath {
    conv_1: Conv2d,
    conv_2: Conv2d,
    conv_3: Conv2d,
    conv_4: Conv2d,
}

/// `x + gain · path(x)`, with `x` projected where the channels change.
#[derive(Module, Debug)]
pub(super) struct Block {
    id_path: Option<Conv2d>,
    res_path: ResPath,
}

impl Block {
    /// `sides` are the kernels of the four convolutions: the encoder ends with a 1×1, the decoder begins with one.
    fn new(from: usize, to: usize, sides: [usize; 4], device: &Device) -> Self {
        let hidden = to / 4;
        let [first, second, third, fourth] = sides;
        Self {
            id_path: (from != to).then(|| conv(from, to, 1, device)),
            res_path: ResPath {
                conv_1: conv(from, hidden, first, device),
                conv_2: conv(hidden, hidden, second, device),
                conv_3: conv(hidden, hidden, third, device),
                conv_4: conv(hidden, to, fourth, device),
            },
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let path = &self.res_path;
        let residual =
            [&path.conv_1, &path.conv_2, &path.conv_3, &path.conv_4].into_iter().fold(x.clone(), relu_conv);
        let identity = match &self.id_path {
            Some(conv) => conv.forward(x),
            None => x,
        };
        identity + residual.mul_scalar(POST_GAIN)
    }
}

/// Blocks of one resolution.
#[derive(Module, Debug)]
pub(super) struct Group {
    block_1: Block,
    block_2: Block,
}

impl Group {
    /// The first block changes the channels.
    pub(super) fn new(from: usize, to: usize, sides: [usize; 4], device: &Device) -> Self {
        Self { block_1: Block::new(from, to, sides, device), block_2: Block::new(to, to, sides, device) }
    }

    /// `[b, from, h, w]` → `[b, to, h, w]`
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.block_2.forward(self.block_1.forward(x))
    }
}

/// The last convolution, of a ReLU.
#[derive(Module, Debug)]
pub(super) struct Output {
    pub(super) conv: Conv2d,
}

impl Output {
    pub(super) fn new(from: usize, to: usize, device: &Device) -> Self {
        Self { conv: conv(from, to, 1, device) }
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        relu_conv(x, &self.conv)
    }
}
