//! 1×1 convolution: one product over the channels.

use wide::f32x8;

use super::product::LANES;
use super::strips::{Plane, Scheme};

/// Eight neighbouring pixels per strip.
pub(super) struct Pointwise;

impl Scheme for Pointwise {
    const PRODUCTS: usize = 1;
    const SHARED: usize = 1;
    const TAPS: usize = 1;
    const HEIGHT: usize = 1;
    const WIDTH: usize = LANES;

    #[inline(always)]
    fn kernel(taps: &[f32], mut put: impl FnMut(usize, usize, f32)) {
        put(0, 0, taps[0]);
    }

    #[inline(always)]
    fn gather(plane: &Plane<'_>, y: usize, x: usize, mut put: impl FnMut(usize, usize, f32x8)) {
        let row = &plane.values[y * plane.width..][..plane.width];
        let mut pixels = [0.0; LANES];
        match row[x..].first_chunk() {
            Some(whole) => pixels = *whole,
            None => pixels[..plane.width - x].copy_from_slice(&row[x..]),
        }
        put(0, 0, f32x8::new(pixels));
    }
}
