//! 3×3 convolution with stride 2 and zeros on the right and bottom edge, as one product over all taps.

use wide::f32x8;

use super::product::LANES;
use super::strips::{Plane, Scheme, every_second};

/// Eight neighbouring output pixels per strip.
pub(super) struct Halving;

impl Scheme for Halving {
    const PRODUCTS: usize = 1;
    const SHARED: usize = 9;
    const TAPS: usize = 9;
    const HEIGHT: usize = 1;
    const WIDTH: usize = LANES;

    #[inline(always)]
    fn kernel(taps: &[f32], mut put: impl FnMut(usize, usize, f32)) {
        for (tap, value) in taps.iter().enumerate() {
            put(0, tap, *value);
        }
    }

    #[inline(always)]
    fn gather(plane: &Plane<'_>, y: usize, x: usize, mut put: impl FnMut(usize, usize, f32x8)) {
        for row in 0..3 {
            let window = plane.window::<0>(2 * y + row, 2 * x);
            for column in 0..3 {
                put(0, 3 * row + column, every_second(&window, column));
            }
        }
    }
}
