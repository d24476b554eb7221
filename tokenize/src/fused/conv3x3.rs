//! 3×3 convolution with one pixel of zero padding: forward and its two gradients.

use rayon::prelude::*;
use wide::f32x8;

use super::direct;
use super::strips::{self, Size};
use super::winograd::Winograd;
use crate::simd::sum;

/// Output channels per tile.
pub(super) const CHANNELS: usize = 4;
/// Pixels of a row per tile.
pub(super) const PIXELS: usize = 16;
/// Pixels per step of the weight gradient.
pub(super) const LANES: usize = 8;

/// Sizes of one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) batch: usize,
    pub(super) channels_in: usize,
    pub(super) channels_out: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

impl Shape {
    /// Row length of a padded plane: whole tiles plus the two border columns.
    pub(super) fn stride(&self) -> usize {
        self.width.next_multiple_of(PIXELS) + 2
    }

    /// Values in a padded plane.
    pub(super) fn plane(&self) -> usize {
        (self.height + 2) * self.stride()
    }

    pub(super) fn area(&self) -> usize {
        self.height * self.width
    }

    /// Whether transforms pay. The batch has no say: the codes of a picture must not depend on its company.
    fn is_large(&self) -> bool {
        let strips = self.height.div_ceil(2) * self.width.div_ceil(PIXELS);
        self.channels_in.min(self.channels_out) >= 32 && strips >= 4
    }
}

/// Planes of `x` with a border of zeros.
pub(super) fn pad(shape: &Shape, x: &[f32]) -> Vec<f32> {
    let stride = shape.stride();
    let mut padded = vec![0.0; x.len() / shape.area() * shape.plane()];
    padded.par_chunks_mut(shape.plane()).zip(x.par_chunks(shape.area())).for_each(|(plane, x)| {
        for (row, x) in plane[stride..].chunks_exact_mut(stride).zip(x.chunks_exact(shape.width)) {
            row[1..=shape.width].copy_from_slice(x);
        }
    });
    padded
}

/// `[b, ci, h, w]` and `[co, ci, 3, 3]` → `[b, co, h, w]`
pub(super) fn forward(shape: &Shape, x: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    if !shape.is_large() {
        return direct::forward(shape, x, weight, bias);
    }
    let side = [shape.height, shape.width];
    let Shape { batch, channels_in, channels_out, .. } = *shape;
    strips::forward::<Winograd>(
        &Size { batch, channels_in, channels_out, from: side, to: side },
        x,
        weight,
        bias,
    )
}

/// Eight values from `at` on.
#[inline(always)]
pub(super) fn load<const N: usize>(row: &[f32; N], at: usize) -> f32x8 {
    row[at..].first_chunk::<LANES>().map_or(f32x8::ZERO, |lanes| f32x8::new(*lanes))
}

/// Gradient of the input: the same convolution with the kernel turned and its channels swapped.
pub(super) fn backward_input(shape: &Shape, grad: &[f32], weight: &[f32]) -> Vec<f32> {
    let (ci, co) = (shape.channels_in, shape.channels_out);
    let mut turned = vec![0.0; weight.len()];
    for o in 0..co {
        for i in 0..ci {
            for tap in 0..9 {
                turned[(i * co + o) * 9 + 8 - tap] = weight[(o * ci + i) * 9 + tap];
            }
        }
    }
    let swapped = Shape { channels_in: co, channels_out: ci, ..*shape };
    forward(&swapped, grad, &turned, None)
}

/// Gradient of the bias: sums over batch and space.
pub(super) fn backward_bias(shape: &Shape, grad: &[f32]) -> Vec<f32> {
    let mut bias = vec![0.0; shape.channels_out];
    if shape.area() == 0 {
        return bias;
    }
    for (i, plane) in grad.chunks_exact(shape.area()).enumerate() {
        bias[i % shape.channels_out] += sum(plane, |v| v);
    }
    bias
}

