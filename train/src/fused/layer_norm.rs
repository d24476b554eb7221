//! Layer norm over rows, forward and backward, one pass over memory each.

use rayon::prelude::*;
use tokenize::simd::{fma, sum, sum2};

/// Rows per task; a fixed number, so that sums over rows do not depend on the threads.
const ROWS: usize = 64;

/// Mean and reciprocal standard deviation of a row.
fn moments(x: &[f32], epsilon: f32) -> (f32, f32) {
    let n = x.len() as f32;
    let mean = sum(x, |v| v) / n;
    let variance = sum(x, |v| (v - mean) * (v - mean)) / n;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

/// `(x − mean)/σ·weight + bias` for every row of `weight.len()` values.
pub(super) fn forward(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32) -> Vec<f32> {
    let d = weight.len();
    let mut y = vec![0.0; x.len()];
    y.par_chunks_mut(ROWS * d).zip(x.par_chunks(ROWS * d)).for_each(|(y, x)| {
        for (y, x) in y.chunks_exact_mut(d).zip(x.chunks_exact(d)) {
            let (mean, scale) = moments(x, epsilon);
            for (((y, &x), &w), &b) in y.iter_mut().zip(x).zip(weight).zip(bias) {
                *y = fma((x - mean) * scale, w, b);
            }
        }
    });
    y
}

/// Gradients of input, weight and bias.
pub(super) fn backward(
    grad: &[f32],
    x: &[f32],
    weight: &[f32],
    epsilon: f32,
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let d = weight.len();
    let mut dx = vec![0.0; x.len()];
    let parts: Vec<(Vec<f32>, Vec<f32>)> = dx
        .par_chunks_mut(ROWS * d)
        .zip(x.par_chunks(ROWS * d).zip(grad.par_chunks(ROWS * d)))
        .map(|(dx, (x, grad))| {
            let (mut dw, mut db) = (vec![0.0; d], vec![0.0; d]);
            for ((dx, x), grad) in dx.chunks_exact_mut(d).zip(x.chunks_exact(d)).zip(grad.chunks_exact(d)) {
                backward_row((x, grad), (weight, epsilon), dx, (&mut dw, &mut db));
            }
            (dw, db)
        })
        .collect();
    let (mut dw, mut db) = (vec![0.0; d], vec![0.0; d]);
    for (w, b) in parts {
        dw.iter_mut().zip(w).for_each(|(sum, part)| *sum += part);
        db.iter_mut().zip(b).for_each(|(sum, part)| *sum += part);
    }
    (dx, dw, db)
}

fn backward_row(
    (x, grad): (&[f32], &[f32]),
    (weight, epsilon): (&[f32], f32),
    dx: &mut [f32],
    (dw, db): (&mut [f32], &mut [f32]),
) {
    let (mean, scale) = moments(x, epsilon);
    for ((((dx, dw), db), (&x, &g)), &w) in dx.iter_mut().zip(dw).zip(db).zip(x.iter().zip(grad)).zip(weight)
    {
        *dx = g * w;
        *dw += g * (x - mean) * scale;
        *db += g;
    }
    let n = x.len() as f32;
    let mean_d = sum(dx, |d| d) / n;
    let mean_dx = sum2(dx, x, |d, x| d * (x - mean)) * scale / n;
    for (dx, &x) in dx.iter_mut().zip(x) {
        *dx = scale * (*dx - mean_d - (x - mean) * scale * mean_dx);
    }
}
