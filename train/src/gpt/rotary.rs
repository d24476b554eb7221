//! Rotary positions (Su et al. 2021) as DALLE-pytorch has them: a third of each head for the place in the text, a third
//! for the row, a third for the column.
//!
//! Source: `dalle_pytorch/transformer.py` with `rotary_embedding_torch`. An image stands at place 8192 of the text, a
//! text at row and column -10 of the image, whose own rows and columns reach from -1 to 1. Queries, keys and values are
//! all turned. The published buffer `transformer.pos_emb` has a closed form, so no checkpoint's needs to be read.

use std::f32::consts::PI;

use burn::tensor::{Device, Tensor, TensorData};

use super::segments::Segments;

/// Where images stand in the text.
const IMAGE_PLACE: f32 = 8192.0;
/// Where texts stand in the image.
const TEXT_PLACE: f32 = -10.0;
/// Half of the highest frequency of rows and columns, in turns of π.
const HIGHEST: f32 = 5.0;

/// Cosines and sines of every position's angles.
#[derive(Clone, Debug)]
pub(super) struct Rotary {
    /// `[positions, angles]`
    cos: Tensor<2>,
    sin: Tensor<2>,
}

impl Rotary {
    /// The angles of a whole sequence for heads of `head_dim` channels.
    pub(super) fn new(segments: Segments, head_dim: usize, device: &Device) -> Self {
        let angles = angles(segments, head_dim / 3);
        let shape = [angles.len(), angles.first().map_or(0, Vec::len)];
        let table = |of: fn(f64) -> f64| {
            let values = angles.iter().flatten().map(|&angle| of(f64::from(angle)) as f32);
            Tensor::from_data(TensorData::new(values.collect::<Vec<f32>>(), shape), device)
        };
        Self { cos: table(f64::cos), sin: table(f64::sin) }
    }

    /// Turns the first channels of each head, pair by pair; `from` positions came before: `[b, t, heads, head_dim]`.
    pub(super) fn turn(&self, x: Tensor<4>, from: usize) -> Tensor<4> {
        let [b, t, heads, head_dim] = x.dims();
        let pairs = self.cos.dims()[1];
        let of = |table: &Tensor<2>| {
            table.clone().to_device(&x.device()).narrow(0, from, t).reshape([1, t, 1, pairs, 1])
        };
        let (cos, sin) = (of(&self.cos), of(&self.sin));
        let split = x.clone().narrow(3, 0, 2 * pairs).reshape([b, t, heads, pairs, 2]);
        let (even, odd) = (split.clone().narrow(4, 0, 1), split.narrow(4, 1, 1));
        let turned: Tensor<5> = Tensor::cat(
            vec![even.clone() * cos.clone() - odd.clone() * sin.clone(), odd * cos + even * sin],
            4,
        );
        let turned = turned.reshape([b, t, heads, 2 * pairs]);
        match head_dim - 2 * pairs {
            0 => turned,
            rest => Tensor::cat(vec![turned, x.narrow(3, 2 * pairs, rest)], 3),
        }
    }
}

/// The angles of every position. Each step is rounded to f32 as the reference rounds it: at place 8192 the last bit of a
/// frequency turns a channel by up to 5e-4.
fn angles(segments: Segments, third: usize) -> Vec<Vec<f32>> {
    let pairs = third / 2;
    let power = |i: usize| f64::from((2 * i) as f32 / third as f32);
    let text = (0..pairs).map(|i| 1.0 / 10_000f64.powf(power(i)) as f32).collect::<Vec<_>>();
    let pixel = (0..pairs).map(|i| between(1.0, HIGHEST, i, pairs) * PI).collect::<Vec<_>>();
    let position = |place: f32, row: f32, col: f32| {
        let at = |place: f32, frequencies: &[f32]| frequencies.iter().map(|f| place * f).collect::<Vec<_>>();
        [at(place, &text), at(row, &pixel), at(col, &pixel)].concat()
    };
    let side = |i: usize| between(-1.0, 1.0, i, segments.grid);
    let words = (0..segments.left).map(|place| position(place as f32, TEXT_PLACE, TEXT_PLACE));
    let codes = (0..segments.image()).map(|i| (i / segments.grid, i % segments.grid));
    words.chain(codes.map(|(row, col)| position(IMAGE_PLACE, side(row), side(col)))).collect()
}

/// Number `i` of `n` evenly spaced ones, counted from the nearer end, as `torch.linspace` does.
fn between(from: f32, to: f32, i: usize, n: usize) -> f32 {
    if n < 2 {
        return from;
    }
    let step = (to - from) / (n - 1) as f32;
    if i < n / 2 { from + step * i as f32 } else { to - step * (n - 1 - i) as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Distribution;

    #[test]
    fn turning_keeps_lengths_and_needs_no_earlier_positions() {
        let device = Device::flex();
        let rotary = Rotary::new(Segments { left: 5, grid: 3, right: 0 }, 22, &device);
        let x = Tensor::<4>::random([2, 14, 3, 22], Distribution::Default, &device);
        let whole = rotary.turn(x.clone(), 0);
        let lengths = |x: Tensor<4>| x.square().sum_dim(3);
        let apart = (lengths(whole.clone()) - lengths(x.clone())).abs().max().into_scalar::<f32>();
        assert!(apart < 1e-4, "{apart}");
        let later = rotary.turn(x.narrow(1, 6, 8), 6);
        assert_eq!((later - whole.narrow(1, 6, 8)).abs().max().into_scalar::<f32>(), 0.0);
    }

    #[test]
    fn text_and_image_have_their_places() {
        let found = angles(Segments { left: 2, grid: 2, right: 0 }, 5);
        let (text, pixel) = ([1.0, 10_000f32.powf(-0.4)], [PI, 5.0 * PI]);
        let position = |place: f32, row: f32, col: f32| {
            [text.map(|f| place * f), pixel.map(|f| row * f), pixel.map(|f| col * f)].concat()
        };
        let expected = [
            position(0.0, -10.0, -10.0),
            position(1.0, -10.0, -10.0),
            position(8192.0, -1.0, -1.0),
            position(8192.0, -1.0, 1.0),
            position(8192.0, 1.0, -1.0),
            position(8192.0, 1.0, 1.0),
        ];
        for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
            assert!((found - expected).abs() < 1e-3, "{found} {expected}");
        }
    }
}
