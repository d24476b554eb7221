//! Muon: momentum whose matrices are made orthogonal, for the hidden layers' weights.
//!
//! Source: Jordan et al. 2024 (github.com/KellerJordan/Muon); the step size by shape is that of Liu et al. 2025 (arXiv
//! 2502.16982), which gives an update the root mean square of AdamW's, so one learning rate serves both.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::norm::square_sum;

/// Coefficients of the quintic iteration, steepest at zero.
const QUINTIC: [f32; 3] = [3.4445, -4.7750, 2.0315];
/// Root mean square of an update, as AdamW's is in practice.
const UPDATE_RMS: f64 = 0.2;

/// Numbers of Muon. It updates matrices; vectors, embeddings and the excepted ones stay with `optim.kind`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MuonConfig {
    /// Decay of the running sum of the gradients; Nesterov's form.
    pub momentum: f64,
    /// Steps of the Newton-Schulz iteration.
    pub iterations: usize,
    /// Times the learning rate of the other parameters.
    pub rate: f64,
    /// Parameters that stay with `optim.kind`: those whose path contains one of these. The head of a token model is one.
    pub except: Vec<String>,
}

impl Default for MuonConfig {
    fn default() -> Self {
        Self { momentum: 0.95, iterations: 5, rate: 1.0, except: vec!["to_logits".to_owned()] }
    }
}

impl MuonConfig {
    /// One step: `weights` and `grad` are `[rows, columns]`, `velocity` the running sum as `[rows·columns]`.
    pub(super) fn update(
        &self,
        lr: f64,
        keep: f32,
        weights: Tensor<2>,
        grad: Tensor<2>,
        velocity: Tensor<1>,
    ) -> (Tensor<2>, Tensor<1>) {
        let [rows, columns] = grad.dims();
        let velocity = velocity.reshape([rows, columns]) * self.momentum + grad.clone();
        let step = orthogonal(velocity.clone() * self.momentum + grad, self.iterations);
        let size = lr * self.rate * UPDATE_RMS * (rows.max(columns) as f64).sqrt();
        (weights * keep - step * size, velocity.reshape([rows * columns]))
    }
}

/// Nearly the orthogonal factor `U·Vᵀ` of a matrix `U·S·Vᵀ`: its singular values end near 1.
///
/// A matrix of zeros stays one.
pub(super) fn orthogonal(matrix: Tensor<2>, iterations: usize) -> Tensor<2> {
    let [rows, columns] = matrix.dims();
    let tall = rows > columns;
    let mut x = if tall { matrix.transpose() } else { matrix };
    let norm = square_sum(x.clone()).sqrt().clamp_min(1e-7);
    x = x / norm.unsqueeze::<2>();
    let [a, b, c] = QUINTIC;
    for _ in 0..iterations {
        let gram = x.clone().matmul(x.clone().transpose());
        let polynomial = gram.clone() * b + gram.clone().matmul(gram) * c;
        x = x.clone() * a + polynomial.matmul(x);
    }
    if tall { x.transpose() } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::optim::{AdjustLrFn, MuonConfig as Burns, Optimizer, decay::WeightDecayConfig};
    use burn::tensor::{Device, Distribution, Tolerance};

    #[test]
    fn singular_values_end_near_one() {
        for shape in [[6, 24], [24, 6], [16, 16]] {
            let matrix = Tensor::<2>::random(shape, Distribution::Normal(0.0, 3.0), &Device::flex());
            let x = orthogonal(matrix, 8);
            let x = if shape[0] > shape[1] { x.transpose() } else { x };
            let side = shape[0].min(shape[1]);
            let gram = x.clone().matmul(x.transpose()).into_data();
            let gram = gram.as_slice::<f32>().unwrap();
            // The iteration lets singular values end anywhere in 0.7..1.2, so their squares in 0.45..1.5.
            let trace: f32 = (0..side).map(|i| gram[i * side + i]).sum::<f32>() / side as f32;
            assert!((0.5..1.4).contains(&trace), "{shape:?}: {trace}");
            let off = (0..side * side).filter(|i| i / side != i % side).map(|i| gram[i].abs()).sum::<f32>();
            assert!(off / ((side * side) as f32) < 0.15, "{shape:?}: {off}");
        }
        let zeros = orthogonal(Tensor::<2>::zeros([3, 5], &Device::flex()), 5);
        assert_eq!(zeros.abs().max().into_scalar::<f32>(), 0.0);
    }

    #[test]
    fn agrees_with_burns_muon() {
        let device = Device::flex();
        let burns = Burns::new()
            .with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW)
            .with_weight_decay(Some(WeightDecayConfig::new(0.1)))
            .build();
        let random = || Tensor::<2>::random([5, 9], Distribution::Normal(0.0, 1.0), &device);
        let start = random();
        let (mut ours, mut theirs) = (start.clone(), start);
        let (mut velocity, mut state) = (Tensor::<1>::zeros([45], &device), None);
        for _ in 0..4 {
            let grad = random();
            let keep = 1.0 - 0.01 * 0.1;
            (ours, velocity) = MuonConfig::default().update(0.01, keep, ours, grad.clone(), velocity);
            (theirs, state) = burns.step(0.01, theirs, grad, state);
        }
        ours.into_data().assert_approx_eq::<f32>(&theirs.into_data(), Tolerance::absolute(1e-5));
    }
}
