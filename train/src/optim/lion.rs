//! Lion: steps of one size along the sign of a momentum, half the memory of AdamW.
//!
//! Source: Chen et al. 2023 (arXiv 2302.06675), algorithm 2. Section 5 takes a rate three to ten times smaller than
//! AdamW's and a decay as many times larger.

use burn::tensor::Tensor;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Numbers, in_place};
use crate::{Error, Result};

/// Numbers of Lion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LionConfig {
    /// The share of the past in the direction of a step, and in what is kept of it. The paper has 0.95 and 0.98 where
    /// training is unstable (section 5).
    pub betas: [f64; 2],
}

impl Default for LionConfig {
    fn default() -> Self {
        Self { betas: [0.9, 0.99] }
    }
}

impl LionConfig {
    /// # Errors
    /// Names the key.
    pub(super) fn check(&self) -> Result<()> {
        if self.betas.iter().all(|beta| (0.0..1.0).contains(beta)) {
            return Ok(());
        }
        Err(Error::config("optim.lion.betas: both must be in [0, 1)"))
    }

    /// One step with `momentum`, flat.
    pub(super) fn update<const D: usize>(
        &self,
        numbers: Numbers,
        weights: Tensor<D>,
        grad: Tensor<D>,
        momentum: Tensor<1>,
    ) -> (Tensor<D>, Tensor<1>) {
        let shape = weights.shape();
        if in_place(&weights) && in_place(&grad) {
            return self.update_in_place(numbers, weights, grad, momentum);
        }
        let [beta1, beta2] = self.betas;
        let grad: Tensor<1> = grad.reshape([-1]) * numbers.gradient;
        let weights: Tensor<1> = weights.reshape([-1]) * numbers.keep;
        let step = (momentum.clone() * beta1 + grad.clone() * (1.0 - beta1)).sign();
        let momentum = momentum * beta2 + grad * (1.0 - beta2);
        ((weights - step * numbers.lr).reshape(shape), momentum)
    }

    /// One pass over host memory, in parallel; every element is independent, so threads cannot change the result.
    fn update_in_place<const D: usize>(
        &self,
        numbers: Numbers,
        weights: Tensor<D>,
        grad: Tensor<D>,
        momentum: Tensor<1>,
    ) -> (Tensor<D>, Tensor<1>) {
        const PART: usize = 1 << 15;
        let device = weights.device();
        let (mut weights, grad, mut momentum) = (weights.into_data(), grad.into_data(), momentum.into_data());
        if let (Ok(w), Ok(g), Ok(m)) =
            (weights.as_mut_slice::<f32>(), grad.as_slice::<f32>(), momentum.as_mut_slice::<f32>())
        {
            (w.par_chunks_mut(PART), g.par_chunks(PART), m.par_chunks_mut(PART))
                .into_par_iter()
                .for_each(|(w, g, m)| self.apply(numbers, w, g, m));
        }
        (Tensor::from_data(weights, &device), Tensor::from_data(momentum, &device))
    }

    fn apply(&self, numbers: Numbers, weights: &mut [f32], grads: &[f32], momentum: &mut [f32]) {
        let [beta1, beta2] = self.betas.map(|beta| beta as f32);
        let lr = numbers.lr as f32;
        for ((w, g), m) in weights.iter_mut().zip(grads).zip(momentum) {
            let g = g * numbers.gradient;
            let direction = beta1 * *m + (1.0 - beta1) * g;
            *m = beta2 * *m + (1.0 - beta2) * g;
            // `signum` of 0 is 1; what has no direction must not move.
            let step = if direction == 0.0 { 0.0 } else { lr.copysign(direction) };
            *w = *w * numbers.keep - step;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::optim::{LionConfig as Burns, Optimizer};
    use burn::tensor::{Device, Distribution, Tolerance};

    #[test]
    fn agrees_with_burns_lion() {
        let device = Device::flex();
        let burns = Burns::new().with_weight_decay(0.1).build();
        let random = || Tensor::<2>::random([5, 9], Distribution::Normal(0.0, 1.0), &device);
        let start = random();
        let (mut ours, mut theirs) = (start.clone(), start);
        let (mut momentum, mut state) = (Tensor::<1>::zeros([45], &device), None);
        for step in 0..4 {
            // Without any gradient only decay moves the weights.
            let grad = random() * if step == 0 { 0.0 } else { 1.0 };
            let numbers = Numbers { lr: 0.01, keep: 1.0 - 0.01 * 0.1, gradient: 1.0 };
            (ours, momentum) = LionConfig::default().update(numbers, ours, grad.clone(), momentum);
            (theirs, state) = burns.step(0.01, theirs, grad, state);
        }
        ours.into_data().assert_approx_eq::<f32>(&theirs.into_data(), Tolerance::absolute(1e-6));
    }

    #[test]
    fn the_pass_over_memory_and_tensor_operations_agree() {
        let device = Device::flex();
        let tensor = |values: [f32; 4]| Tensor::<1>::from_data(values, &device);
        let [weights, grad, momentum] =
            [[0.5, -0.25, 0.1, 0.3], [1.0, -2.0, 0.0, 0.5], [0.1, 0.4, 0.0, -0.9]].map(tensor);
        let numbers = Numbers { lr: 0.01, keep: 0.9, gradient: 0.5 };
        let config = LionConfig::default();
        let (one, kept) = config.update(numbers, weights.clone(), grad.clone(), momentum.clone());
        // Half precision is not updated in place.
        let half = burn::tensor::FloatDType::F16;
        let (other, also) = config.update(numbers, weights.cast(half), grad.cast(half), momentum.cast(half));
        let f32 = burn::tensor::FloatDType::F32;
        let near = Tolerance::absolute(2e-3);
        one.into_data().assert_approx_eq::<f32>(&other.cast(f32).into_data(), near);
        kept.into_data().assert_approx_eq::<f32>(&also.cast(f32).into_data(), near);
    }
}
