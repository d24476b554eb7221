//! Pillow's `resize((32, 32), LANCZOS)` of a grey picture, to the last bit (`src/libImaging/Resample.c`): two passes in fixed
//! point, with 8 bits in between. Which comes first is Pillow's choice since 13.0; before, it always was the horizontal one.

use std::f64::consts::PI;

/// Bits after the point of a weight: 8 of a pixel, 22 of a weight and 2 for what overshoots fit 32 bits.
const PRECISION: u32 = 32 - 8 - 2;
/// Lobes on each side of the middle.
const LOBES: f64 = 3.0;

/// Scales `width × height` grey pixels to `side × side`.
pub(super) fn resize(grey: Vec<u8>, width: usize, height: usize, side: usize) -> Vec<u8> {
    // Pillow shrinks tall pictures vertically first: that leaves less to the other pass.
    let excess = |length: usize| length as i64 - side as i64;
    let tall = excess(height) > 0 && excess(height) > 2 * excess(width);
    if tall {
        let low = vertically(grey, width, height, side);
        return horizontally(low, width, side);
    }
    let narrow = horizontally(grey, width, side);
    vertically(narrow, side, height, side)
}

fn horizontally(grey: Vec<u8>, width: usize, side: usize) -> Vec<u8> {
    if width == side {
        return grey;
    }
    let taps = Taps::new(width, side);
    let line = |line: &[u8]| taps.each(|from, weights| mean(line[from..].iter().zip(weights)));
    grey.chunks_exact(width).flat_map(line).collect()
}

fn vertically(grey: Vec<u8>, width: usize, height: usize, side: usize) -> Vec<u8> {
    if height == side {
        return grey;
    }
    let taps = Taps::new(height, side);
    let line = |from: usize, weights: &[i32]| -> Vec<u8> {
        let column = |x| grey[width * from + x..].iter().step_by(width);
        (0..width).map(|x| mean(column(x).zip(weights))).collect()
    };
    taps.each(line).concat()
}

/// The weighted mean, rounded and kept within a byte.
fn mean<'a>(pixels: impl Iterator<Item = (&'a u8, &'a i32)>) -> u8 {
    let half = 1 << (PRECISION - 1);
    let sum = pixels.fold(half, |sum, (pixel, weight)| sum + i32::from(*pixel) * weight);
    (sum >> PRECISION).clamp(0, 255).to_le_bytes()[0]
}

/// Which pixels make up each pixel of a line, and with which weights.
struct Taps {
    /// First pixel, and how many.
    ranges: Vec<(usize, usize)>,
    /// The weights, one range after the other.
    weights: Vec<i32>,
}

impl Taps {
    fn new(length: usize, side: usize) -> Self {
        let scale = length as f64 / side as f64;
        let stretch = scale.max(1.0);
        let (reach, shrink) = (LOBES * stretch, 1.0 / stretch);
        let mut taps = Self { ranges: Vec::with_capacity(side), weights: Vec::new() };
        for i in 0..side {
            let centre = (i as f64 + 0.5) * scale;
            // Casts cut towards zero, and below zero saturate.
            let first = (centre - reach + 0.5) as usize;
            let end = ((centre + reach + 0.5) as usize).min(length);
            let weight = |x: usize| lanczos((x as f64 - centre + 0.5) * shrink);
            let weights: Vec<f64> = (first..end).map(weight).collect();
            let sum: f64 = weights.iter().sum();
            taps.weights.extend(weights.iter().map(|weight| fixed(weight / sum)));
            taps.ranges.push((first, end - first));
        }
        taps
    }

    /// `pixel` of each first pixel and its weights.
    fn each<T>(&self, pixel: impl Fn(usize, &[i32]) -> T) -> Vec<T> {
        let mut rest = self.weights.as_slice();
        let next = |(first, count): &(usize, usize)| {
            let weights;
            (weights, rest) = rest.split_at(*count);
            pixel(*first, weights)
        };
        self.ranges.iter().map(next).collect()
    }
}

fn lanczos(x: f64) -> f64 {
    if (-LOBES..LOBES).contains(&x) { sinc(x) * sinc(x / LOBES) } else { 0.0 }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    (x * PI).sin() / (x * PI)
}

/// Rounded half away from zero.
fn fixed(weight: f64) -> i32 {
    (weight * f64::from(1 << PRECISION) + 0.5_f64.copysign(weight)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_picture_stays_flat_at_any_size() {
        for (width, height) in [(1, 1), (1, 700), (31, 33), (32, 5), (640, 32), (333, 100), (100, 333)] {
            for grey in [0, 1, 77, 254, 255] {
                let flat = resize(vec![grey; width * height], width, height, 32);
                assert!(flat.len() == 1024 && flat.iter().all(|g| *g == grey), "{width} x {height}, {grey}");
            }
        }
    }

    #[test]
    fn what_overshoots_is_kept_within_a_byte() {
        let edge: Vec<u8> = (0..64 * 32).map(|i| if i % 64 < 32 { 0 } else { 255 }).collect();
        let small = resize(edge, 64, 32, 32);
        assert_eq!(&small[12..20], [0, 1, 0, 14, 241, 255, 254, 255]);
    }
}
