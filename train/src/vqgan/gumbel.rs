//! Training a Gumbel quantiser: a soft choice of rows that hardens as the temperature falls.
//!
//! Source: taming `GumbelQuantize` and `GumbelVQ` (`modules/vqvae/quantize.py`, `models/vqgan.py`), after Jang et al. 2016.

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Distribution, Tensor};
use serde::{Deserialize, Serialize};
use tokenize::vqgan::Quantizer;

use super::quantize::Quantized;
use crate::schedule::half_cosine;
use crate::{Error, Result};

/// How a Gumbel quantiser is trained. Defaults: the configuration of taming's Gumbel f8 codec on OpenImages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GumbelConfig {
    /// Weight of the divergence from an even use of all codes.
    pub kl_weight: f64,
    /// The decoder sees one row, as when the codec is used, and the gradient that of the mixture; without it the decoder
    /// sees the mixture.
    pub straight_through: bool,
    /// How soft the choice is.
    pub temperature: Temperature,
}

impl Default for GumbelConfig {
    fn default() -> Self {
        Self { kl_weight: 1e-8, straight_through: true, temperature: Temperature::default() }
    }
}

/// Half a cosine from `start` to `end` (taming `LambdaWarmUpCosineScheduler` without warm-up).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Temperature {
    /// At step 0.
    pub start: f64,
    /// From step `steps` on.
    pub end: f64,
    /// Steps from one to the other.
    pub steps: u64,
}

impl Default for Temperature {
    fn default() -> Self {
        Self { start: 0.9, end: 1e-6, steps: 1_000_001 }
    }
}

impl Temperature {
    pub(super) fn at(&self, step: u64) -> f64 {
        half_cosine(self.start, self.end, step as f64 / self.steps.max(1) as f64)
    }
}

impl GumbelConfig {
    /// # Errors
    /// Names the key.
    pub(super) fn check(&self) -> Result<()> {
        let Temperature { start, end, .. } = self.temperature;
        if start.is_finite() && end > 0.0 && start >= end {
            return Ok(());
        }
        Err(Error::config(format!(
            "gumbel.temperature: from {start} to {end}: it must fall, and end above 0"
        )))
    }

    /// Chooses rows for `latents` under `noise`.
    ///
    /// # Shapes
    /// latents `[b, embed_dim, h, w]`, noise `[b, n_embed, h, w]`
    pub(super) fn quantize(
        &self,
        quantizer: &Quantizer,
        latents: Tensor<4>,
        noise: impl FnOnce([usize; 4]) -> Tensor<4>,
        temperature: f64,
    ) -> Option<Quantized> {
        let logits = quantizer.logits(latents.clone())?;
        let codebook = quantizer.codebook()?.val();
        let [b, n, h, w] = logits.dims();
        let noisy = (logits.clone() + noise([b, n, h, w])).div_scalar(temperature);
        let soft: Tensor<2> = softmax(noisy, 1).permute([0, 2, 3, 1]).reshape([b * h * w, n]);
        let codes = soft.clone().detach().argmax(1).reshape([b * h * w]);
        let choice = if self.straight_through {
            let hard = codes.clone().one_hot::<2>(n).float();
            soft.clone() + (hard - soft).detach()
        } else {
            soft
        };
        let width = codebook.dims()[1];
        let decoded = choice.matmul(codebook).reshape([b, h, w, width]).permute([0, 3, 1, 2]);
        Some(Quantized { latents, codes: codes.reshape([b, h, w]), decoded, loss: self.divergence(logits) })
    }

    /// Weighted Kullback-Leibler divergence of the choice from an even one, its mean over places.
    fn divergence(&self, logits: Tensor<4>) -> Tensor<1> {
        let n = logits.dims()[1] as f64;
        let chosen = softmax(logits, 1);
        let surprise = chosen.clone().mul_scalar(n).add_scalar(1e-10).log();
        (chosen * surprise).sum_dim(1).mean().mul_scalar(self.kl_weight)
    }
}

/// Standard Gumbel noise from the device's seeded random numbers. They keep away from 0 and 1, whose logarithms are infinite.
pub(super) fn noise(shape: [usize; 4], device: &Device) -> Tensor<4> {
    Tensor::random(shape, Distribution::Uniform(1e-7, 1.0 - 1e-7), device).log().neg().log().neg()
}

#[cfg(test)]
mod tests {
    use tokenize::vqgan::{QuantizerKind, VqGanConfig};

    use super::*;
    use crate::vqgan::golden::{Golden, filled};

    #[test]
    fn rows_divergence_and_gradient_are_those_of_taming() {
        let golden = Golden::open();
        let shape = VqGanConfig {
            ch: 4,
            ch_mult: vec![1],
            groups: 4,
            z_channels: 4,
            embed_dim: 6,
            n_embed: 5,
            quantizer: QuantizerKind::Gumbel,
            ..VqGanConfig::default()
        };
        let quantizer = shape.init(&golden.device).unwrap().quantize;
        let quantizer = filled(quantizer, |path| golden.find(&format!("gumbel.{path}")));
        for (name, straight_through) in [("straight", true), ("soft", false)] {
            let config = GumbelConfig { kl_weight: 0.3, straight_through, ..GumbelConfig::default() };
            let latents = golden.get::<4>("gumbel.latents").require_grad();
            let noise = golden.get::<4>("gumbel.noise");
            let chosen = config.quantize(&quantizer, latents.clone(), |_| noise, 0.7).unwrap();
            golden.close(&format!("gumbel.{name}.rows"), &chosen.decoded, 1e-5);
            golden.close(&format!("gumbel.{name}.kl"), &chosen.loss, 1e-5);
            let grads = (chosen.decoded.powi_scalar(2).mean() + chosen.loss).backward();
            golden.close(&format!("gumbel.{name}.gradient"), &latents.grad(&grads).unwrap(), 1e-5);
        }
    }

    #[test]
    fn the_temperature_falls_along_half_a_cosine() {
        let temperature = Temperature { start: 0.9, end: 0.1, steps: 100 };
        let at = |step| (temperature.at(step) * 1e6).round() / 1e6;
        assert_eq!([at(0), at(50), at(100), at(1000)], [0.9, 0.5, 0.1, 0.1]);
        let rising = GumbelConfig {
            temperature: Temperature { start: 0.1, end: 0.9, steps: 1 },
            ..GumbelConfig::default()
        };
        assert!(rising.check().unwrap_err().to_string().starts_with("gumbel.temperature: "));
    }

    #[test]
    fn noise_is_gumbels() {
        let device = Device::flex();
        device.seed(1);
        let values: Vec<f32> = noise([10, 10, 10, 20], &device).into_data().iter().collect();
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len() as f64;
        let below_zero = values.iter().filter(|v| **v < 0.0).count() as f64 / values.len() as f64;
        // Euler's constant, and exp(-exp(0)).
        assert!((mean - 0.5772).abs() < 0.03, "{mean}");
        assert!((below_zero - 0.3679).abs() < 0.015, "{below_zero}");
    }
}
