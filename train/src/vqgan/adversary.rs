//! The adversarial half of the training: when it counts, how much, and the discriminator's own step.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use tokenize::vqgan::VqGan;

use super::{Discriminator, DiscriminatorConfig, hinge_discriminator, hinge_generator};
use crate::optim::{OptimConfig, Optimizer};

/// When and how strongly the discriminator counts. Defaults: taming's custom-data configuration
/// (`disc_start` 10,000, `disc_weight` 0.8).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdversaryConfig {
    /// Weight beside the adaptive one; 0 trains without a discriminator.
    pub weight: f64,
    /// First step at which it counts: the reconstruction must be good first.
    pub start: u64,
    /// Steps over which the weight rises after `start`.
    pub warmup: u64,
    /// The discriminator.
    pub discriminator: DiscriminatorConfig,
}

impl Default for AdversaryConfig {
    fn default() -> Self {
        Self { weight: 0.8, start: 10_000, warmup: 1_000, discriminator: DiscriminatorConfig::default() }
    }
}

impl AdversaryConfig {
    /// The configured weight at `step`, 0 before it counts.
    pub(super) fn weight_at(&self, step: u64) -> f64 {
        if step < self.start {
            return 0.0;
        }
        let risen = (step - self.start + 1) as f64 / self.warmup.max(1) as f64;
        self.weight * risen.min(1.0)
    }
}

/// Discriminator and optimizer.
pub(super) struct Adversary {
    pub(super) discriminator: Discriminator,
    pub(super) optim: Optimizer,
}

impl Adversary {
    pub(super) fn new(config: &AdversaryConfig, optim: &OptimConfig, device: &Device) -> Self {
        Self { discriminator: config.discriminator.init(device), optim: Optimizer::new(optim.clone()) }
    }

    /// Adversarial loss of what the codec drew; the discriminator itself gets no gradient from it.
    pub(super) fn loss(&self, drawn: Tensor<4>) -> Tensor<1> {
        hinge_generator(self.discriminator.clone().no_grad().forward(drawn))
    }

    /// One step on real against drawn pictures; returns the discriminator's loss.
    pub(super) fn step(mut self, lr: f64, real: Tensor<4>, drawn: Tensor<4>) -> (Self, Tensor<1>) {
        let loss =
            hinge_discriminator(self.discriminator.forward(real), self.discriminator.forward(drawn.detach()));
        let grads = GradientsParams::from_grads(loss.backward(), &self.discriminator);
        (self.discriminator, _) = self.optim.step(lr, self.discriminator, grads);
        (self, loss)
    }

    /// taming's adaptive weight: the ratio of both losses' gradient norms at the decoder's last
    /// convolution, at most 10⁴. `features` is what that convolution sees.
    pub(super) fn adaptive_weight(
        &self,
        model: &VqGan,
        features: Tensor<4>,
        reconstruction: impl Fn(Tensor<4>) -> Tensor<1>,
    ) -> f64 {
        let conv = model.decoder.conv_out();
        let norm = |loss: Tensor<1>| -> f64 {
            let grads = loss.backward();
            let grad = conv.weight.val().grad(&grads);
            grad.map_or(0.0, |grad| f64::from(grad.powi_scalar(2).sum().into_scalar::<f32>()).sqrt())
        };
        let features = features.detach();
        let of_reconstruction = norm(reconstruction(model.decoder.draw(features.clone())));
        let of_adversary = norm(self.loss(model.decoder.draw(features)));
        (of_reconstruction / (of_adversary + 1e-4)).clamp(0.0, 1e4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weight_rises_after_its_start() {
        let config = AdversaryConfig { weight: 0.8, start: 10, warmup: 4, ..AdversaryConfig::default() };
        let weights: Vec<f64> = [0, 9, 10, 11, 13, 100].map(|step| config.weight_at(step)).to_vec();
        assert_eq!(weights, [0.0, 0.0, 0.2, 0.4, 0.8, 0.8]);
    }

    #[test]
    fn the_discriminator_learns_to_tell_white_from_black() {
        let device = Device::flex().autodiff();
        device.seed(3);
        let config = AdversaryConfig {
            discriminator: DiscriminatorConfig { channels: 8, layers: 2 },
            ..AdversaryConfig::default()
        };
        let mut adversary = Adversary::new(&config, &OptimConfig::default(), &device);
        let (real, drawn) = (Tensor::ones([2, 3, 16, 16], &device), Tensor::zeros([2, 3, 16, 16], &device));
        let mut losses = Vec::new();
        for _ in 0..12 {
            let loss;
            (adversary, loss) = adversary.step(1e-2, real.clone(), drawn.clone());
            losses.push(loss.into_scalar::<f32>());
        }
        assert!(losses[11] < 0.5 * losses[0], "{losses:?}");
    }
}
