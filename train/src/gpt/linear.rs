//! Linear maps of rows: how they start, and how they are applied.

use burn::module::Param;
use burn::nn::{Initializer, Linear};
use burn::tensor::{Device, Tensor, module};

use crate::fused;

/// A linear map with weights of N(0, std²) and, where asked, a zero bias.
pub(super) fn linear(from: usize, to: usize, bias: bool, std: f64, device: &Device) -> Linear {
    let bias = bias.then(|| Initializer::Zeros.init([to], device));
    Linear { weight: Initializer::Normal { mean: 0.0, std }.init([from, to], device), bias }
}

/// `[b, t, i]` → `[b, t, o]`
pub(super) fn linear_map(map: &Linear, x: Tensor<3>) -> Tensor<3> {
    linear_tensors(x, map.weight.val(), map.bias.as_ref().map(Param::val))
}

/// `[b, t, i]` by weight `[i, o]` and bias `[o]` → `[b, t, o]`
pub(super) fn linear_tensors(x: Tensor<3>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<3> {
    let ([b, t, from], [_, to]) = (x.dims(), weight.dims());
    linear_rows(x.reshape([b * t, from]), weight, bias).reshape([b, t, to])
}

/// `[n, i]` by weight `[i, o]` and bias `[o]` → `[n, o]`
pub(crate) fn linear_rows(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    let fused = bias.clone().and_then(|bias| fused::linear(x.clone(), weight.clone(), bias));
    fused.unwrap_or_else(|| module::linear(x, weight, bias))
}
