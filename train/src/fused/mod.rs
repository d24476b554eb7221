//! The transformer's operations in one pass each, forward and backward: linear, layer and RMS norm, GELU,
//! segment-sparse attention and cross-entropy.
//!
//! On the CPU backend they run the kernels of this folder; on any other device, and in the tests
//! that compare both, the same function is written in ordinary burn operations.

mod attention;
mod cross_entropy;
mod extension;
mod gelu;
mod layer_norm;
mod linear;
mod rms_norm;

use burn::backend::{Dispatch, DispatchDevice};
use burn::tensor::{Device, Int, Tensor};

pub(crate) use attention::{Sight, Tiles};
use extension::GptOps;
pub(crate) use gelu::Gelu;

/// Whether the kernels of this folder can run where `device` is.
pub(crate) fn is_cpu(device: &Device) -> bool {
    matches!(device.clone().inner().as_dispatch(), DispatchDevice::Flex(_))
}

/// `x·weight + bias`; `None` where there is no kernel.
///
/// # Shapes
/// x `[n, i]`, weight `[i, o]`, bias `[o]` → `[n, o]`
pub(crate) fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Option<Tensor<2>> {
    is_cpu(&x.device()).then(|| {
        Tensor::from_dispatch(<Dispatch as GptOps>::fused_linear(
            x.into_dispatch(),
            weight.into_dispatch(),
            bias.into_dispatch(),
        ))
    })
}

/// Layer norm over the last dimension; `None` where there is no kernel.
///
/// # Shapes
/// x `[.., d]`, weight and bias `[d]` → the shape of x
pub(crate) fn layer_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
) -> Option<Tensor<D>> {
    is_cpu(&x.device()).then(|| {
        Tensor::from_dispatch(<Dispatch as GptOps>::fused_layer_norm(
            x.into_dispatch(),
            weight.into_dispatch(),
            bias.into_dispatch(),
            epsilon as f32,
        ))
    })
}

/// RMS norm over the last dimension; `None` where there is no kernel.
///
/// # Shapes
/// x `[.., d]`, weight `[d]` → the shape of x
pub(crate) fn rms_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, epsilon: f64) -> Option<Tensor<D>> {
    is_cpu(&x.device()).then(|| {
        let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
        Tensor::from_dispatch(<Dispatch as GptOps>::fused_rms_norm(x, weight, epsilon as f32))
    })
}

/// GELU by an approximation, element by element; `None` where there is no kernel.
pub(crate) fn gelu<const D: usize>(x: Tensor<D>, form: Gelu) -> Option<Tensor<D>> {
    is_cpu(&x.device())
        .then(|| Tensor::from_dispatch(<Dispatch as GptOps>::fused_gelu(x.into_dispatch(), form)))
}

/// Attention of whole sequences over the tiles of a mask; `None` where there is no kernel.
///
/// # Shapes
/// `[b, t, 3·d]` as `[q | k | v]`, each with its heads side by side → `[b, t, d]`
pub(crate) fn attention(qkv: Tensor<3>, heads: usize, tiles: &Tiles) -> Option<Tensor<3>> {
    is_cpu(&qkv.device()).then(|| {
        let tiles = tiles.clone();
        Tensor::from_dispatch(<Dispatch as GptOps>::fused_attention(qkv.into_dispatch(), heads, tiles))
    })
}

/// Attention of the new positions of `qkv` over `keys` and `values`, which hold them from `start` on; `None` where there
/// is no kernel. It has no gradient.
///
/// # Shapes
/// qkv `[b, t, 3·d]`, keys and values `[b, heads, capacity, head_dim]` → `[b, t, d]`
pub(crate) fn cached_attention(
    qkv: Tensor<3>,
    keys: Tensor<4>,
    values: Tensor<4>,
    start: usize,
    sight: Sight,
) -> Option<Tensor<3>> {
    is_cpu(&qkv.device()).then(|| {
        Tensor::from_dispatch(<Dispatch as GptOps>::fused_cached_attention(
            qkv.into_dispatch(),
            keys.into_dispatch(),
            values.into_dispatch(),
            start,
            sight,
        ))
    })
}

/// `-log softmax(logits)[target]` per row; `None` where there is no kernel.
///
/// # Shapes
/// logits `[n, v]`, targets `[n]` below `v` → `[n]`
pub(crate) fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>) -> Option<Tensor<1>> {
    is_cpu(&logits.device()).then(|| {
        Tensor::from_dispatch(<Dispatch as GptOps>::fused_cross_entropy(
            logits.into_dispatch(),
            targets.into_dispatch(),
        ))
    })
}
