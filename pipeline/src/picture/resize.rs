//! The five resize modes of img2dataset with its exact geometry (`img2dataset/resizer.py`, which calls
//! `smallest_max_size`, `longest_max_size`, `center_crop` and `pad` of albumentations).
//!
//! Sides are rounded half to even, as Python does, and are at least 1.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::scale::{Interpolation, scale};
use super::{Decoded, Picture};
use crate::reason::Reason;

/// What becomes of a picture that is not `size × size`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ResizeMode {
    /// Nothing.
    #[value(name = "no")]
    No,
    /// The longer side becomes `size`, the rest is filled with the background: square.
    #[default]
    #[value(name = "border")]
    Border,
    /// The shorter side becomes `size`.
    #[value(name = "keep_ratio")]
    KeepRatio,
    /// The longer side becomes `size`.
    #[value(name = "keep_ratio_largest")]
    KeepRatioLargest,
    /// The shorter side becomes `size`, the middle is kept: square.
    #[value(name = "center_crop")]
    CenterCrop,
}

/// How a picture is resized.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResizeOptions {
    /// The mode.
    pub mode: ResizeMode,
    /// The side in pixels.
    pub size: u32,
    /// Leave pictures alone that are not larger (they then are not square either).
    pub only_if_bigger: bool,
    /// Filter for enlarging.
    pub upscale: Interpolation,
    /// Filter for reducing.
    pub downscale: Interpolation,
    /// Whether linear, cubic and Lanczos widen when reducing, so that nothing aliases; OpenCV's do not.
    pub antialias: bool,
    /// The colour of the border.
    pub background: [u8; 3],
    /// Most pixels of the scaled picture and of the result: `keep_ratio` turns a line of 100,000 × 1 into
    /// 25,600,000 × 256.
    pub max_pixels: u64,
}

impl Default for ResizeOptions {
    /// img2dataset's defaults.
    fn default() -> Self {
        Self {
            mode: ResizeMode::Border,
            size: 256,
            only_if_bigger: false,
            upscale: Interpolation::Lanczos,
            downscale: Interpolation::Area,
            antialias: true,
            background: [255; 3],
            max_pixels: 89_478_485,
        }
    }
}

/// Where every pixel goes; all in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Size after scaling.
    pub scaled: (u32, u32),
    /// Size of the result.
    pub output: (u32, u32),
    /// Left and top edge of the result inside the scaled picture (`center_crop`).
    pub crop: (u32, u32),
    /// Left and top edge of the scaled picture inside the result (`border`).
    pub offset: (u32, u32),
    /// The filter; `None` if the size stays.
    pub filter: Option<Interpolation>,
}

impl Geometry {
    fn unchanged(width: u32, height: u32) -> Self {
        Self { scaled: (width, height), output: (width, height), crop: (0, 0), offset: (0, 0), filter: None }
    }

    /// Most bytes that resizing holds besides the picture it begins with: the scaled one and the result.
    pub fn bytes(&self) -> u64 {
        let [scaled, output] = [self.scaled, self.output].map(|size| area(size).saturating_mul(3));
        scaled.saturating_add(output)
    }

    /// Whether the picture comes out as it went in.
    pub fn is_identity(&self) -> bool {
        self.filter.is_none() && self.output == self.scaled
    }

    /// Whether the scaled picture or the result has more pixels than that.
    pub fn passes(&self, max_pixels: u64) -> bool {
        area(self.scaled).max(area(self.output)) > max_pixels
    }
}

fn area((width, height): (u32, u32)) -> u64 {
    u64::from(width) * u64::from(height)
}

/// The geometry of a `width × height` picture: pure, so that it can be held against img2dataset's numbers.
pub fn geometry(width: u32, height: u32, options: &ResizeOptions) -> Geometry {
    use ResizeMode::{Border, CenterCrop, KeepRatio, KeepRatioLargest, No};
    let side = match options.mode {
        No => return Geometry::unchanged(width, height),
        KeepRatio | CenterCrop => width.min(height),
        Border | KeepRatioLargest => width.max(height),
    };
    let size = options.size.max(1);
    let down = side > size;
    if options.only_if_bigger && !down {
        return Geometry::unchanged(width, height);
    }
    let ratio = f64::from(size) / f64::from(side.max(1));
    // The cast saturates: a side beyond u32 fails the pixel limit.
    let scale = |length: u32| (f64::from(length) * ratio).round_ties_even().max(1.0) as u32;
    let scaled = (scale(width), scale(height));
    let mut geometry = Geometry { scaled, output: scaled, crop: (0, 0), offset: (0, 0), filter: None };
    if scaled != (width, height) {
        geometry.filter = Some(if down { options.downscale } else { options.upscale });
    }
    match options.mode {
        CenterCrop => {
            geometry.output = (size, size);
            geometry.crop = (scaled.0.saturating_sub(size) / 2, scaled.1.saturating_sub(size) / 2);
        }
        Border => {
            geometry.output = (size, size);
            geometry.offset = (size.saturating_sub(scaled.0) / 2, size.saturating_sub(scaled.1) / 2);
        }
        No | KeepRatio | KeepRatioLargest => {}
    }
    geometry
}