/// Gradient of the weights: `[b, co, h, w]` and `[b, ci, h, w]` → `[co, ci, 3, 3]`
///
/// Every task owns one block of output channels and one input channel and walks the pictures in
/// order, so the result does not depend on the number of threads.
pub(super) fn backward_weight(shape: &Shape, grad: &[f32], x: &[f32]) -> Vec<f32> {
    let (ci, co) = (shape.channels_in, shape.channels_out);
    let mut dw = vec![0.0; co * ci * 9];
    if x.is_empty() || grad.is_empty() {
        return dw;
    }
    let padded = pad(shape, x);
    let rows = pad_rows(shape, grad);
    let blocks = co.div_ceil(CHANNELS);
    let parts: Vec<[[f32; 9]; CHANNELS]> = (0..blocks * ci)
        .into_par_iter()
        .map(|task| weight_block(shape, &rows, &padded, task / ci * CHANNELS, task % ci))
        .collect();
    for (task, part) in parts.iter().enumerate() {
        let (first, i) = (task / ci * CHANNELS, task % ci);
        for (o, taps) in part.iter().enumerate().take(co - first) {
            dw[((first + o) * ci + i) * 9..][..9].copy_from_slice(taps);
        }
    }
    dw
}

/// Rows of `grad` filled with zeros to whole vectors.
fn pad_rows(shape: &Shape, grad: &[f32]) -> Vec<f32> {
    let width = shape.width.next_multiple_of(LANES);
    let mut rows = vec![0.0; grad.len() / shape.width * width];
    for (row, grad) in rows.chunks_exact_mut(width).zip(grad.chunks_exact(shape.width)) {
        row[..shape.width].copy_from_slice(grad);
    }
    rows
}

/// Nine taps between output channels `first..first + CHANNELS` and input channel `c`.
fn weight_block(shape: &Shape, rows: &[f32], padded: &[f32], first: usize, c: usize) -> [[f32; 9]; CHANNELS] {
    let width = shape.width.next_multiple_of(LANES);
    let (stride, plane) = (shape.stride(), shape.plane());
    let grad_plane = shape.height * width;
    // A block past the last channel repeats it; the caller drops those taps.
    let channel = |o: usize| (first + o).min(shape.channels_out - 1);
    let mut sums = [[[f32x8::ZERO; 3]; CHANNELS]; 3];
    for b in 0..shape.batch {
        let x = &padded[(b * shape.channels_in + c) * plane..][..plane];
        let grads: [&[f32]; CHANNELS] = std::array::from_fn(|o| {
            &rows[(b * shape.channels_out + channel(o)) * grad_plane..][..grad_plane]
        });
        for (ky, sums) in sums.iter_mut().enumerate() {
            for y in 0..shape.height {
                let x = &x[(y + ky) * stride..][..stride];
                weight_row(x, grads.map(|plane| &plane[y * width..][..width]), sums);
            }
        }
    }
    let mut taps = [[0.0; 9]; CHANNELS];
    for (ky, sums) in sums.iter().enumerate() {
        for (taps, sums) in taps.iter_mut().zip(sums) {
            for (kx, lanes) in sums.iter().enumerate() {
                taps[ky * 3 + kx] = lanes.as_array().iter().sum();
            }
        }
    }
    taps
}

/// One row of pixels for three neighbouring taps.
#[inline(always)]
fn weight_row(x: &[f32], grads: [&[f32]; CHANNELS], acc: &mut [[f32x8; 3]; CHANNELS]) {
    let mut local = *acc;
    for x0 in (0..grads[0].len()).step_by(LANES) {
        let Some(window) = x[x0..].first_chunk::<{ LANES + 2 }>() else { break };
        let pixels = [load(window, 0), load(window, 1), load(window, 2)];
        for (acc, grad) in local.iter_mut().zip(grads) {
            let Some(grad) = grad[x0..].first_chunk::<LANES>() else { break };
            let grad = f32x8::new(*grad);
            acc[0] = pixels[0].mul_add(grad, acc[0]);
            acc[1] = pixels[1].mul_add(grad, acc[1]);
            acc[2] = pixels[2].mul_add(grad, acc[2]);
        }
    }
    *acc = local;
}
