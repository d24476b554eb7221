//! The inverse cosine transform of a block, whole or at half, a quarter or an eighth of the size.
//!
//! A reduced block is the mean over the pixels that each of its pixels stands for, not a cut spectrum: by
//! cos a + cos b = 2 cos((a − b)/2) cos((a + b)/2) the mean of two neighbours of the 8-point transform is a 4-point
//! transform in which coefficient 8 − u is folded onto u, and so on. So the area filter, run on a reduced picture, gives
//! what it gives on the whole one. The factors of a fold are part of the quantisation table.
//!
//! Whole blocks go through the scaled transform of Arai, Agui and Nakajima (1988), as in libjpeg's `jidctflt.c`.

use std::f32::consts::SQRT_2;
use std::f64::consts::PI;
use std::ops::{Add, Mul, Sub};

use crate::reason::Reason;

/// Order of the coefficients in the file (T.81, figure A.6): where each lies in a block of columns.
#[rustfmt::skip]
pub(super) const ZIGZAG: [u8; 64] = [
     0,  8,  1,  2,  9, 16, 24, 17, 10,  3,  4, 11, 18, 25, 32, 40,
    33, 26, 19, 12,  5,  6, 13, 20, 27, 34, 41, 48, 56, 49, 42, 35,
    28, 21, 14,  7, 15, 22, 29, 36, 43, 50, 57, 58, 51, 44, 37, 30,
    23, 31, 38, 45, 52, 59, 60, 53, 46, 39, 47, 54, 61, 62, 55, 63,
];

/// Coefficients of a block, column by column, times the factors of [`Size::factors`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(align(64))]
pub(super) struct Block(pub(super) [f32; 64]);

impl Default for Block {
    fn default() -> Self {
        Self([0.0; 64])
    }
}

/// Pixels per side that a block becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Size {
    /// An eighth.
    One = 1,
    /// A quarter.
    Two = 2,
    /// Half.
    Four = 4,
    /// Whole.
    Eight = 8,
}

impl Size {
    /// The largest size of at most `pixels` per side.
    pub(super) fn at_most(pixels: usize) -> Self {
        match pixels {
            0 | 1 => Self::One,
            2 | 3 => Self::Two,
            4..=7 => Self::Four,
            _ => Self::Eight,
        }
    }

    pub(super) fn pixels(self) -> usize {
        self as usize
    }

    /// What to multiply each coefficient with, in the order of the file.
    pub(super) fn factors(self, table: &[u16; 64]) -> Block {
        let line = self.line();
        let factor = |i: usize| {
            let (column, row) = (usize::from(ZIGZAG[i] / 8), usize::from(ZIGZAG[i] % 8));
            (f64::from(table[i]) * line[row] * line[column]) as f32
        };
        Block(std::array::from_fn(factor))
    }

