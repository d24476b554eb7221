//! GELU by its approximations, as `x·sigmoid(v)` with `v = slope·x·(1 + cubic·x²)`.

use rayon::prelude::*;
use tokenize::simd::{fma, sigmoid};

/// Which approximation (Hendrycks and Gimpel 2016, section 2 has both).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gelu {
    /// `0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³)))`, which is `x·sigmoid` of twice the argument.
    Tanh,
    /// `x·sigmoid(1.702 x)`
    Quick,
}

impl Gelu {
    /// `(slope, cubic)`; the first slope is `2·√(2/π)`.
    const fn factors(self) -> (f32, f32) {
        match self {
            Self::Tanh => (1.595_769, 0.044_715),
            Self::Quick => (1.702, 0.0),
        }
    }
}

/// Elements per task.
const PART: usize = 1 << 13;

pub(super) fn forward(x: &[f32], form: Gelu) -> Vec<f32> {
    let (slope, cubic) = form.factors();
    let mut y = vec![0.0; x.len()];
    y.par_chunks_mut(PART).zip(x.par_chunks(PART)).for_each(|(y, x)| {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = x * sigmoid(slope * x * fma(cubic * x, x, 1.0));
        }
    });
    y
}

/// `grad·(s + x·s·(1 − s)·v')` with `s = sigmoid(v)`.
pub(super) fn backward(grad: &[f32], x: &[f32], form: Gelu) -> Vec<f32> {
    let (slope, cubic) = form.factors();
    let mut dx = vec![0.0; x.len()];
    dx.par_chunks_mut(PART).zip(x.par_chunks(PART).zip(grad.par_chunks(PART))).for_each(|(dx, (x, grad))| {
        for ((dx, &x), &grad) in dx.iter_mut().zip(x).zip(grad) {
            let square = cubic * x * x;
            let s = sigmoid(slope * x * (1.0 + square));
            *dx = grad * fma(x * s * (1.0 - s), slope * fma(3.0, square, 1.0), s);
        }
    });
    dx
}
