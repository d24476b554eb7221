//! One transformer layer: pre-norm, with CogView's extra norms before each addition (sandwich) where asked.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Distribution, Tensor};

use super::activation::Activation;
use super::attention::SelfAttention;
use super::cache::LayerCache;
use super::config::GptConfig;
use super::linear::{linear, linear_map};
use super::mask::Mask;
use super::norm::Norm;

/// Attention and feed-forward, each added to the residual stream.
#[derive(Module, Debug)]
pub struct Block {
    input_layernorm: Norm,
    attention: SelfAttention,
    before_first_addition_layernorm: Option<Norm>,
    post_attention_layernorm: Norm,
    mlp: FeedForward,
    before_second_addition_layernorm: Option<Norm>,
    dropout: f64,
}

impl Block {
    pub(super) fn new(config: &GptConfig, device: &Device) -> Self {
        let norm = || Norm::new(config.norm, config.dim, config.epsilon, device);
        let sandwich = || norm().with_gain(config.branch_gain);
        Self {
            input_layernorm: norm(),
            attention: SelfAttention::new(config, device),
            before_first_addition_layernorm: config.sandwich.then(sandwich),
            post_attention_layernorm: norm(),
            mlp: FeedForward::new(config, device),
            before_second_addition_layernorm: config.sandwich.then(sandwich),
            dropout: config.dropout,
        }
    }

    /// `[b, t, d]` → `[b, t, d]`
    pub(super) fn forward(&self, x: Tensor<3>, mask: &Mask, cache: Option<&mut LayerCache>) -> Tensor<3> {
        let a = self.attention.forward(self.input_layernorm.forward(x.clone()), mask, cache);
        let x = x + self.branch(a, self.before_first_addition_layernorm.as_ref());
        let m = self.mlp.forward(self.post_attention_layernorm.forward(x.clone()));
        x + self.branch(m, self.before_second_addition_layernorm.as_ref())
    }

    /// What the layer's first branch reads: its input after the first norm.
    pub(super) fn normalised(&self, x: Tensor<3>) -> Tensor<3> {
        self.input_layernorm.forward(x)
    }

    fn branch(&self, y: Tensor<3>, sandwich: Option<&Norm>) -> Tensor<3> {
        let y = dropout(y, self.dropout);
        match sandwich {
            Some(norm) => norm.forward(y),
            None => y,
        }
    }
}

/// Zeroes a share of the elements while gradients are recorded, and scales the rest up.
///
/// The pattern comes from the device's generator: a trainer that seeds it with the step can repeat a step exactly.
fn dropout(x: Tensor<3>, share: f64) -> Tensor<3> {
    if share == 0.0 || !x.device().is_autodiff() {
        return x;
    }
    let kept = Tensor::<3>::random(x.dims(), Distribution::Bernoulli(1.0 - share), &x.device());
    x * (kept / (1.0 - share))
}

/// Two linear maps, four times as wide between them.
#[derive(Module, Debug)]
struct FeedForward {
    dense_h_to_4h: Linear,
    dense_4h_to_h: Linear,
    #[module(skip)]
    activation: Activation,
}

impl FeedForward {
    fn new(config: &GptConfig, device: &Device) -> Self {
        let (dim, wide) = (config.dim, 4 * config.dim);
        Self {
            dense_h_to_4h: linear(dim, wide, config.bias, config.init_std, device),
            dense_4h_to_h: linear(wide, dim, config.bias, config.residual_std(), device),
            activation: config.activation,
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        linear_map(&self.dense_4h_to_h, self.activation.forward(linear_map(&self.dense_h_to_4h, x)))
    }
}
