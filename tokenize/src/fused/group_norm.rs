//! Group normalisation with optional swish, forward and backward, one pass per group.

use rayon::prelude::*;

use crate::simd::{fma, sigmoid, sum, sum2};

/// Sizes and constants of one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) batch: usize,
    pub(super) channels: usize,
    pub(super) groups: usize,
    /// Height × width.
    pub(super) area: usize,
    pub(super) epsilon: f32,
    pub(super) swish: bool,
}

impl Shape {
    fn channels_per_group(&self) -> usize {
        self.channels / self.groups
    }

    /// Values in one group of one picture.
    fn group_len(&self) -> usize {
        self.channels_per_group() * self.area
    }
}

/// Gradients of one call.
pub(super) struct Gradient {
    pub(super) input: Vec<f32>,
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

/// Mean and reciprocal standard deviation (two passes: the naive form cancels).
fn moments(x: &[f32], epsilon: f32) -> (f32, f32) {
    let n = x.len() as f32;
    let mean = sum(x, |v| v) / n;
    let variance = sum(x, |v| (v - mean) * (v - mean)) / n;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

/// `y = norm(x)·weight + bias`, then `y·sigmoid(y)` if asked.
pub(super) fn forward(shape: &Shape, x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    if y.is_empty() {
        return y;
    }
    y.par_chunks_mut(shape.group_len()).zip(x.par_chunks(shape.group_len())).enumerate().for_each(
        |(index, (y, x))| {
            let (mean, scale) = moments(x, shape.epsilon);
            let first = index % shape.groups * shape.channels_per_group();
            for (i, (y, x)) in y.chunks_exact_mut(shape.area).zip(x.chunks_exact(shape.area)).enumerate() {
                let gain = scale * weight[first + i];
                let offset = bias[first + i] - mean * gain;
                if shape.swish {
                    for (y, x) in y.iter_mut().zip(x) {
                        let v = fma(*x, gain, offset);
                        *y = v * sigmoid(v);
                    }
                } else {
                    for (y, x) in y.iter_mut().zip(x) {
                        *y = fma(*x, gain, offset);
                    }
                }
            }
        },
    );
    y
}

/// Gradients of [`forward`]; statistics are computed again rather than kept.
pub(super) fn backward(shape: &Shape, grad: &[f32], x: &[f32], weight: &[f32], bias: &[f32]) -> Gradient {
    let mut input = vec![0.0; x.len()];
    let mut weight_parts = vec![0.0; shape.batch * shape.channels];
    let mut bias_parts = vec![0.0; shape.batch * shape.channels];
    if !x.is_empty() {
        let (len, per) = (shape.group_len(), shape.channels_per_group());
        input
            .par_chunks_mut(len)
            .zip(weight_parts.par_chunks_mut(per))
            .zip(bias_parts.par_chunks_mut(per))
            .zip(x.par_chunks(len).zip(grad.par_chunks(len)))
            .enumerate()
            .for_each(|(index, (((input, dw), db), (x, grad)))| {
                let first = index % shape.groups * per;
                let affine = (&weight[first..first + per], &bias[first..first + per]);
                backward_group(shape, affine, (x, grad), input, (dw, db));
            });
    }
    let over_batch = |parts: &[f32]| {
        (0..shape.channels).map(|c| parts.iter().skip(c).step_by(shape.channels).sum()).collect()
    };
    Gradient { input, weight: over_batch(&weight_parts), bias: over_batch(&bias_parts) }
}

/// One group: first the gradient before the affine part, then the correction by its two means.
fn backward_group(
    shape: &Shape,
    (weight, bias): (&[f32], &[f32]),
    (x, grad): (&[f32], &[f32]),
    input: &mut [f32],
    (dw, db): (&mut [f32], &mut [f32]),
) {
    let (mean, scale) = moments(x, shape.epsilon);
    let (mut mean_d, mut mean_dx) = (0.0f32, 0.0f32);
    for i in 0..weight.len() {
        let range = i * shape.area..(i + 1) * shape.area;
        let (input, x, grad) = (&mut input[range.clone()], &x[range.clone()], &grad[range]);
        for ((d, x), g) in input.iter_mut().zip(x).zip(grad) {
            let normed = (x - mean) * scale;
            let y = fma(normed, weight[i], bias[i]);
            *d = if shape.swish {
                let s = sigmoid(y);
                g * s * (y * (1.0 - s) + 1.0)
            } else {
                *g
            };
        }
        db[i] = sum(input, |d| d);
        dw[i] = sum2(input, x, |d, x| d * (x - mean)) * scale;
        mean_d += db[i] * weight[i];
        mean_dx += dw[i] * weight[i];
    }
    let n = x.len() as f32;
    let (mean_d, mean_dx) = (mean_d / n, mean_dx / n);
    for (i, gain) in weight.iter().enumerate() {
        let range = i * shape.area..(i + 1) * shape.area;
        for (d, x) in input[range.clone()].iter_mut().zip(&x[range]) {
            let normed = (x - mean) * scale;
            *d = scale * (*d * gain - mean_d - normed * mean_dx);
        }
    }
}
