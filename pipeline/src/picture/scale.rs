//! The filters, as OpenCV defines them (`modules/imgproc/src/resize.cpp`), on the kernels of `fast_image_resize`.
//!
//! Area has a kernel of its own ([`area`](super::area)). When reducing, OpenCV's other filters look at a fixed
//! number of pixels, which aliases; here they widen unless that is asked for.

use std::f64::consts::PI;

use clap::ValueEnum;
use fast_image_resize::images::Image;
use fast_image_resize::{Filter, FilterType, PixelType, ResizeAlg, ResizeOptions as FirOptions, Resizer};
use serde::{Deserialize, Serialize};

use super::area::scale_by_area;
use super::{Decoded, Picture};
use crate::reason::Reason;

/// How pixels are mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// The nearest pixel to the left and above.
    Nearest,
    /// Two pixels per axis.
    #[serde(alias = "bilinear")]
    #[value(alias = "bilinear")]
    Linear,
    /// Four pixels per axis (Keys, a = -0.75).
    #[serde(alias = "bicubic")]
    #[value(alias = "bicubic")]
    Cubic,
    /// The mean of the covered pixels.
    Area,
    /// Eight pixels per axis (Lanczos, 4 lobes).
    #[serde(alias = "lanczos4")]
    #[value(alias = "lanczos4")]
    Lanczos,
}

/// Keys' cubic convolution with OpenCV's a = -0.75.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.75;
    match x.abs() {
        x if x <= 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
        x if x < 2.0 => ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A,
        _ => 0.0,
    }
}

fn lanczos4(x: f64) -> f64 {
    let sinc = |x: f64| if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) };
    if x.abs() < 4.0 { sinc(x) * sinc(x / 4.0) } else { 0.0 }
}

/// Scales a picture to `width × height`; `antialias` says whether linear, cubic and Lanczos widen when reducing.
///
/// # Errors
/// [`Reason::Decode`] where a side is 0.
pub fn scale(
    decoded: Decoded,
    (width, height): (u32, u32),
    filter: Interpolation,
    antialias: bool,
) -> Result<Picture, Reason> {
    let (extent, picture) = (decoded.extent(), decoded.picture);
    let custom = |name, function, support| Filter::new(name, function, support).map(FilterType::Custom);
    let kernel = match filter {
        Interpolation::Nearest => return nearest(&picture, width, height),
        Interpolation::Area => {
            let pixels = scale_by_area(&picture, extent, width, height);
            return Picture::new(width, height, pixels).ok_or(Reason::Decode);
        }
        Interpolation::Linear => Ok(FilterType::Bilinear),
        Interpolation::Cubic => custom("cubic", cubic, 2.0),
        Interpolation::Lanczos => custom("lanczos4", lanczos4, 4.0),
    };
    let kernel = kernel.map_err(|_| Reason::Decode)?;
    let algorithm = if antialias { ResizeAlg::Convolution(kernel) } else { ResizeAlg::Interpolation(kernel) };
    run(picture, extent, (width, height), algorithm)
}

/// Of the picture, `extent` counts: the last column and row may be there in part only.
pub(super) fn run(
    picture: Picture,
    extent: (f64, f64),
    (width, height): (u32, u32),
    algorithm: ResizeAlg,
) -> Result<Picture, Reason> {
    let (from_width, from_height) = (picture.width(), picture.height());
    let source = Image::from_vec_u8(from_width, from_height, picture.into_pixels(), PixelType::U8x3);
    let source = source.map_err(|_| Reason::Decode)?;
    let mut target = Image::new(width, height, PixelType::U8x3);
    let how = FirOptions::new().resize_alg(algorithm).use_alpha(false).crop(0.0, 0.0, extent.0, extent.1);
    Resizer::new().resize(&source, &mut target, &how).map_err(|_| Reason::Decode)?;
    Picture::new(width, height, target.into_vec()).ok_or(Reason::Decode)
}

/// Pixel `⌊x · ratio⌋` of each axis.
fn nearest(picture: &Picture, width: u32, height: u32) -> Result<Picture, Reason> {
    // OpenCV's rounding: the ratio is the inverse of an inverse.
    let ratios = [(width, picture.width()), (height, picture.height())]
        .map(|(to, from)| 1.0 / (f64::from(to) / f64::from(from)));
    let from = |to: u32, ratio: f64, length: u32| {
        ((f64::from(to) * ratio) as usize).min(length.saturating_sub(1) as usize)
    };
    let columns: Vec<usize> = (0..width).map(|x| 3 * from(x, ratios[0], picture.width())).collect();
    let row_bytes = 3 * picture.width() as usize;
    let mut pixels = Vec::with_capacity(3 * columns.len() * height as usize);
    for y in 0..height {
        let start = from(y, ratios[1], picture.height()) * row_bytes;
        let row = &picture.pixels()[start..start + row_bytes];
        for &x in &columns {
            pixels.extend_from_slice(&row[x..x + 3]);
        }
    }
    Picture::new(width, height, pixels).ok_or(Reason::Decode)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(values: &[u8]) -> Picture {
        let pixels = values.iter().flat_map(|v| [*v; 3]).collect();
        Picture::new(u32::try_from(values.len()).unwrap(), 1, pixels).unwrap()
    }

    fn scaled(values: &[u8], width: u32, filter: Interpolation, antialias: bool) -> Vec<u8> {
        let picture = scale(line(values).into(), (width, 1), filter, antialias).unwrap();
        picture.pixels().iter().step_by(3).copied().collect()
    }

    #[test]
    fn area_counts_parts_of_pixels() {
        // Three pixels to two: each covers one and a half.
        assert_eq!(scaled(&[0, 90, 240], 2, Interpolation::Area, true), [30, 190]);
        // Two to three: the middle one lies on both.
        assert_eq!(scaled(&[0, 200], 3, Interpolation::Area, true), [0, 100, 200]);
        assert_eq!(scaled(&[0, 200], 4, Interpolation::Area, true), [0, 0, 200, 200]);
    }

    #[test]
    fn without_antialiasing_the_filters_look_at_a_fixed_number_of_pixels() {
        let spike = [0, 0, 0, 255, 0, 0, 0, 0];
        // The centres of two output pixels lie between pixels 1|2 and 5|6, which are black.
        assert_eq!(scaled(&spike, 2, Interpolation::Linear, false), [0, 0]);
        assert!(scaled(&spike, 2, Interpolation::Linear, true)[0] > 20);
    }

    #[test]
    fn nearest_takes_the_pixel_to_the_left() {
        assert_eq!(scaled(&[1, 2, 3, 4, 5], 2, Interpolation::Nearest, true), [1, 3]);
        assert_eq!(scaled(&[1, 2], 5, Interpolation::Nearest, true), [1, 1, 1, 2, 2]);
    }

    #[test]
    fn one_colour_stays_one_colour() {
        for filter in Interpolation::value_variants() {
            for (width, height) in [(3, 5), (40, 31), (17, 2)] {
                for antialias in [true, false] {
                    let picture = Picture::filled(17, 13, [7, 120, 250]);
                    let picture = scale(picture.into(), (width, height), *filter, antialias).unwrap();
                    assert_eq!(picture, Picture::filled(width, height, [7, 120, 250]), "{filter:?}");
                }
            }
        }
    }
}
