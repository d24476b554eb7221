//! GELU by its tanh approximation, as `x·sigmoid(2u)` with `u = √(2/π)·(x + 0.044715·x³)`.

use rayon::prelude::*;
use tokenize::simd::{fma, sigmoid};

/// 2·√(2/π)
const TWO_ROOT: f32 = 1.595_769;
/// The cubic term's coefficient.
const CUBIC: f32 = 0.044_715;
/// Elements per task.
const PART: usize = 1 << 13;

pub(super) fn forward(x: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    y.par_chunks_mut(PART).zip(x.par_chunks(PART)).for_each(|(y, x)| {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = x * sigmoid(TWO_ROOT * x * fma(CUBIC * x, x, 1.0));
        }
    });
    y
}

/// `grad·(s + x·s·(1 − s)·2u')` with `s = sigmoid(2u)`.
pub(super) fn backward(grad: &[f32], x: &[f32]) -> Vec<f32> {
    let mut dx = vec![0.0; x.len()];
    dx.par_chunks_mut(PART).zip(x.par_chunks(PART).zip(grad.par_chunks(PART))).for_each(|(dx, (x, grad))| {
        for ((dx, &x), &grad) in dx.iter_mut().zip(x).zip(grad) {
            let square = CUBIC * x * x;
            let s = sigmoid(TWO_ROOT * x * (1.0 + square));
            let slope = TWO_ROOT * fma(3.0, square, 1.0);
            *dx = grad * fma(x * s * (1.0 - s), slope, s);
        }
    });
    dx
}
