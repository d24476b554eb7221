//! A running mean of a model's weights, which is better than the weights of any one step.
//!
//! Source: latent-diffusion `ldm/modules/ema.py`, with its warm-up of the decay.

use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::run::load_module;
use crate::{Error, Result};

/// Its file in a checkpoint.
pub(crate) const MEAN: &str = "mean.safetensors";

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
    pub(crate) fn check(&self) -> Result<()> {
        if (0.0..1.0).contains(&self.decay) {
            return Ok(());
        }
        Err(Error::config(format!("average.decay: {} is not in [0, 1)", self.decay)))
    }

    /// What is left out of `run.toml`: a run that began before the table existed must find no change.
    pub(crate) fn is_off(&self) -> bool {
        self.decay == 0.0
    }

    /// The decay after `step` (counted from 0): early means must not hold on to random weights.
    fn at(&self, step: u64) -> f64 {
        let made = (step + 1) as f64;
        self.decay.min((1.0 + made) / (10.0 + made))
    }
}

/// The weights to use of a checkpoint: the mean, where the run kept one.
pub(crate) fn weights_in(checkpoint: &Path, last: &str) -> PathBuf {
    let mean = checkpoint.join(MEAN);
    if mean.is_file() { mean } else { checkpoint.join(last) }
}

/// The mean itself, where one is kept.
#[derive(Clone, Debug)]
pub(crate) struct Average<M> {
    config: AverageConfig,
    mean: Option<M>,
}

impl<M: Module> Average<M> {
    /// The mean before the first step.
    pub(crate) fn begin(config: &AverageConfig, model: &M) -> Self {
        Self { config: config.clone(), mean: (!config.is_off()).then(|| model.valid()) }
    }

    /// Takes the weights after `step` into the mean.
    pub(crate) fn update(&mut self, model: &M, step: u64) {
        let Some(mean) = self.mean.take() else { return };
        // Parameters of both have the same ids; the container of gradients holds tensors of any rank by them.
        let mut collect = Collect(GradientsParams::new());
        model.visit(&mut collect);
        let take = 1.0 - self.config.at(step);
        self.mean = Some(mean.map(&mut Blend { weights: collect.0, take }));
    }

    /// What is validated, drawn with and exported, without gradients: the mean, or the last weights where none is kept.
    pub(crate) fn finished(&self, last: &M) -> M {
        self.mean.clone().unwrap_or_else(|| last.valid())
    }

    /// The mean, where one is kept.
    pub(crate) fn mean(&self) -> Option<&M> {
        self.mean.as_ref()
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> u64 {
        self.mean.as_ref().map_or(0, |mean| 4 * mean.num_params() as u64)
    }

    /// Reads the mean of a checkpoint.
    ///
    /// # Errors
    /// As for [`Self::restore`].
    pub(crate) fn load(&mut self, checkpoint: &Path, last: &M) -> Result<()> {
        self.restore(checkpoint, last, |mean| load_module(mean, &checkpoint.join(MEAN)))
    }

    /// The mean of a checkpoint, by `read`. Where the run kept none until then, it begins at the checkpoint's weights.
    ///
    /// # Errors
    /// A file is damaged or of another model.
    pub(crate) fn restore(
        &mut self,
        checkpoint: &Path,
        last: &M,
        read: impl FnOnce(M) -> Result<M>,
    ) -> Result<()> {
        let Some(mean) = self.mean.take() else { return Ok(()) };
        self.mean = Some(if checkpoint.join(MEAN).is_file() { read(mean)? } else { last.valid() });
        Ok(())
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
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    use super::*;

    fn numbers(layer: &Linear) -> Vec<f32> {
        layer.weight.val().into_data().iter().collect()
    }

    /// A layer, the same with weights of 1, and the mean of both after the second step.
    fn averaged(decay: f64) -> (Linear, Linear, Average<Linear>) {
        let first = LinearConfig::new(3, 2).init(&Device::flex().autodiff());
        let mut second = first.clone();
        second.weight = second.weight.map(|weights| weights.ones_like().detach().require_grad());
        let mut average = Average::begin(&AverageConfig { decay }, &first);
        average.update(&second, 1);
        (first, second, average)
    }

    #[test]
    fn the_mean_follows_the_weights_at_its_own_pace() {
        // Step 1 is the second: the warm-up still holds, (1 + 2) / (10 + 2).
        let (first, second, average) = averaged(0.75);
        let mean = average.finished(&second);
        for (first, mean) in numbers(&first).iter().zip(numbers(&mean)) {
            assert!((mean - (0.25 * first + 0.75)).abs() < 1e-6, "{first} {mean}");
        }
        assert!(!mean.weight.val().is_require_grad());
        assert_eq!(AverageConfig { decay: 0.75 }.at(1_000_000), 0.75);
        assert!(AverageConfig { decay: 1.0 }.check().is_err());
    }

    #[test]
    fn without_one_the_last_weights_are_used() {
        let (_, second, average) = averaged(0.0);
        assert!(average.mean().is_none() && average.bytes() == 0);
        assert_eq!(numbers(&average.finished(&second)), numbers(&second));
        let dir = tempfile::tempdir().unwrap();
        crate::run::save_module(average.mean().unwrap(), &dir.path().join(MEAN)).unwrap();
        assert_eq!(weights_in(dir.path(), "last"), dir.path().join("last"));
    }

    #[test]
    fn a_checkpoint_keeps_every_bit_and_one_without_a_mean_begins_it() {
        let (first, second, average) = averaged(0.75);
        let dir = tempfile::tempdir().unwrap();
        let mut read = Average::begin(&average.config, &first);
        read.load(dir.path(), &second).unwrap();
        assert_eq!(numbers(read.mean().unwrap()), numbers(&second));
        crate::run::save_module(average.mean().unwrap(), &dir.path().join(MEAN)).unwrap();
        assert_eq!(weights_in(dir.path(), "last"), dir.path().join(MEAN));
        read.load(dir.path(), &second).unwrap();
        assert_eq!(numbers(read.mean().unwrap()), numbers(average.mean().unwrap()));
    }
}
