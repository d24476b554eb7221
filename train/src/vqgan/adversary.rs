//! The adversarial half of the training: when it counts, how much, and the discriminator's own step.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::gan::{self, GanLoss};
use super::{Discriminator, DiscriminatorConfig};
use crate::optim::{OptimConfig, Optimizer};
use crate::run::Metrics;
use crate::{Error, Result};

/// When and how strongly the discriminator counts. Defaults: taming's custom-data configuration
/// (`disc_start` 10,000, `disc_weight` 0.8).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdversaryConfig {
    /// Weight beside the adaptive one (`disc_weight`); 0 trains without a discriminator.
    pub weight: f64,
    /// Factor of both sides' losses (`disc_factor`).
    pub factor: f64,
    /// First step at which it counts (`disc_start`): the reconstruction must be good first.
    pub start: u64,
    /// Steps over which the weight rises after `start`; 0 switches it on at once, as taming does.
    pub warmup: u64,
    /// The discriminator's loss (`disc_loss`).
    pub loss: GanLoss,
    /// The discriminator learns this many times as fast as the codec.
    pub rate: f64,
    /// The discriminator.
    pub discriminator: DiscriminatorConfig,
}

impl Default for AdversaryConfig {
    fn default() -> Self {
        Self {
            weight: 0.8,
            factor: 1.0,
            start: 10_000,
            warmup: 0,
            loss: GanLoss::Hinge,
            rate: 1.0,
            discriminator: DiscriminatorConfig::default(),
        }
    }
}

impl AdversaryConfig {
    /// Refuses what cannot be built for pictures of `side` pixels.
    ///
    /// # Errors
    /// Names the key.
    pub(super) fn check(&self, side: usize) -> Result<()> {
        if self.weight <= 0.0 {
            return Ok(());
        }
        if !(self.factor > 0.0 && self.rate > 0.0) {
            return Err(Error::config("adversary: factor and rate must be above 0")
                .with_hint("`adversary.weight = 0` trains without a discriminator"));
        }
        self.discriminator.check(side)
    }

    /// The configured weight at `step`, 0 before it counts.
    pub(super) fn weight_at(&self, step: u64) -> f64 {
        if step < self.start {
            return 0.0;
        }
        let risen = (step - self.start + 1) as f64 / self.warmup.max(1) as f64;
        self.weight * self.factor * risen.min(1.0)
    }
}

/// Discriminator and optimizer.
pub(super) struct Adversary {
    pub(super) discriminator: Discriminator,
    pub(super) optim: Optimizer,
    config: AdversaryConfig,
    gradients: GradientsAccumulator<Discriminator>,
}

impl Adversary {
    pub(super) fn new(config: &AdversaryConfig, optim: &OptimConfig, device: &Device) -> Self {
        Self {
            discriminator: config.discriminator.init(device),
            optim: Optimizer::new(optim.clone()),
            config: config.clone(),
            gradients: GradientsAccumulator::new(),
        }
    }

    /// Adversarial loss of what the codec drew; the discriminator's weights get no gradient from it.
    pub(super) fn loss(&mut self, drawn: Tensor<4>) -> Tensor<1> {
        self.discriminator = self.discriminator.clone().begin(drawn.clone());
        let (logits, seen) = self.discriminator.clone().no_grad().observed(drawn);
        self.discriminator = self.discriminator.clone().observe(seen);
        gan::generator(logits)
    }

    /// Judges one micro-batch, of which a step has `1 / share`, and keeps the gradient for [`Self::step`].
    pub(super) fn learn(&mut self, real: Tensor<4>, drawn: Tensor<4>, share: f64) -> Metrics {
        let (real, seen_real) = self.discriminator.observed(real);
        let (drawn, seen_drawn) = self.discriminator.observed(drawn.detach());
        let mean = |logits: &Tensor<4>| f64::from(logits.clone().inner().mean().into_scalar::<f32>());
        let logits = [mean(&real), mean(&drawn)];
        let loss = self.config.loss.discriminator(real, drawn).mul_scalar(self.config.factor);
        let value = f64::from(loss.clone().inner().into_scalar::<f32>());
        let grads = loss.mul_scalar(share).backward();
        let grads = GradientsParams::from_grads(grads, &self.discriminator);
        self.gradients.accumulate(&self.discriminator, grads);
        self.discriminator = self.discriminator.clone().observe(seen_real).observe(seen_drawn);
        Metrics::new()
            .with("discriminator", value)
            .with("logits_real", logits[0])
            .with("logits_drawn", logits[1])
    }

    /// Drops what [`Self::learn`] gathered, and what the discriminator observed since it was `before`.
    pub(super) fn forget(&mut self, before: Discriminator) {
        self.discriminator = before;
        self.gradients = GradientsAccumulator::new();
    }