    /// The factors of one axis.
    fn line(self) -> [f64; 8] {
        let cos = |n: f64| (n * PI / 16.0).cos();
        let mean = 8_f64.sqrt().recip();
        let half = 2_f64.sqrt() / 4.0;
        match self {
            Self::One => [mean, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            Self::Two => {
                let (a, b) = (cos(2.0) * half, cos(6.0) * half);
                [mean, a * cos(1.0), 0.0, -b * cos(3.0), 0.0, b * cos(5.0), 0.0, -a * cos(7.0)]
            }
            Self::Four => {
                let (a, b, c) = (cos(1.0) / 2.0, cos(2.0) * half, cos(3.0) / 2.0);
                [mean, a, b, c, 0.0, -cos(5.0) / 2.0, -cos(6.0) * half, -cos(7.0) / 2.0]
            }
            Self::Eight => std::array::from_fn(|u| if u == 0 { mean } else { cos(u as f64) / 2.0 }),
        }
    }

    /// Writes the block's pixels to the beginning of `plane`, whose rows are `stride` apart.
    ///
    /// # Errors
    /// [`Reason::Decode`] if they do not fit.
    pub(super) fn transform(self, block: &Block, plane: &mut [u8], stride: usize) -> Result<(), Reason> {
        match self {
            Self::One => put([Lanes([block.0[0]])], plane, stride),
            Self::Two => put(two_points(rows(two_points(columns(block)))), plane, stride),
            Self::Four => put(four_points(rows(four_points(columns(block)))), plane, stride),
            Self::Eight => put(eight_points(rows(eight_points(columns(block)))), plane, stride),
        }
    }

    /// The same for a block whose first coefficient alone is not 0.
    pub(super) fn fill(self, first: f32, plane: &mut [u8], stride: usize) -> Result<(), Reason> {
        let n = self.pixels();
        let pixel = to_byte(first);
        for row in plane.chunks_mut(stride).take(n) {
            row.get_mut(..n).ok_or(Reason::Decode)?.fill(pixel);
        }
        Ok(())
    }
}

/// Adds the level shift (T.81, A.3.1), rounds and clamps. The sum's lowest byte holds the number, as no number of this
/// size has a place for fractions.
#[inline(always)]
fn to_byte(value: f32) -> u8 {
    const NO_FRACTION: f32 = 12_582_912.0;
    ((value + 128.0).clamp(0.0, 255.0) + NO_FRACTION).to_bits() as u8
}

#[inline(always)]
fn put<const N: usize>(pixels: [Lanes<N>; N], plane: &mut [u8], stride: usize) -> Result<(), Reason> {
    // All at once, so that whole registers are converted.
    let mut bytes = [[0; N]; N];
    let values = pixels.map(|row| row.0);
    bytes
        .as_flattened_mut()
        .iter_mut()
        .zip(values.as_flattened())
        .for_each(|(byte, value)| *byte = to_byte(*value));
    for (row, values) in plane.chunks_mut(stride).zip(bytes) {
        *row.first_chunk_mut().ok_or(Reason::Decode)? = values;
    }
    Ok(())
}

/// Numbers side by side, which the compiler puts into vector registers.
#[derive(Clone, Copy, Debug)]
struct Lanes<const N: usize>([f32; N]);

impl<const N: usize> Add for Lanes<N> {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }
}

impl<const N: usize> Sub for Lanes<N> {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] - other.0[i]))
    }
}

impl<const N: usize> Mul<f32> for Lanes<N> {
    type Output = Self;

    #[inline(always)]
    fn mul(self, factor: f32) -> Self {
        Self(self.0.map(|value| value * factor))
    }
}

/// The columns of a block, each with its eight rows side by side.
#[inline(always)]
fn columns(block: &Block) -> [Lanes<8>; 8] {
    std::array::from_fn(|u| Lanes(std::array::from_fn(|v| block.0[8 * u + v])))
}

#[inline(always)]
fn rows<const N: usize>(columns: [Lanes<8>; N]) -> [Lanes<N>; 8] {
    std::array::from_fn(|v| Lanes(std::array::from_fn(|x| columns[x].0[v])))
}

#[inline(always)]
fn two_points<const L: usize>(c: [Lanes<L>; 8]) -> [Lanes<L>; 2] {
    let slope = (c[1] + c[3]) + (c[5] + c[7]);
    [c[0] + slope, c[0] - slope]
}

/// Four points from eight folded coefficients.
#[inline(always)]
fn four_points<const L: usize>(c: [Lanes<L>; 8]) -> [Lanes<L>; 4] {
    const COS: f32 = 0.923_879_5; // cos π/8
    const SIN: f32 = 0.382_683_43; // sin π/8
    let (c1, c2, c3) = (c[1] + c[7], c[2] + c[6], c[3] + c[5]);
    let (outer, inner) = (c[0] + c2, c[0] - c2);
    let (steep, flat) = (c1 * COS + c3 * SIN, c1 * SIN - c3 * COS);
    [outer + steep, inner + flat, inner - flat, outer - steep]
}

