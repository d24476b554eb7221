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

use crate::reason::Reason;

/// Order of the coefficients in the file (T.81, figure A.6): where each lies in a block of rows.
#[rustfmt::skip]
pub(super) const ZIGZAG: [u8; 64] = [
     0,  1,  8, 16,  9,  2,  3, 10, 17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Coefficients of a block, times the factors of [`Size::factors`].
pub(super) type Block = [f32; 64];

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
        std::array::from_fn(|i| {
            let (row, column) = (usize::from(ZIGZAG[i] / 8), usize::from(ZIGZAG[i] % 8));
            (f64::from(table[i]) * line[row] * line[column]) as f32
        })
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
            Self::One => put([[block[0]]], plane, stride),
            Self::Two => put(two(block), plane, stride),
            Self::Four => put(four(block), plane, stride),
            Self::Eight => put(eight(block), plane, stride),
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
fn put<const N: usize>(pixels: [[f32; N]; N], plane: &mut [u8], stride: usize) -> Result<(), Reason> {
    for (row, values) in plane.chunks_mut(stride).zip(pixels) {
        *row.first_chunk_mut().ok_or(Reason::Decode)? = values.map(to_byte);
    }
    Ok(())
}

#[inline(always)]
fn two(block: &Block) -> [[f32; 2]; 2] {
    let fold = |line: [f32; 8]| {
        let slope = line[1] + line[3] + line[5] + line[7];
        [line[0] + slope, line[0] - slope]
    };
    let mut rows = [[0.0; 8]; 2];
    for x in [0, 1, 3, 5, 7] {
        let odd = block[8 + x] + block[24 + x] + block[40 + x] + block[56 + x];
        rows[0][x] = block[x] + odd;
        rows[1][x] = block[x] - odd;
    }
    rows.map(fold)
}

/// Four points from eight folded coefficients.
#[inline(always)]
fn four_points(c: [f32; 8]) -> [f32; 4] {
    const COS: f32 = 0.923_879_5; // cos π/8
    const SIN: f32 = 0.382_683_43; // sin π/8
    let (c1, c2, c3) = (c[1] + c[7], c[2] + c[6], c[3] + c[5]);
    let (outer, inner) = (c[0] + c2, c[0] - c2);
    let (steep, flat) = (COS * c1 + SIN * c3, SIN * c1 - COS * c3);
    [outer + steep, inner + flat, inner - flat, outer - steep]
}

#[inline(always)]
fn four(block: &Block) -> [[f32; 4]; 4] {
    let mut columns = [[0.0; 8]; 4];
    for x in 0..8 {
        let column = four_points(std::array::from_fn(|y| block[8 * y + x]));
        for y in 0..4 {
            columns[y][x] = column[y];
        }
    }
    columns.map(four_points)
}

#[inline(always)]
fn eight_points(c: [f32; 8]) -> [f32; 8] {
    let (t10, t11) = (c[0] + c[4], c[0] - c[4]);
    let t13 = c[2] + c[6];
    let t12 = (c[2] - c[6]) * SQRT_2 - t13;
    let even = [t10 + t13, t11 + t12, t11 - t12, t10 - t13];
    let (z13, z10, z11, z12) = (c[5] + c[3], c[5] - c[3], c[1] + c[7], c[1] - c[7]);
    let o7 = z11 + z13;
    let z5 = (z10 + z12) * 1.847_759_1; // 2 cos π/8
    let o6 = z5 - z10 * 2.613_126 - o7; // 2 (cos π/8 + cos 3π/8)
    let o5 = (z11 - z13) * SQRT_2 - o6;
    let o4 = z5 - z12 * 1.082_392_2 - o5; // 2 (cos π/8 − cos 3π/8)
    let odd = [o7, o6, o5, o4];
    std::array::from_fn(|i| if i < 4 { even[i] + odd[i] } else { even[7 - i] - odd[7 - i] })
}

#[inline(always)]
fn eight(block: &Block) -> [[f32; 8]; 8] {
    let mut rows = [[0.0; 8]; 8];
    for x in 0..8 {
        let column = eight_points(std::array::from_fn(|y| block[8 * y + x]));
        for y in 0..8 {
            rows[y][x] = column[y];
        }
    }
    rows.map(eight_points)
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
                    let (v, u) = (usize::from(ZIGZAG[i] / 8), usize::from(ZIGZAG[i] % 8));
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
                let mut block = [0.0; 64];
                for i in 0..64 {
                    block[usize::from(ZIGZAG[i])] = f32::from(all[i]) * factors[i];
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
