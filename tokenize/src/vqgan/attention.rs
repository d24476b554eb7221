//! Single-head self-attention over all positions of a feature map (taming `AttnBlock`).

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};

use super::layers::{Norm, conv1x1};
use super::tile::silent;
use crate::fused;

/// norm → q, k, v by 1×1 → softmax(q·kᵀ/√c)·v → 1×1, plus the input.
#[derive(Module, Debug)]
pub(crate) struct AttnBlock {
    norm: Norm,
    q: Conv2d,
    k: Conv2d,
    v: Conv2d,
    proj_out: Conv2d,
}

impl AttnBlock {
    pub(super) fn new(channels: usize, groups: usize, device: &Device) -> Self {
        let conv = || conv1x1(channels, channels, device);
        Self { norm: Norm::new(channels, groups, device), q: conv(), k: conv(), v: conv(), proj_out: conv() }
    }

    /// Passes everything on as it is.
    pub(super) fn wired(self) -> Self {
        Self { proj_out: silent(self.proj_out), ..self }
    }

    /// `[b, c, h, w]` → `[b, c, h, w]`
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [b, c, height, width] = x.dims();
        let n = height * width;
        let normed = self.norm.forward(x.clone());
        let q: Tensor<3> = fused::conv1x1(normed.clone(), &self.q).reshape([b, c, n]).swap_dims(1, 2);
        let k: Tensor<3> = fused::conv1x1(normed.clone(), &self.k).reshape([b, c, n]);
        let v: Tensor<3> = fused::conv1x1(normed, &self.v).reshape([b, c, n]);
        let weights = softmax(q.matmul(k).div_scalar((c as f64).sqrt()), 2);
        let out = v.matmul(weights.swap_dims(1, 2)).reshape([b, c, height, width]);
        x + fused::conv1x1(out, &self.proj_out)
    }
}
