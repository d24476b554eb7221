//! PatchGAN: judges overlapping patches as real or drawn (taming `NLayerDiscriminator`, `modules/discriminator/model.py`).

use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Initializer, PaddingConfig2d};
use burn::tensor::activation::leaky_relu;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::norm::{GROUPS, NormKind, PatchNorm, Seen};
use crate::{Error, Result};

/// Size of the discriminator. Defaults: taming `NLayerDiscriminator` (ndf 64, 3 layers, batch norm).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiscriminatorConfig {
    /// Channels of the first layer (`ndf`); doubles per layer up to eight times.
    pub channels: usize,
    /// Layers that halve the side (`n_layers`).
    pub layers: usize,
    /// What stands between the convolutions.
    pub norm: NormKind,
}

impl Default for DiscriminatorConfig {
    fn default() -> Self {
        Self { channels: 64, layers: 3, norm: NormKind::Batch }
    }
}

/// Convolutions with the norms between them.
#[derive(Module, Debug)]
pub struct Discriminator {
    main: Vec<Conv2d>,
    norms: Vec<PatchNorm>,
}

impl DiscriminatorConfig {
    /// Channels that come out of `layer`; layer 0 is the first convolution, which has no norm.
    fn width(&self, layer: usize) -> usize {
        self.channels * (1 << layer.min(3))
    }

    /// How far the 4×4 windows of `layer` move; the last convolution comes after layer `layers`.
    fn stride(&self, layer: usize) -> usize {
        if layer == 0 || layer < self.layers { 2 } else { 1 }
    }

    /// Patches along one side of a picture of `side` pixels; 0 where it is too small to be judged.
    fn patches(&self, side: usize) -> usize {
        // A window of 4 with a border of 1 on both sides.
        let through = |side: usize, layer| {
            let side = if self.stride(layer) == 2 { side / 2 } else { side.saturating_sub(1) };
            (side > 0).then_some(side)
        };
        (0..=self.layers.saturating_add(1)).try_fold(side, through).unwrap_or(0)
    }

    /// Refuses what cannot be built, and pictures of `side` pixels that are too small to be judged: such a discriminator
    /// would fail only when it begins to count, thousands of steps into a run.
    ///
    /// # Errors
    /// Names the key.
    pub(super) fn check(&self, side: usize) -> Result<()> {
        if self.channels == 0 {
            return Err(Error::config("adversary.discriminator.channels: must be at least 1"));
        }
        let odd = |width: &usize| self.norm == NormKind::Group && !width.is_multiple_of(GROUPS.min(*width));
        if let Some(width) = (1..=self.layers.min(3)).map(|layer| self.width(layer)).find(odd) {
            return Err(Error::config(format!(
                "adversary.discriminator.channels: {} gives a layer of {width} channels, which {GROUPS} groups do not divide",
                self.channels
            ))
            .with_hint("a multiple of 4 always fits"));
        }
        if self.patches(side) == 0 {
            return Err(Error::config(format!(
                "data.image_size: {side} is too small for a discriminator of {} layers: no patch is left to judge",
                self.layers
            ))
            .with_hint("fewer `adversary.discriminator.layers`, larger pictures, or `adversary.weight` = 0"));
        }
        Ok(())
    }

    /// A discriminator with taming's first weights: N(0, 0.02), biases as torch has them. A convolution before a batch norm
    /// has none, since the norm would take it away again.
    pub fn init(&self, device: &Device) -> Discriminator {
        let conv = |from: usize, to: usize, stride, bias: bool| {
            let mut conv = Conv2dConfig::new([from, to], [4, 4])
                .with_stride([stride, stride])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_bias(false)
                .with_initializer(Initializer::Normal { mean: 0.0, std: 0.02 })
                .init(device);
            let bound = 1.0 / ((16 * from) as f64).sqrt();
            conv.bias = bias.then(|| Initializer::Uniform { min: -bound, max: bound }.init([to], device));
            conv
        };
        let mut main = vec![conv(3, self.width(0), self.stride(0), true)];
        let mut norms = Vec::new();
        for layer in 1..=self.layers {
            let (from, width) = (self.width(layer - 1), self.width(layer));
            main.push(conv(from, width, self.stride(layer), self.norm != NormKind::Batch));
            norms.push(self.norm.init(width, device));
        }
        main.push(conv(self.width(self.layers), 1, self.stride(self.layers + 1), true));
        let discriminator = Discriminator { main, norms };
        // As long as weights wait to be drawn, a clone's `no_grad` holds for the original, too.
        discriminator.visit(&mut Draw);
        discriminator
    }
}

/// Draws the first weights of a module now.
struct Draw;

impl ModuleVisitor for Draw {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        drop(param.val());
    }
}

/// Statistics of one batch, for each norm that keeps any.
pub(super) type Statistics = Vec<Option<Seen>>;

impl Discriminator {
    /// One logit per patch, large where it looks real; batch norms go by this batch, as in training.
    ///
    /// # Shapes
    /// pixels in [-1, 1] `[b, 3, h, w]` → `[b, 1, h', w']`
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<4> {
        self.observed(pixels).0
    }

    /// [`Self::forward`], and what the batch norms saw.
    pub(super) fn observed(&self, pixels: Tensor<4>) -> (Tensor<4>, Statistics) {
        let mut statistics = Vec::new();
        let logits = self.through(pixels, |norm, x| {
            let (x, seen) = norm.forward(x);
            statistics.push(seen);
            x
        });
        (logits, statistics)
    }

