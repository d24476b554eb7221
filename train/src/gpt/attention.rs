//! Multi-head attention under a segment mask: one function for the block, one dense reference behind it.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, activation};

use super::cache::LayerCache;
use super::config::GptConfig;
use super::linear::{linear, linear_map};
use super::mask::Mask;
use super::rotary::Rotary;
use crate::fused;

/// `softmax(q kᵀ / sqrt(head_dim) + mask) v`.
///
/// The queries are the last `t_q` of the `t_k` positions, so a cached step passes one query and all keys.
///
/// # Shapes
/// - `q`: `[b, heads, t_q, head_dim]`; `k`, `v`: `[b, heads, t_k, head_dim]`
/// - output: `[b, heads, t_q, head_dim]`
pub fn attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, mask: &Mask) -> Tensor<4> {
    dense_attention(q, k, v, mask)
}

/// [`attention`] with the whole score matrix in memory: the reference for every faster path.
pub fn dense_attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, mask: &Mask) -> Tensor<4> {
    let [_, _, queries, head_dim] = q.dims();
    let keys = k.dims()[2];
    let bias = mask.bias(queries, keys, &q.device());
    let q = q.mul_scalar(1.0 / (head_dim as f64).sqrt());
    let scores = q.matmul(k.swap_dims(2, 3)) + bias;
    activation::softmax(scores, 3).matmul(v)
}

/// Self-attention with q, k and v from one matrix, as the checkpoints store it.
#[derive(Module, Debug)]
pub struct SelfAttention {
    query_key_value: Linear,
    dense: Linear,
    heads: usize,
}

impl SelfAttention {
    pub(super) fn new(config: &GptConfig, device: &Device) -> Self {
        let (dim, inner, std) = (config.dim, config.inner_dim(), config.init_std);
        Self {
            query_key_value: linear(dim, 3 * inner, config.bias && config.qkv_bias, std, device),
            dense: linear(inner, dim, config.bias, config.residual_std(), device),
            heads: config.heads,
        }
    }

    /// `[b, t, d]` → `[b, t, d]`; with a cache, `x` holds the positions after those the cache has seen.
    pub(super) fn forward(
        &self,
        x: Tensor<3>,
        mask: &Mask,
        rotary: Option<&Rotary>,
        cache: Option<&mut LayerCache>,
    ) -> Tensor<3> {
        let mut qkv = linear_map(&self.query_key_value, x);
        let [b, t, width] = qkv.dims();
        let (heads, inner) = (self.heads, width / 3);
        if let Some(rotary) = rotary {
            let from = cache.as_ref().map_or(0, |cache| cache.len());
            let turned = rotary.turn(qkv.reshape([b, t, 3 * heads, inner / heads]), from);
            qkv = turned.reshape([b, t, width]);
        }
        let whole = cache.as_ref().is_none_or(|cache| cache.len() == 0) && t <= mask.tiles.len();
        let fast = |qkv: &Tensor<3>| fused::attention(qkv.clone(), heads, &mask.tiles);
        let dense = |q, k, v| attention(q, k, v, mask).swap_dims(1, 2).reshape([b, t, inner]);
        let attended = match cache {
            None => whole.then(|| fast(&qkv)).flatten().unwrap_or_else(|| {
                let [q, k, v] = self.split(&qkv);
                dense(q, k, v)
            }),
            Some(cache) => {
                let [q, k, v] = self.split(&qkv);
                cache.append(k, v);
                let fast = if whole { fast(&qkv) } else { cache.attend(&qkv, mask) };
                fast.unwrap_or_else(|| {
                    let (k, v) = cache.seen();
                    dense(q, k, v)
                })
            }
        };
        linear_map(&self.dense, attended)
    }

