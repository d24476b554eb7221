//! 3×3 convolution with one pixel of padding by Winograd's minimal filtering.
//!
//! F(2×2, 3×3) of Lavin and Gray 2016 (arXiv:1509.09308, section 4.1): four output pixels cost 16 products per pair of
//! channels instead of 36. Its transforms only add, subtract and halve, so it is as exact as the plain sum; the larger
//! tiles of that paper are faster, but their rounding errors change codes.

use wide::f32x8;

use super::product::LANES;
use super::strips::{Plane, Scheme, every_second};

/// Eight tiles of 2×2 output pixels per strip.
pub(super) struct Winograd;

/// Both transforms of the input are this in either direction (`Bᵀ`).
#[inline(always)]
fn differences(d: [f32x8; 4]) -> [f32x8; 4] {
    [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]
}

/// The same for the kernel (`G`).
fn halves([a, b, c]: [f32; 3]) -> [f32; 4] {
    [a, 0.5 * (a + b + c), 0.5 * (a - b + c), c]
}

impl Scheme for Winograd {
    const PRODUCTS: usize = 16;
    const SHARED: usize = 1;
    const TAPS: usize = 9;
    const HEIGHT: usize = 2;
    const WIDTH: usize = 2 * LANES;

    #[inline(always)]
    fn kernel(taps: &[f32], mut put: impl FnMut(usize, usize, f32)) {
        let rows: [[f32; 4]; 3] =
            std::array::from_fn(|y| halves([taps[3 * y], taps[3 * y + 1], taps[3 * y + 2]]));
        let columns: [[f32; 4]; 4] = std::array::from_fn(|x| halves(std::array::from_fn(|y| rows[y][x])));
        for (x, column) in columns.into_iter().enumerate() {
            for (y, value) in column.into_iter().enumerate() {
                put(4 * y + x, 0, value);
            }
        }
    }

    #[inline(always)]
    fn gather(plane: &Plane<'_>, y: usize, x: usize, mut put: impl FnMut(usize, usize, f32x8)) {
        let rows: [[f32x8; 4]; 4] = std::array::from_fn(|row| {
            let window = plane.window::<1>(y + row, x);
            std::array::from_fn(|column| every_second(&window, column))
        });
        let columns: [[f32x8; 4]; 4] =
            std::array::from_fn(|column| differences(std::array::from_fn(|row| rows[row][column])));
        let tile: [[f32x8; 4]; 4] =
            std::array::from_fn(|row| differences(std::array::from_fn(|column| columns[column][row])));
        for (row, values) in tile.into_iter().enumerate() {
            for (column, value) in values.into_iter().enumerate() {
                put(4 * row + column, 0, value);
            }
        }
    }

    #[inline(always)]
    fn scatter(result: impl Fn(usize) -> f32x8, bias: f32, rows: &mut [f32], width: usize, x: usize) {
        let bias = f32x8::splat(bias);
        let m: [f32x8; 16] = std::array::from_fn(result);
        let upper: [f32x8; 4] = std::array::from_fn(|c| m[c] + m[4 + c] + m[8 + c]);
        let lower: [f32x8; 4] = std::array::from_fn(|c| m[4 + c] - m[8 + c] - m[12 + c]);
        for (row, sums) in rows.chunks_exact_mut(width).zip([upper, lower]) {
            let (even, odd) = (sums[0] + sums[1] + sums[2] + bias, sums[1] - sums[2] - sums[3] + bias);
            let (even, odd) = (even.as_array(), odd.as_array());
            let pixels: [f32; 2 * LANES] =
                std::array::from_fn(|i| if i % 2 == 0 { even[i / 2] } else { odd[i / 2] });
            match row[x..].first_chunk_mut() {
                Some(whole) => *whole = pixels,
                None => row[x..].copy_from_slice(&pixels[..width - x]),
            }
        }
    }
}