    /// The same by the running statistics, as in validation.
    ///
    /// # Shapes
    /// as [`Self::forward`]
    pub fn judge(&self, pixels: Tensor<4>) -> Tensor<4> {
        self.through(pixels, PatchNorm::judge)
    }

    /// Takes what the norms saw into their running statistics.
    pub(super) fn observe(mut self, statistics: Statistics) -> Self {
        self.norms = self.norms.into_iter().zip(statistics).map(|(norm, seen)| norm.observe(seen)).collect();
        self
    }

    /// Lets every ActNorm that has seen nothing yet normalise what `pixels` are where it stands.
    pub(super) fn begin(mut self, pixels: Tensor<4>) -> Self {
        if !self.norms.iter().any(PatchNorm::awaits_data) {
            return self;
        }
        let mut begun = Vec::new();
        self.through(pixels, |norm, x| {
            let norm = norm.clone().begin(&x);
            let x = norm.judge(x);
            begun.push(norm);
            x
        });
        self.norms = begun;
        self
    }

    fn through(
        &self,
        pixels: Tensor<4>,
        mut normed: impl FnMut(&PatchNorm, Tensor<4>) -> Tensor<4>,
    ) -> Tensor<4> {
        let last = self.main.len() - 1;
        let mut x = pixels;
        for (i, conv) in self.main.iter().enumerate() {
            x = conv.forward(x);
            if i > 0 && i < last {
                x = normed(&self.norms[i - 1], x);
            }
            if i < last {
                x = leaky_relu(x, 0.2);
            }
        }
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vqgan::golden::{Golden, filled};

    /// The discriminator of the fixture with its weights before the first batch.
    fn published(golden: &Golden, case: &str, norm: NormKind) -> Discriminator {
        let config = DiscriminatorConfig { channels: 4, layers: 2, norm };
        // taming numbers convolutions, norms and activations in one row: 0, then 2 and 3, then 5 and 6, then 8.
        let name = |path: &str| {
            let parts: Vec<&str> = path.split('.').collect();
            let layer: usize = parts[1].parse().unwrap();
            let index = match parts[0] {
                "main" => [0, 2, 5, 8][layer],
                _ => [3, 6][layer],
            };
            format!("{case}.before.main.{index}.{}", parts.last().unwrap())
        };
        filled(config.init(&golden.device), |path| golden.find(&name(path)))
    }

    #[test]
    fn it_is_tamings_with_batch_norm_and_its_running_statistics() {
        let golden = Golden::open();
        let net = published(&golden, "batch", NormKind::Batch);
        let pixels = golden.get::<4>("discriminator.pixels").require_grad();
        let (logits, statistics) = net.observed(pixels.clone());
        golden.close("batch.logits", &logits, 1e-5);
        let grads = logits.powi_scalar(2).mean().backward();
        golden.close("batch.gradient", &pixels.grad(&grads).unwrap(), 1e-5);
        let net = net.observe(statistics);
        golden.close("batch.judged", &net.judge(pixels.detach()), 1e-5);
    }

    #[test]
    fn it_is_tamings_with_actnorm_set_by_the_first_batch() {
        let golden = Golden::open();
        let net = published(&golden, "actnorm", NormKind::ActNorm);
        let pixels = golden.get::<4>("discriminator.pixels").require_grad();
        let net = net.begin(pixels.clone().detach());
        let logits = net.forward(pixels.clone());
        golden.close("actnorm.logits", &logits, 1e-5);
        let grads = logits.powi_scalar(2).mean().backward();
        golden.close("actnorm.gradient", &pixels.grad(&grads).unwrap(), 1e-5);
        // A second batch must not set it again.
        let other = net.clone().begin(pixels.clone().detach() * 0.5);
        golden.close("actnorm.judged", &other.judge(pixels.detach()), 1e-5);
    }

    #[test]
    fn patches_are_counted_as_the_layers_make_them() {
        let device = Device::flex();
        for layers in 0..=3 {
            let config = DiscriminatorConfig { channels: 4, layers, norm: NormKind::Group };
            let smallest = (1..).find(|side| config.patches(*side) > 0).unwrap();
            assert_eq!(smallest, [4, 6, 12, 24][layers]);
            for side in [smallest, smallest + 1, 29, 32] {
                let judged = config.init(&device).forward(Tensor::zeros([1, 3, side, side], &device));
                let patches = config.patches(side);
                assert_eq!(judged.dims(), [1, 1, patches, patches], "{layers} layers, {side} px");
            }
        }
    }

    #[test]
    fn what_cannot_be_built_is_refused() {
        let group = |channels, layers| DiscriminatorConfig { channels, layers, norm: NormKind::Group };
        let fault = |channels, layers, side| group(channels, layers).check(side).unwrap_err().to_string();
        assert!(fault(0, 3, 256).ends_with("channels: must be at least 1"));
        assert!(fault(6, 3, 256).contains("6 gives a layer of 12 channels"));
        assert!(fault(64, 3, 16).starts_with("data.image_size: 16 is too small"));
        assert!(fault(64, usize::MAX, 256).starts_with("data.image_size"));
        for channels in [1, 2, 4, 12, 64] {
            group(channels, 3).check(64).unwrap();
            group(channels, 3).init(&Device::flex());
        }
        DiscriminatorConfig { channels: 6, ..DiscriminatorConfig::default() }.check(64).unwrap();
    }
}
