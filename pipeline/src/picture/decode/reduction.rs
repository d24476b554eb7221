//! How much smaller a JPEG may be decoded than it is.

use crate::picture::{Interpolation, ResizeOptions, geometry};

/// The decoded picture stays at least this many times as wide and as high as the resized one, so that the resize
/// filter still has pixels to choose from.
const MARGIN: u64 = 2;

/// The largest divisor (1, 2, 4 or 8) of both sides that the resizing of a picture of that size allows.
pub(super) fn reduction((width, height): (u32, u32), resize: &ResizeOptions) -> u32 {
    let geometry = geometry(width, height, resize);
    // One pixel of the whole picture is not the mean of several, nor are a few between which a filter interpolates.
    match geometry.filter {
        None | Some(Interpolation::Nearest) => return 1,
        Some(Interpolation::Area) => {}
        Some(_) if resize.antialias => {}
        Some(_) => return 1,
    }
    let fits = |divisor: &u32| {
        let enough =
            |side: u32, scaled: u32| u64::from(side) >= MARGIN * u64::from(*divisor) * u64::from(scaled);
        enough(width, geometry.scaled.0) && enough(height, geometry.scaled.1)
    };
    [8, 4, 2].into_iter().find(fits).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::ResizeMode;

    #[test]
    fn a_margin_of_two_stays() {
        let options = ResizeOptions::default();
        let of = |width, height| reduction((width, height), &options);
        assert_eq!([of(400, 300), of(1023, 768), of(1024, 768), of(2047, 300)], [1, 1, 2, 2]);
        assert_eq!([of(2048, 1536), of(4095, 4095), of(4096, 3), of(60_000, 60_000)], [4, 4, 1, 8]);
        assert_eq!(of(200, 100), 1, "enlarged");
    }

    #[test]
    fn modes_that_need_every_pixel_get_them() {
        let of = |options| reduction((4096, 4096), &options);
        assert_eq!(of(ResizeOptions { mode: ResizeMode::No, ..ResizeOptions::default() }), 1);
        assert_eq!(of(ResizeOptions { downscale: Interpolation::Nearest, ..ResizeOptions::default() }), 1);
        assert_eq!(of(ResizeOptions { size: 5000, only_if_bigger: true, ..ResizeOptions::default() }), 1);
    }
}