    /// `[b, t, 3·heads·head_dim]` as q, k and v of `[b, heads, t, head_dim]`.
    fn split(&self, qkv: &Tensor<3>) -> [Tensor<4>; 3] {
        let [b, t, width] = qkv.dims();
        let heads = self.heads;
        // [q | k | v], each with its heads side by side: one view with 3·heads heads needs no copy to split.
        let qkv = qkv.clone().reshape([b, t, 3 * heads, width / (3 * heads)]).swap_dims(1, 2);
        [0, 1, 2].map(|part| qkv.clone().narrow(1, part * heads, heads))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpt::{MaskKind, Segments};
    use burn::tensor::Distribution;
    use proptest::prelude::*;

    fn kinds() -> impl Strategy<Value = MaskKind> {
        let conv =
            (0usize..4, any::<bool>()).prop_map(|(k, wrap)| MaskKind::Conv { kernel: 2 * k + 1, wrap });
        let corner = (1usize..5).prop_map(|kernel| MaskKind::Corner { kernel });
        let published = prop_oneof![Just(MaskKind::Full), Just(MaskKind::Row), Just(MaskKind::Col), conv];
        prop_oneof![3 => published, 1 => Just(MaskKind::All), 1 => Just(MaskKind::AxialRow), 1 => corner]
    }

    /// The largest difference, over the largest expected value where that is above 1.
    fn apart<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
        let scale = b.clone().abs().max().into_scalar::<f32>().max(1.0);
        (a - b).abs().max().into_scalar::<f32>() / scale
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_kernel_and_the_dense_form_agree_in_values_and_gradients(
            kind in kinds(), (left, grid, right) in (0usize..9, 1usize..6, 0usize..6), heads in 1usize..4,
            head_dim in 1usize..19, stop in 0.1f64..1.0,
        ) {
            let device = Device::flex().autodiff();
            let segments = Segments { left, grid, right };
            let mask = Mask::new(kind, segments, &device.clone().inner());
            let (b, width) = (2, heads * head_dim);
            let t = ((segments.total() as f64 * stop).ceil() as usize).max(1);
            let normal = Distribution::Normal(0.0, 1.5);
            let qkv = Tensor::<3>::random([b, t, 3 * width], normal, &device).require_grad();
            let weight = Tensor::<3>::random([b, t, width], normal, &device);
            let fast = fused::attention(qkv.clone(), heads, &mask.tiles).unwrap();
            let split = qkv.clone().reshape([b, t, 3 * heads, head_dim]).swap_dims(1, 2);
            let part = |i: usize| split.clone().narrow(1, i * heads, heads);
            let dense = dense_attention(part(0), part(1), part(2), &mask).swap_dims(1, 2).reshape([b, t, width]);
            prop_assert!(apart(fast.clone().inner(), dense.clone().inner()) < 1e-5);
            let grad = |y: Tensor<3>| qkv.grad(&(y * weight.clone()).sum().backward()).unwrap();
            prop_assert!(apart(grad(fast), grad(dense)) < 1e-4);
        }
    }

    #[test]
    fn each_query_averages_the_values_it_may_see() {
        let device = Device::flex();
        let segments = Segments { left: 1, grid: 3, right: 1 };
        let mask = Mask::new(MaskKind::Col, segments, &device);
        let n = segments.total();
        // Equal keys give equal weights, so the output is the plain mean over the allowed positions.
        let q = Tensor::random([1, 2, n, 4], Distribution::Default, &device);
        let k = Tensor::ones([1, 2, n, 4], &device);
        let v = Tensor::<4>::random([1, 2, n, 4], Distribution::Default, &device);
        let out = attention(q, k, v.clone(), &mask);
        for query in 0..n {
            let allowed = (0..n).filter(|&p| mask.allows(query, p)).collect::<Vec<_>>();
            let sum = allowed.iter().map(|&p| v.clone().narrow(2, p, 1)).reduce(|a, b| a + b).unwrap();
            let off = (sum / allowed.len() as f64 - out.clone().narrow(2, query, 1))
                .abs()
                .max()
                .into_scalar::<f32>();
            assert!(off < 1e-5, "query {query}: {off}");
        }
    }
}
