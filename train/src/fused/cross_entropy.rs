//! Cross-entropy of rows of logits, without storing their softmax.

use rayon::prelude::*;
use tokenize::simd::{exp, max, sum};

/// Log of the sum of exponentials.
fn log_sum_exp(row: &[f32]) -> f32 {
    let top = max(row);
    top + sum(row, |v| exp(v - top)).ln()
}

/// `log Σ e^logits − logits[target]` per row of `width` logits; a target outside gives NaN.
pub(super) fn forward(logits: &[f32], targets: &[usize], width: usize) -> Vec<f32> {
    let nll =
        |(row, &target): (&[f32], &usize)| row.get(target).map_or(f32::NAN, |logit| log_sum_exp(row) - logit);
    logits.par_chunks(width).zip(targets.par_iter()).map(nll).collect()
}

/// `grad·(softmax − one-hot)` per row.
pub(super) fn backward(grad: &[f32], logits: &[f32], targets: &[usize], width: usize) -> Vec<f32> {
    let mut dx = vec![0.0; logits.len()];
    dx.par_chunks_mut(width)
        .zip(logits.par_chunks(width).zip(targets.par_iter().zip(grad.par_iter())))
        .for_each(|(dx, (row, (&target, &grad)))| {
            if grad == 0.0 {
                return;
            }
            let total = log_sum_exp(row);
            for (dx, &logit) in dx.iter_mut().zip(row) {
                *dx = grad * exp(logit - total);
            }
            if let Some(dx) = dx.get_mut(target) {
                *dx -= grad;
            }
        });
    dx
}
