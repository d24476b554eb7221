//! A running mean of the codec's weights, which draws better than the weights of any one step.
//!
//! Source: latent-diffusion `ldm/modules/ema.py`, with its warm-up of the decay.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use tokenize::vqgan::VqGan;

use crate::{Error, Result};

/// The running mean that is validated, sampled and exported in place of the last weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AverageConfig {
    /// The share of the past in each step's mean; 0 keeps no mean, latent-diffusion has 0.9999.
    pub decay: f64,
}

impl AverageConfig {
    /// # Errors
    /// Names the key.
    pub(super) fn check(&self) -> Result<()> {
        if (0.0..1.0).contains(&self.decay) {
            return Ok(());
        }
        Err(Error::config(format!("average.decay: {} is not in [0, 1)", self.decay)))
    }

    /// The decay after `step` (counted from 0): early means must not hold on to random weights.
    fn at(&self, step: u64) -> f64 {
        let made = (step + 1) as f64;
        self.decay.min((1.0 + made) / (10.0 + made))
    }

    /// The mean before the first step.
    pub(super) fn begin(&self, model: &VqGan) -> Option<VqGan> {
        (self.decay > 0.0).then(|| model.valid())
    }

    /// Takes the weights after `step` into the mean.
    pub(super) fn update(&self, mean: VqGan, model: &VqGan, step: u64) -> VqGan {
        // Parameters of both have the same ids; the container of gradients holds tensors of any rank by them.
        let mut collect = Collect(GradientsParams::new());
        model.visit(&mut collect);
        mean.map(&mut Blend { weights: collect.0, take: 1.0 - self.at(step) })
    }
}

struct Collect(GradientsParams);

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.register(param.id, param.val().inner());
    }
}

struct Blend {
    weights: GradientsParams,
    take: f64,
}

impl ModuleMapper for Blend {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(weights) = self.weights.remove::<D>(param.id) else { return param };
        let take = self.take;
        param.map(|mean| mean.clone() + (weights - mean).mul_scalar(take))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use tokenize::vqgan::VqGanConfig;

    use super::*;

    #[test]
    fn the_mean_follows_the_weights_at_its_own_pace() {
        let shape = VqGanConfig {
            ch: 4,
            ch_mult: vec![1],
            groups: 4,
            n_embed: 3,
            embed_dim: 2,
            ..VqGanConfig::default()
        };
        let model = shape.init(&Device::flex().autodiff()).unwrap();
        let config = AverageConfig { decay: 0.75 };
        let mean = config.begin(&model).unwrap();
        let first: Vec<f32> = mean.quantize.codebook().unwrap().val().into_data().iter().collect();
        let moved = Tensor::ones([3, 2], &Device::flex().autodiff());
        let mut model = model;
        model.quantize = model.quantize.clone().with_codebook(moved);
        // Step 1 is the second: the warm-up still holds, (1 + 2) / (10 + 2).
        let mean = config.update(mean, &model, 1);
        let second: Vec<f32> = mean.quantize.codebook().unwrap().val().into_data().iter().collect();
        for (first, second) in first.iter().zip(&second) {
            assert!((second - (0.25 * first + 0.75)).abs() < 1e-6, "{first} {second}");
        }
        assert_eq!(config.at(1_000_000), 0.75);
        assert!(AverageConfig::default().begin(&model).is_none());
        assert!(AverageConfig { decay: 1.0 }.check().is_err());
    }
}
