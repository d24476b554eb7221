//! One transformer layer: pre-norm, with CogView's extra norms before each addition (sandwich), a factor per channel
//! (LayerScale) and shifted tokens where asked.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Distribution, Tensor};

use super::activation::Activation;
use super::attention::SelfAttention;
use super::cache::LayerCache;
use super::config::{GptConfig, owner};
use super::linear::{linear, linear_map};
use super::mask::Mask;
use super::norm::Norm;
use super::rotary::Rotary;
use super::shift::Shift;

/// Attention and feed-forward, each added to the residual stream.
#[derive(Module, Debug)]
pub struct Block {
    input_layernorm: Norm,
    /// Absent where an earlier layer's is used.
    attention: Option<SelfAttention>,
    attention_scale: Option<Param<Tensor<1>>>,
    before_first_addition_layernorm: Option<Norm>,
    post_attention_layernorm: Norm,
    /// Absent where an earlier layer's is used.
    mlp: Option<FeedForward>,
    mlp_scale: Option<Param<Tensor<1>>>,
    before_second_addition_layernorm: Option<Norm>,
    dropout: f64,
    #[module(skip)]
    shift: Option<Shift>,
}

/// Everything outside a layer that it needs.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) attention: &'a SelfAttention,
    pub(super) mlp: &'a FeedForward,
    pub(super) mask: &'a Mask,
    pub(super) rotary: Option<&'a Rotary>,
    /// Whether elements are dropped although no gradients are recorded: a layer that will be computed once more.
    pub(super) dropping: bool,
}

impl Block {
    pub(super) fn new(config: &GptConfig, index: usize, device: &Device) -> Self {
        let norm = || Norm::new(config.norm, config.dim, config.epsilon, device);
        let sandwich = || norm().with_gain(config.branch_gain);
        let scale = || {
            let first = Tensor::<1>::full([config.dim], first_scale(index), device);
            config.layer_scale.then(|| Param::from_tensor(first))
        };
        let owns = |ids: &[usize]| owner(ids, index) == index;
        Self {
            input_layernorm: norm(),
            attention: owns(&config.shared.attention).then(|| SelfAttention::new(config, device)),
            attention_scale: scale(),
            before_first_addition_layernorm: config.sandwich.then(sandwich),
            post_attention_layernorm: norm(),
            mlp: owns(&config.shared.feed_forward).then(|| FeedForward::new(config, device)),
            mlp_scale: scale(),
            before_second_addition_layernorm: config.sandwich.then(sandwich),
            dropout: config.dropout,
            shift: config.shift_tokens.then(|| Shift::new(config.seen_segments())),
        }
    }

    /// The layer's own attention and feed-forward part, where it has them.
    pub(super) const fn parts(&self) -> (Option<&SelfAttention>, Option<&FeedForward>) {
        (self.attention.as_ref(), self.mlp.as_ref())
    }

    /// `[b, t, d]` → `[b, t, d]`
    pub(super) fn forward(
        &self,
        x: Tensor<3>,
        around: Around<'_>,
        mut cache: Option<&mut LayerCache>,
    ) -> Tensor<3> {
        // The attention counts the new positions as seen.
        let from = cache.as_ref().map_or(0, |cache| cache.len());
        let x = x.clone() + self.attended(x, around, from, cache.as_deref_mut());
        x.clone() + self.fed_forward(x, around, from, cache)
    }

    /// What the layer's first branch reads: its input after the first norm.
    pub(super) fn normalised(&self, x: Tensor<3>) -> Tensor<3> {
        self.input_layernorm.forward(x)
    }

    /// What the attention adds: `[b, t, d]` → `[b, t, d]`; `from` positions were seen before.
    pub(super) fn attended(
        &self,
        x: Tensor<3>,
        around: Around<'_>,
        from: usize,
        mut cache: Option<&mut LayerCache>,
    ) -> Tensor<3> {
        let x = self.shifted(self.input_layernorm.forward(x), 0, from, cache.as_deref_mut());
        let a = around.attention.forward(x, around.mask, around.rotary, cache);
        let a = dropout(a, self.dropout, around.dropping);
        branch(a, self.before_first_addition_layernorm.as_ref(), self.attention_scale.as_ref())
    }

    /// What the feed-forward part adds: `[b, t, d]` → `[b, t, d]`.
    pub(super) fn fed_forward(
        &self,
        x: Tensor<3>,
        around: Around<'_>,
        from: usize,
        cache: Option<&mut LayerCache>,
    ) -> Tensor<3> {
        let x = self.shifted(self.post_attention_layernorm.forward(x), 1, from, cache);
        let m = around.mlp.forward(x);
        let m = dropout(m, self.dropout, around.dropping);
        branch(m, self.before_second_addition_layernorm.as_ref(), self.mlp_scale.as_ref())
    }

    fn shifted(&self, x: Tensor<3>, part: usize, from: usize, cache: Option<&mut LayerCache>) -> Tensor<3> {
        let Some(shift) = &self.shift else { return x };
        match cache.and_then(|cache| cache.shifted.as_mut()) {
            Some(seen) => shift.cached(x, from, &mut seen[part]),
            None => shift.whole(x),
        }
    }
}

/// What a branch adds: normed and scaled, where asked.
fn branch(y: Tensor<3>, sandwich: Option<&Norm>, scale: Option<&Param<Tensor<1>>>) -> Tensor<3> {
    let y = match sandwich {
        Some(norm) => norm.forward(y),
        None => y,
    };
    match scale {
        Some(scale) => y * scale.val().unsqueeze(),
        None => y,
    }
}

/// How LayerScale starts in layer `index`, counted from 0: less, the deeper (Touvron et al. 2021, as DALLE-pytorch has
/// it).
const fn first_scale(index: usize) -> f64 {
    match index {
        0..18 => 0.1,
        18..24 => 1e-5,
        _ => 1e-6,
    }
}

/// Zeroes a share of the elements while gradients are recorded, or always, and scales the rest up.
///
/// The pattern comes from the device's generator: a trainer that seeds it with the step can repeat a step exactly.
fn dropout(x: Tensor<3>, share: f64, always: bool) -> Tensor<3> {
    if share == 0.0 || !(always || x.device().is_autodiff()) {
        return x;
    }
    let kept = Tensor::<3>::random(x.dims(), Distribution::Bernoulli(1.0 - share), &x.device());
    x * (kept / (1.0 - share))
}

/// Two linear maps, four times as wide between them.
#[derive(Module, Debug)]
pub(super) struct FeedForward {
    dense_h_to_4h: Linear,
    dense_4h_to_h: Linear,
    #[module(skip)]
    activation: Activation,
}

impl FeedForward {
    fn new(config: &GptConfig, device: &Device) -> Self {
        let (dim, wide) = (config.dim, 4 * config.dim);
        Self {
            dense_h_to_4h: linear(
                dim,
                wide * config.activation.inputs(),
                config.bias,
                config.init_std,
                device,
            ),
            dense_4h_to_h: linear(wide, dim, config.bias, config.residual_std(), device),
            activation: config.activation,
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        linear_map(&self.dense_4h_to_h, self.activation.forward(linear_map(&self.dense_h_to_4h, x)))
    }
}
