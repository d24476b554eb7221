//! Pillow's filters (`src/libImaging/Resample.c`), which widen when reducing: what most models saw their pictures through.

use fast_image_resize::{FilterType, ResizeAlg};
use serde::{Deserialize, Serialize};

use super::Picture;
use super::scale::run;
use crate::reason::Reason;

/// How pixels are mixed, by Pillow's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resampling {
    /// The mean.
    Box,
    /// A triangle of one pixel to each side.
    #[default]
    Bilinear,
    /// Keys' cubic with a = -0.5.
    Bicubic,
    /// Three lobes.
    Lanczos,
}

/// Scales a picture to `width × height`; values may be one off Pillow's, which rounds between the axes.
///
/// # Errors
/// [`Reason::Decode`] where a side is 0.
pub fn resample(
    picture: Picture,
    (width, height): (u32, u32),
    filter: Resampling,
) -> Result<Picture, Reason> {
    if (width, height) == (picture.width(), picture.height()) {
        return Ok(picture);
    }
    let kernel = match filter {
        Resampling::Box => FilterType::Box,
        Resampling::Bilinear => FilterType::Bilinear,
        Resampling::Bicubic => FilterType::CatmullRom,
        Resampling::Lanczos => FilterType::Lanczos3,
    };
    let extent = (f64::from(picture.width()), f64::from(picture.height()));
    run(picture, extent, (width, height), ResizeAlg::Convolution(kernel))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Pillow 13.0 makes of the same 7 × 5 pixels.
    #[test]
    fn pixels_are_within_one_of_pillows() {
        let pixels = (0..7 * 5 * 3_u32).map(|i| (i * i * 37 + i * 11).to_le_bytes()[0]).collect();
        let picture = Picture::new(7, 5, pixels).unwrap();
        let near = |size, filter, expected: &[u8]| {
            let found = resample(picture.clone(), size, filter).unwrap().into_pixels();
            assert!(found.iter().zip(expected).all(|(a, b)| a.abs_diff(*b) <= 1), "{filter:?}: {found:?}");
        };
        let boxes = [116, 122, 160, 100, 121, 159, 130, 180, 133, 121, 151, 127, 59, 68, 108, 149, 137, 135];
        near((3, 2), Resampling::Box, &boxes);
        let linear = [107, 123, 162, 96, 121, 155, 141, 176, 141, 117, 134, 123, 73, 72, 117, 133, 119, 120];
        near((3, 2), Resampling::Bilinear, &linear);
        let cubic = [104, 119, 164, 96, 123, 161, 142, 183, 140, 121, 138, 122, 67, 61, 112, 135, 117, 119];
        near((3, 2), Resampling::Bicubic, &cubic);
        let lanczos = [101, 117, 162, 95, 123, 163, 145, 186, 139, 123, 142, 122, 66, 55, 108, 139, 115, 118];
        near((3, 2), Resampling::Lanczos, &lanczos);
        let wide = [119, 143, 147, 125, 137, 141, 107, 117, 141, 72, 91, 142, 52, 77, 133, 110, 104, 135];
        near((9, 1), Resampling::Bicubic, &wide);
    }
}
