//! The transformer that both towers of CLIP are: norms before each branch, one attention over all or over what came before.

use burn::tensor::activation::{gelu, sigmoid, softmax};
use burn::tensor::{Int, Tensor};

use super::config::Activation;
use super::load::Reader;
use crate::Result;

/// Layers, and what they share.
#[derive(Clone, Debug)]
pub(super) struct Tower {
    layers: Vec<Layer>,
    heads: usize,
    activation: Activation,
}

/// The sizes of a tower.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) layers: usize,
    pub(super) dim: usize,
    pub(super) inner: usize,
    pub(super) heads: usize,
    pub(super) activation: Activation,
    pub(super) epsilon: f64,
}

#[derive(Clone, Debug)]
struct Layer {
    norms: [Norm; 2],
    /// Queries, keys, values, and the way out.
    attention: [Linear; 4],
    feed: [Linear; 2],
}

/// `[out, in]` and, where the map has one, a bias `[out]`.
#[derive(Clone, Debug)]
pub(super) struct Linear {
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
}

/// A layer norm.
#[derive(Clone, Debug)]
pub(super) struct Norm {
    gain: Tensor<1>,
    shift: Tensor<1>,
    epsilon: f64,
}

impl Tower {
    pub(super) fn read(reader: &Reader, prefix: &str, size: Size) -> Result<Self> {
        let layer = |number: usize| {
            let at = |part: &str| format!("{prefix}.encoder.layers.{number}.{part}");
            let square =
                |part: &str| Linear::read(reader, &at(&format!("self_attn.{part}")), [size.dim; 2], true);
            Ok(Layer {
                norms: [
                    Norm::read(reader, &at("layer_norm1"), size.dim, size.epsilon)?,
                    Norm::read(reader, &at("layer_norm2"), size.dim, size.epsilon)?,
                ],
                attention: [square("q_proj")?, square("k_proj")?, square("v_proj")?, square("out_proj")?],
                feed: [
                    Linear::read(reader, &at("mlp.fc1"), [size.inner, size.dim], true)?,
                    Linear::read(reader, &at("mlp.fc2"), [size.dim, size.inner], true)?,
                ],
            })
        };
        let layers = (0..size.layers).map(layer).collect::<Result<_>>()?;
        Ok(Self { layers, heads: size.heads, activation: size.activation })
    }

    /// `[b, n, d]` → `[b, n, d]`; a causal tower sees no later position.
    pub(super) fn forward(&self, x: Tensor<3>, causal: bool) -> Tensor<3> {
        self.layers.iter().fold(x, |x, layer| {
            let x = x.clone() + self.attend(layer, layer.norms[0].forward(x), causal);
            let inner = layer.feed[0].forward(layer.norms[1].forward(x.clone()));
            let inner = match self.activation {
                Activation::Gelu => gelu(inner),
                Activation::QuickGelu => inner.clone() * sigmoid(inner * 1.702),
            };
            x + layer.feed[1].forward(inner)
        })
    }

    fn attend(&self, layer: &Layer, x: Tensor<3>, causal: bool) -> Tensor<3> {
        let [b, n, d] = x.dims();
        let size = d / self.heads;
        let split = |linear: &Linear| -> Tensor<4> {
            linear.forward(x.clone()).reshape([b, n, self.heads, size]).swap_dims(1, 2)
        };
        let [query, key, value] = [0, 1, 2].map(|part| split(&layer.attention[part]));
        let mut scores = (query / (size as f64).sqrt()).matmul(key.swap_dims(2, 3));
        if causal {
            let places: Tensor<1, Int> = Tensor::arange(0..n as i64, &scores.device());
            let later = places.clone().reshape([1, n]).greater(places.reshape([n, 1]));
            scores = scores
                .mask_fill(later.reshape([1, 1, n, n]).expand([b, self.heads, n, n]), f32::NEG_INFINITY);
        }
        let seen = softmax(scores, 3).matmul(value).swap_dims(1, 2).reshape([b, n, d]);
        layer.attention[3].forward(seen)
    }
}

impl Linear {
    /// `shape` is `[out, in]`.
    pub(super) fn read(reader: &Reader, name: &str, shape: [usize; 2], biased: bool) -> Result<Self> {
        let bias = biased.then(|| reader.tensor(&format!("{name}.bias"), [shape[0]])).transpose()?;
        Ok(Self { weight: reader.tensor(&format!("{name}.weight"), shape)?, bias })
    }

    /// `[b, n, in]` → `[b, n, out]`
    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [b, n, d] = x.dims();
        let [out, _] = self.weight.dims();
        let y = x.reshape([b * n, d]).matmul(self.weight.clone().transpose());
        let y = match &self.bias {
            Some(bias) => y + bias.clone().reshape([1, out]),
            None => y,
        };
        y.reshape([b, n, out])
    }
}

impl Norm {
    pub(super) fn read(reader: &Reader, name: &str, dim: usize, epsilon: f64) -> Result<Self> {
        let [gain, shift] = ["weight", "bias"].map(|part| reader.tensor(&format!("{name}.{part}"), [dim]));
        Ok(Self { gain: gain?, shift: shift?, epsilon })
    }

    /// `[b, n, d]` → `[b, n, d]`
    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let d = self.gain.dims()[0];
        let centred = x.clone() - x.mean_dim(2);
        let variance = (centred.clone() * centred.clone()).mean_dim(2);
        let unit = centred / variance.add_scalar(self.epsilon).sqrt();
        unit * self.gain.clone().reshape([1, 1, d]) + self.shift.clone().reshape([1, 1, d])
    }
}