#[inline(always)]
fn eight_points<const L: usize>(c: [Lanes<L>; 8]) -> [Lanes<L>; 8] {
    let (t10, t11) = (c[0] + c[4], c[0] - c[4]);
    let t13 = c[2] + c[6];
    let t12 = (c[2] - c[6]) * SQRT_2 - t13;
    let [e0, e1, e2, e3] = [t10 + t13, t11 + t12, t11 - t12, t10 - t13];
    let (z13, z10, z11, z12) = (c[5] + c[3], c[5] - c[3], c[1] + c[7], c[1] - c[7]);
    let o7 = z11 + z13;
    let z5 = (z10 + z12) * 1.847_759_1; // 2 cos π/8
    let o6 = z5 - z10 * 2.613_126 - o7; // 2 (cos π/8 + cos 3π/8)
    let o5 = (z11 - z13) * SQRT_2 - o6;
    let o4 = z5 - z12 * 1.082_392_2 - o5; // 2 (cos π/8 − cos 3π/8)
    [e0 + o7, e1 + o6, e2 + o5, e3 + o4, e3 - o4, e2 - o5, e1 - o6, e0 - o7]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition (T.81, A.3.3).
    fn reference(coefficients: &[i16; 64]) -> [[f64; 8]; 8] {
        let norm = |u: usize| if u == 0 { 0.5_f64.sqrt() } else { 1.0 };
        let basis = |x: usize, u: usize| norm(u) / 2.0 * ((2 * x + 1) as f64 * u as f64 * PI / 16.0).cos();
        std::array::from_fn(|y| {
            std::array::from_fn(|x| {
                let terms = (0..64).map(|i| {
                    let (u, v) = (usize::from(ZIGZAG[i] / 8), usize::from(ZIGZAG[i] % 8));
                    f64::from(coefficients[i]) * basis(x, u) * basis(y, v)
                });
                terms.sum::<f64>()
            })
        })
    }

    proptest::proptest! {
        /// Every size is the mean of the pixels that the definition gives.
        #[test]
        fn a_reduced_block_is_the_mean_of_the_whole(
            coefficients in proptest::array::uniform32(-60_i16..60),
            first in -700_i16..700,
        ) {
            let all: [i16; 64] = std::array::from_fn(|i| if i == 0 { first } else { coefficients[i * 7 % 32] });
            let expected = reference(&all);
            for size in [Size::One, Size::Two, Size::Four, Size::Eight] {
                let (n, step) = (size.pixels(), 8 / size.pixels());
                let factors = size.factors(&[1; 64]);
                let mut block = Block::default();
                for i in 0..64 {
                    block.0[usize::from(ZIGZAG[i])] = f32::from(all[i]) * factors.0[i];
                }
                let mut plane = [0; 64];
                size.transform(&block, &mut plane, 8).unwrap();
                for (y, x) in (0..n).flat_map(|y| (0..n).map(move |x| (y, x))) {
                    let rows = expected[y * step..(y + 1) * step].iter();
                    let sum: f64 = rows.flat_map(|row| &row[x * step..(x + 1) * step]).sum();
                    let mean = (sum / (step * step) as f64 + 128.0).clamp(0.0, 255.0);
                    proptest::prop_assert!((f64::from(plane[8 * y + x]) - mean).abs() < 0.51, "{size:?} {x} {y}");
                }
            }
        }
    }

    #[test]
    fn a_block_without_detail_is_filled() {
        let mut plane = [9; 32];
        Size::Two.fill(-28.0, &mut plane, 16).unwrap();
        assert_eq!((plane[..3].to_vec(), plane[16..19].to_vec()), (vec![100, 100, 9], vec![100, 100, 9]));
        Size::Two.fill(-500.0, &mut plane, 16).unwrap();
        assert_eq!(plane[0], 0);
        assert_eq!(Size::Four.fill(0.0, &mut plane, 3), Err(Reason::Decode));
    }
}