    /// One step on what [`Self::learn`] gathered; `lr` is the codec's.
    pub(super) fn step(&mut self, lr: f64) {
        let grads = self.gradients.grads();
        let discriminator = self.discriminator.clone();
        (self.discriminator, _) = self.optim.step(lr * self.config.rate, discriminator, grads);
    }
}

/// taming's adaptive weight: the ratio of both losses' gradient norms at the decoder's last convolution, at most 10⁴.
///
/// `draw` runs that convolution on what it sees, and the gradients are those of the reconstruction loss and of the
/// adversarial loss at the picture that it draws, so that neither VGG16 nor the discriminator runs again.
pub(super) fn adaptive_weight(
    conv: &Conv2d,
    draw: impl Fn() -> Tensor<4>,
    gradients: [&Tensor<4>; 2],
) -> f64 {
    let [reconstruction, adversary] = gradients.map(|gradient| {
        let grads = (draw() * Tensor::from_inner(gradient.clone())).sum().backward();
        let grad = conv.weight.val().grad(&grads);
        grad.map_or(0.0, |grad| f64::from(grad.powi_scalar(2).sum().into_scalar::<f32>()).sqrt())
    });
    (reconstruction / (adversary + 1e-4)).clamp(0.0, 1e4)
}

#[cfg(test)]
mod tests {
    use burn::nn::PaddingConfig2d;
    use burn::nn::conv::Conv2dConfig;

    use super::*;
    use crate::vqgan::NormKind;
    use crate::vqgan::golden::{Golden, filled};

    #[test]
    fn the_weight_begins_at_its_start_at_once_or_by_and_by() {
        let sudden = AdversaryConfig { weight: 0.8, start: 10, ..AdversaryConfig::default() };
        assert_eq!([0, 9, 10, 11].map(|step| sudden.weight_at(step)), [0.0, 0.0, 0.8, 0.8]);
        let slow = AdversaryConfig { warmup: 4, factor: 0.5, ..sudden };
        let weights = [0, 9, 10, 11, 13, 100].map(|step| slow.weight_at(step));
        assert_eq!(weights, [0.0, 0.0, 0.1, 0.2, 0.4, 0.4]);
    }

    #[test]
    fn the_discriminator_learns_to_tell_white_from_black() {
        let device = Device::flex().autodiff();
        for norm in [NormKind::Batch, NormKind::ActNorm, NormKind::Group] {
            device.seed(3);
            let discriminator = DiscriminatorConfig { channels: 8, layers: 2, norm };
            let config = AdversaryConfig { discriminator, rate: 10.0, ..AdversaryConfig::default() };
            let mut adversary = Adversary::new(&config, &OptimConfig::default(), &device);
            let real = Tensor::random([2, 3, 16, 16], burn::tensor::Distribution::Uniform(0.5, 1.0), &device);
            let mut losses = Vec::new();
            for _ in 0..12 {
                adversary.loss(real.clone().neg());
                let metrics = adversary.learn(real.clone(), real.clone().neg(), 1.0);
                losses.push(metrics.get("discriminator").unwrap());
                adversary.step(1e-3);
            }
            assert!(losses[11] < 0.5 * losses[0], "{norm:?}: {losses:?}");
        }
    }

    #[test]
    fn the_adaptive_weight_is_tamings() {
        let golden = Golden::open();
        let conv = Conv2dConfig::new([4, 3], [3, 3])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
            .init(&golden.device);
        let conv = filled(conv, |path| golden.find(&format!("weight.conv.{path}")));
        let config = DiscriminatorConfig { channels: 4, layers: 2, norm: NormKind::Batch };
        let config = AdversaryConfig { discriminator: config, ..AdversaryConfig::default() };
        let mut adversary = Adversary::new(&config, &OptimConfig::default(), &golden.device);
        let index = |path: &str| match path.split('.').collect::<Vec<_>>()[..2] {
            ["main", layer] => [0, 2, 5, 8][layer.parse::<usize>().unwrap()],
            [_, layer] => [3, 6][layer.parse::<usize>().unwrap()],
            _ => unreachable!(),
        };
        adversary.discriminator = filled(adversary.discriminator, |path| {
            let field = path.rsplit('.').next().unwrap();
            golden.find(&format!("weight.discriminator.main.{}.{field}", index(path)))
        });
        let features = golden.get::<4>("weight.features");
        let draw = || conv.forward(features.clone());
        let drawn = draw().detach().require_grad();
        let gradient = |loss: Tensor<1>| drawn.grad(&loss.backward()).unwrap();
        let pixels = golden.get::<4>("weight.pixels");
        let reconstruction = gradient((drawn.clone() - pixels).abs().mean());
        let adversarial = gradient(adversary.loss(drawn.clone()));
        let weight = adaptive_weight(&conv, draw, [&reconstruction, &adversarial]);
        golden.close("weight.adaptive", &Tensor::<1>::from_data([weight as f32], &golden.device), 1e-4);
    }
}