/// Resizes a picture.
///
/// # Errors
/// [`Reason::TooManyPixels`] when the scaled picture or the result passes the limit.
pub fn resize(picture: Picture, options: &ResizeOptions) -> Result<Picture, Reason> {
    resize_decoded(picture.into(), options)
}

/// Resizes a picture that may have been reduced while it was decoded: the result is that of the whole picture.
///
/// # Errors
/// Those of [`resize`].
pub fn resize_decoded(decoded: Decoded, options: &ResizeOptions) -> Result<Picture, Reason> {
    resize_with(decoded, options, |scaled| scaled)
}

/// The same, and lets `retouch` at the picture after scaling, before it is cropped or given a border.
///
/// # Errors
/// Those of [`resize`].
pub fn resize_with(
    decoded: Decoded,
    options: &ResizeOptions,
    retouch: impl FnOnce(Picture) -> Picture,
) -> Result<Picture, Reason> {
    let geometry = geometry(decoded.full_size.0, decoded.full_size.1, options);
    if geometry.passes(options.max_pixels) {
        return Err(Reason::TooManyPixels);
    }
    let scaled = match geometry.filter {
        Some(filter) => scale(decoded, geometry.scaled, filter, options.antialias)?,
        None => decoded.picture,
    };
    let scaled = retouch(scaled);
    let (out_width, out_height) = geometry.output;
    Ok(match options.mode {
        _ if geometry.output == geometry.scaled => scaled,
        ResizeMode::Border => {
            let mut canvas = Picture::filled(out_width, out_height, options.background);
            canvas.paste(&scaled, geometry.offset.0, geometry.offset.1);
            canvas
        }
        _ => scaled.crop(geometry.crop.0, geometry.crop.1, out_width, out_height),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::ResizeMode::{Border, CenterCrop, KeepRatio, KeepRatioLargest, No};
    use super::*;

    fn options(mode: ResizeMode) -> ResizeOptions {
        ResizeOptions { mode, ..ResizeOptions::default() }
    }

    fn scaled(mode: ResizeMode, width: u32, height: u32) -> (u32, u32) {
        geometry(width, height, &options(mode)).scaled
    }

    #[test]
    fn the_numbers_of_img2dataset() {
        assert_eq!(scaled(No, 400, 300), (400, 300));
        assert_eq!(scaled(KeepRatio, 400, 300), (341, 256));
        assert_eq!(scaled(KeepRatio, 1000, 10), (25_600, 256));
        assert_eq!(scaled(KeepRatioLargest, 401, 267), (256, 170));
        assert_eq!(scaled(KeepRatioLargest, 10_000, 10), (256, 1));
        let border = geometry(255, 257, &options(Border));
        assert_eq!((border.scaled, border.offset, border.output), ((254, 256), (1, 0), (256, 256)));
        let border = geometry(1000, 10, &options(Border));
        assert_eq!((border.scaled, border.offset), ((256, 3), (0, 126)));
        let crop = geometry(400, 300, &options(CenterCrop));
        assert_eq!((crop.scaled, crop.crop, crop.output), ((341, 256), (42, 0), (256, 256)));
    }

    /// 35 cases that its own `Resizer` made.
    #[test]
    fn the_grid_of_img2dataset() {
        let lines = include_str!("img2dataset-grid.csv").lines().filter(|line| !line.starts_with('#'));
        let mut cases = 0;
        for line in lines.skip(1) {
            let (mode, numbers) = line.split_once(',').unwrap();
            let n: Vec<u32> = numbers.split(',').map(|n| n.parse().unwrap()).collect();
            let g = geometry(n[0], n[1], &options(ResizeMode::from_str(mode, false).unwrap()));
            let shown = (g.scaled.0.min(g.output.0), g.scaled.1.min(g.output.1));
            assert_eq!((g.output, g.offset, shown), ((n[2], n[3]), (n[4], n[5]), (n[6], n[7])), "{line}");
            cases += 1;
        }
        assert_eq!(cases, 35);
    }

    #[test]
    fn halves_are_rounded_to_even() {
        let odd = ResizeOptions { size: 10, ..options(KeepRatioLargest) };
        // 5 · 10/20 = 2.5 → 2 and 7 · 10/20 = 3.5 → 4.
        assert_eq!(geometry(20, 5, &odd).scaled, (10, 2));
        assert_eq!(geometry(20, 7, &odd).scaled, (10, 4));
    }

    #[test]
    fn the_side_that_rules_the_mode_chooses_the_filter() {
        let filter = |mode, width, height| geometry(width, height, &options(mode)).filter;
        assert_eq!(filter(KeepRatio, 400, 200), Some(Interpolation::Lanczos));
        assert_eq!(filter(Border, 400, 200), Some(Interpolation::Area));
        assert_eq!(filter(Border, 256, 200), None);
    }

    #[test]
    fn only_if_bigger_skips_crop_and_border_too() {
        for mode in [Border, KeepRatio, KeepRatioLargest, CenterCrop] {
            let options = ResizeOptions { only_if_bigger: true, ..options(mode) };
            assert_eq!(geometry(200, 100, &options), Geometry::unchanged(200, 100), "{mode:?}");
            assert_ne!(geometry(2000, 1000, &options), Geometry::unchanged(2000, 1000), "{mode:?}");
        }
        let options = ResizeOptions { only_if_bigger: true, ..options(CenterCrop) };
        assert_eq!(geometry(400, 200, &options).output, (400, 200));
    }

    #[test]
    fn a_border_is_white_and_centred() {
        let small = ResizeOptions { size: 8, ..options(Border) };
        let picture = resize(Picture::filled(16, 6, [10, 20, 30]), &small).unwrap();
        assert_eq!((picture.width(), picture.height()), (8, 8));
        let column: Vec<_> = (0..8).map(|y| picture.pixel(4, y).unwrap()[0]).collect();
        assert_eq!(column, [255, 255, 10, 10, 10, 255, 255, 255]);
    }

    #[test]
    fn a_crop_keeps_the_middle() {
        let pixels: Vec<u8> = (0..9_u8).flat_map(|x| [x * 10; 3]).collect();
        let line = Picture::new(9, 1, pixels).unwrap();
        let one = ResizeOptions { size: 1, ..options(CenterCrop) };
        assert_eq!(resize(line, &one).unwrap().pixels(), [40; 3]);
    }

    #[test]
    fn area_is_the_mean_going_down() {
        let checks = Picture::new(2, 2, [[0; 3], [100; 3], [100; 3], [200; 3]].concat()).unwrap();
        let one = ResizeOptions { size: 1, ..options(Border) };
        assert_eq!(resize(checks, &one).unwrap().pixels(), [100; 3]);
    }

    #[test]
    fn a_line_blown_up_beyond_the_limit_is_refused() {
        let line = Picture::filled(100_000, 1, [0; 3]);
        assert_eq!(resize(line, &options(KeepRatio)), Err(Reason::TooManyPixels));
    }

    #[test]
    fn a_border_beyond_the_limit_is_refused_though_the_scaled_picture_is_small() {
        let line = Picture::filled(100, 1, [0; 3]);
        let limited = |max_pixels| ResizeOptions { size: 100, max_pixels, ..options(Border) };
        assert_eq!(resize(line.clone(), &limited(9_999)), Err(Reason::TooManyPixels));
        assert!(resize(line, &limited(10_000)).is_ok());
    }

    #[test]
    fn the_bytes_are_those_of_both_pictures() {
        let border = geometry(400, 300, &options(Border));
        assert_eq!(border.bytes(), 3 * (256 * 192 + 256 * 256));
        assert_eq!(geometry(300, 400, &options(Border)).bytes(), border.bytes());
    }

    proptest! {
        /// The laws of each mode over all sizes, against the definition in floating point.
        #[test]
        fn laws_of_the_modes(width in 1_u32..5000, height in 1_u32..5000, size in 1_u32..600) {
            for mode in [Border, KeepRatio, KeepRatioLargest, CenterCrop] {
                let options = ResizeOptions { size, ..options(mode) };
                let g = geometry(width, height, &options);
                let side = if matches!(mode, KeepRatio | CenterCrop) { width.min(height) } else { width.max(height) };
                let exact = |n: u32| f64::from(n) * f64::from(size) / f64::from(side);
                prop_assert!((f64::from(g.scaled.0) - exact(width).max(1.0)).abs() <= 0.5 + 1e-6);
                prop_assert!((f64::from(g.scaled.1) - exact(height).max(1.0)).abs() <= 0.5 + 1e-6);
                match mode {
                    KeepRatio => prop_assert_eq!(g.scaled.0.min(g.scaled.1), size),
                    KeepRatioLargest => prop_assert_eq!(g.scaled.0.max(g.scaled.1), size),
                    CenterCrop => {
                        prop_assert_eq!(g.output, (size, size));
                        prop_assert!(g.crop.0 + size <= g.scaled.0 && g.crop.1 + size <= g.scaled.1);
                    }
                    _ => {
                        prop_assert_eq!(g.output, (size, size));
                        prop_assert!(g.offset.0 + g.scaled.0 <= size && g.offset.1 + g.scaled.1 <= size);
                    }
                }
            }
        }

        #[test]
        fn the_picture_has_the_size_that_the_geometry_says(width in 1_u32..60, height in 1_u32..60, size in 1_u32..40) {
            for mode in [No, Border, KeepRatio, KeepRatioLargest, CenterCrop] {
                let options = ResizeOptions { size, ..options(mode) };
                let picture = resize(Picture::filled(width, height, [50, 60, 70]), &options).unwrap();
                prop_assert_eq!((picture.width(), picture.height()), geometry(width, height, &options).output);
            }
        }
    }
}
