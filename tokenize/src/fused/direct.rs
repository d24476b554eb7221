//! 3×3 convolution with one pixel of zero padding, straight: for few channels and narrow pictures.
//!
//! The input is copied once into planes with a zero border, so the inner loop has no edges. A tile
//! of 4 output channels × 16 pixels stays in registers over all input channels and taps
//! (4·16 multiply-adds per 16 loaded pixels and 4 loaded weights).

use rayon::prelude::*;
use wide::f32x8;

use super::conv3x3::{CHANNELS, LANES, PIXELS, Shape, load, pad};

/// The kernel between one input channel and a block of output channels.
type Taps = [[f32; CHANNELS]; 9];

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
