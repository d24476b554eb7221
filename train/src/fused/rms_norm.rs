//! RMS norm over rows, forward and backward, one pass over memory each.

use rayon::prelude::*;
use tokenize::simd::{sum, sum2};

/// Rows per task; a fixed number, so that sums over rows do not depend on the threads.
const ROWS: usize = 64;

/// The reciprocal of a row's root mean square.
fn scale_of(x: &[f32], epsilon: f32) -> f32 {
    1.0 / (sum(x, |v| v * v) / x.len() as f32 + epsilon).sqrt()
}

/// `x/rms·weight` for every row of `weight.len()` values.
pub(super) fn forward(x: &[f32], weight: &[f32], epsilon: f32) -> Vec<f32> {
    let d = weight.len();
    let mut y = vec![0.0; x.len()];
    y.par_chunks_mut(ROWS * d).zip(x.par_chunks(ROWS * d)).for_each(|(y, x)| {
        for (y, x) in y.chunks_exact_mut(d).zip(x.chunks_exact(d)) {
            let scale = scale_of(x, epsilon);
            y.iter_mut().zip(x).zip(weight).for_each(|((y, &x), &w)| *y = x * scale * w);
        }
    });
    y
}

/// Gradients of input and weight.
pub(super) fn backward(grad: &[f32], x: &[f32], weight: &[f32], epsilon: f32) -> (Vec<f32>, Vec<f32>) {
    let d = weight.len();
    let mut dx = vec![0.0; x.len()];
    let parts: Vec<Vec<f32>> = dx
        .par_chunks_mut(ROWS * d)
        .zip(x.par_chunks(ROWS * d).zip(grad.par_chunks(ROWS * d)))
        .map(|(dx, (x, grad))| {
            let mut dw = vec![0.0; d];
            for ((dx, x), grad) in dx.chunks_exact_mut(d).zip(x.chunks_exact(d)).zip(grad.chunks_exact(d)) {
                backward_row((x, grad), (weight, epsilon), dx, &mut dw);
            }
            dw
        })
        .collect();
    let mut dw = vec![0.0; d];
    for part in parts {
        dw.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    (dx, dw)
}

fn backward_row(
    (x, grad): (&[f32], &[f32]),
    (weight, epsilon): (&[f32], f32),
    dx: &mut [f32],
    dw: &mut [f32],
) {
    let scale = scale_of(x, epsilon);
    for (((dx, dw), (&x, &g)), &w) in dx.iter_mut().zip(dw).zip(x.iter().zip(grad)).zip(weight) {
        *dx = g * w;
        *dw += g * x * scale;
    }
    let along = sum2(dx, x, |d, x| d * x) * scale * scale / x.len() as f32;
    for (dx, &x) in dx.iter_mut().zip(x) {
        *dx = scale * (*dx - x * along);
    }
}
