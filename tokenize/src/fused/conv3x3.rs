//! 3×3 convolution with one pixel of zero padding: forward and its two gradients.
//!
//! The input is copied once into planes with a zero border, so the inner loop has no edges. A tile
//! of 4 output channels × 16 pixels stays in registers over all input channels and taps
//! (4·16 multiply-adds per 16 loaded pixels and 4 loaded weights).

use rayon::prelude::*;
use wide::f32x8;

use crate::simd::sum;

/// Output channels per tile.
const CHANNELS: usize = 4;
/// Pixels of a row per tile.
const PIXELS: usize = 16;
/// Pixels per step of the weight gradient.
const LANES: usize = 8;

/// The kernel between one input channel and a block of output channels.
type Taps = [[f32; CHANNELS]; 9];

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
    fn stride(&self) -> usize {
        self.width.next_multiple_of(PIXELS) + 2
    }

    /// Values in a padded plane.
    fn plane(&self) -> usize {
        (self.height + 2) * self.stride()
    }

    fn area(&self) -> usize {
        self.height * self.width
    }
}

/// Planes of `x` with a border of zeros.
fn pad(shape: &Shape, x: &[f32]) -> Vec<f32> {
    let stride = shape.stride();
    let mut padded = vec![0.0; x.len() / shape.area() * shape.plane()];
    padded.par_chunks_mut(shape.plane()).zip(x.par_chunks(shape.area())).for_each(|(plane, x)| {
        for (row, x) in plane[stride..].chunks_exact_mut(stride).zip(x.chunks_exact(shape.width)) {
            row[1..=shape.width].copy_from_slice(x);
        }
    });
    padded
}

/// Weights reordered to `[output block][input channel][tap][channel of the block]`, zero-filled.
fn pack(weight: &[f32], channels_in: usize, channels_out: usize) -> Vec<Taps> {
    let mut packed = vec![[[0.0; CHANNELS]; 9]; channels_out.div_ceil(CHANNELS) * channels_in];
    for (o, row) in weight.chunks_exact(channels_in * 9).enumerate() {
        let block = &mut packed[o / CHANNELS * channels_in..][..channels_in];
        for (taps, values) in block.iter_mut().zip(row.chunks_exact(9)) {
            for (tap, value) in taps.iter_mut().zip(values) {
                tap[o % CHANNELS] = *value;
            }
        }
    }
    packed
}

/// `[b, ci, h, w]` and `[co, ci, 3, 3]` → `[b, co, h, w]`
pub(super) fn forward(shape: &Shape, x: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    let mut y = vec![0.0; shape.batch * shape.channels_out * shape.area()];
    if y.is_empty() || x.is_empty() {
        return y;
    }
    let padded = pad(shape, x);
    let packed = pack(weight, shape.channels_in, shape.channels_out);
    let image = shape.channels_in * shape.plane();
    let blocks = shape.channels_out.div_ceil(CHANNELS);
    let mut tasks: Vec<(usize, usize, &mut [f32])> = Vec::with_capacity(shape.batch * blocks);
    for (b, y) in y.chunks_exact_mut(shape.channels_out * shape.area()).enumerate() {
        tasks.extend(y.chunks_mut(CHANNELS * shape.area()).enumerate().map(|(block, y)| (b, block, y)));
    }
    tasks.into_par_iter().for_each(|(b, block, y)| {
        let weights = &packed[block * shape.channels_in..][..shape.channels_in];
        let mut start = [0.0; CHANNELS];
        if let Some(bias) = bias {
            let from = &bias[block * CHANNELS..];
            let n = from.len().min(CHANNELS);
            start[..n].copy_from_slice(&from[..n]);
        }
        forward_block(shape, &padded[b * image..][..image], weights, start, y);
    });
    y
}

/// All pixels of up to [`CHANNELS`] output channels of one picture.
fn forward_block(shape: &Shape, padded: &[f32], weights: &[Taps], start: [f32; CHANNELS], y: &mut [f32]) {
    let (stride, area) = (shape.stride(), shape.area());
    for row in 0..shape.height {
        for x0 in (0..shape.width).step_by(PIXELS) {
            let tile = forward_tile(shape, &padded[row * stride + x0..], weights, start);
            let n = PIXELS.min(shape.width - x0);
            for (plane, values) in y.chunks_exact_mut(area).zip(&tile) {
                plane[row * shape.width + x0..][..n].copy_from_slice(&values[..n]);
            }
        }
    }
}

/// One register tile; `corner` starts at the tile's upper left padded pixel.
#[inline(always)]
fn forward_tile(
    shape: &Shape,
    corner: &[f32],
    weights: &[Taps],
    start: [f32; CHANNELS],
) -> [[f32; PIXELS]; CHANNELS] {
    let (stride, plane) = (shape.stride(), shape.plane());
    let mut acc = start.map(|value| [f32x8::splat(value); 2]);
    for (c, taps) in weights.iter().enumerate() {
        for ky in 0..3 {
            let Some(row) = corner[c * plane + ky * stride..].first_chunk::<{ PIXELS + 2 }>() else { break };
            for kx in 0..3 {
                let pixels = [load(row, kx), load(row, kx + LANES)];
                for (acc, tap) in acc.iter_mut().zip(&taps[ky * 3 + kx]) {
                    let tap = f32x8::splat(*tap);
                    acc[0] = pixels[0].mul_add(tap, acc[0]);
                    acc[1] = pixels[1].mul_add(tap, acc[1]);
                }
            }
        }
    }
    acc.map(|[low, high]| {
        let mut values = [0.0; PIXELS];
        values[..LANES].copy_from_slice(low.as_array());
        values[LANES..].copy_from_slice(high.as_array());
        values
    })
}

/// Eight values from `at` on.
#[inline(always)]
fn load<const N: usize>(row: &[f32; N], at: usize) -> f32x8 {
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
    let mut taps = [[0.0; 9]; CHANNELS];
    for ky in 0..3 {
        let mut acc = [[f32x8::ZERO; 3]; CHANNELS];
        for b in 0..shape.batch {
            let x = &padded[(b * shape.channels_in + c) * plane..][..plane];
            let grads: [&[f32]; CHANNELS] = std::array::from_fn(|o| {
                &rows[(b * shape.channels_out + channel(o)) * grad_plane..][..grad_plane]
            });
            for y in 0..shape.height {
                let x = &x[(y + ky) * stride..][..stride];
                weight_row(x, grads.map(|plane| &plane[y * width..][..width]), &mut acc);
            }
        }
        for (taps, acc) in taps.iter_mut().zip(&acc) {
            for (kx, lanes) in acc.iter().enumerate() {
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
