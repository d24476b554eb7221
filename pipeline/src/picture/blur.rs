//! Blurring boxes (faces, number plates) by the recipe of img2dataset 1.47 (`img2dataset/blurrer.py`), which follows
//! ImageNet's face obfuscation: each box grows by a tenth of its longer side, and one Gaussian blurs the picture and the
//! mask of all boxes, so that the edges fade.
//!
//! Its `sigma = 0.1 · longest side` only sets the size of the kernel there; the Gaussian itself is OpenCV's for that size.
//! Unlike img2dataset, which cuts fractions off everywhere, the result is rounded and the rest of the picture is untouched.

use super::Picture;

/// A box as `[left, top, right, bottom]`, each 0 to 1 of the picture's width or height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlurBox([f64; 4]);

impl BlurBox {
    /// Four coordinates; `None` unless all lie within the picture's own size around it. Detectors overshoot a little,
    /// and what sticks out is cut off; but boxes in pixels would blur the wrong place.
    pub fn new(sides: [f64; 4]) -> Option<Self> {
        let [left, top, right, bottom] = sides;
        let near = sides.iter().all(|side| (-1.0..=2.0).contains(side));
        (near && left <= right && top <= bottom).then_some(Self(sides))
    }
}

/// A box in pixels: `left..right`, `top..bottom`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Area {
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
}

/// Grown and cut to the picture; and the longer side before.
fn place(of: &BlurBox, width: u32, height: u32) -> (Area, i64) {
    // Both casts cut towards zero, as Python's `int` does; a side of a box is at most twice that of a picture.
    let sides = [width, height, width, height].map(f64::from);
    let [left, top, right, bottom] = [0, 1, 2, 3].map(|i| (of.0[i] * sides[i]) as i64);
    let longest = (right - left).max(bottom - top);
    let margin = 0.1 * longest as f64;
    let cut = |side: f64, length: u32| (side as i64).clamp(0, i64::from(length) - 1) as usize;
    let area = Area {
        left: cut(left as f64 - margin, width),
        top: cut(top as f64 - margin, height),
        right: cut(right as f64 + margin, width),
        bottom: cut(bottom as f64 + margin, height),
    };
    (area, longest)
}

/// Blurs boxes; without any, the picture stays as it is.
#[must_use]
pub fn blur(mut picture: Picture, boxes: &[BlurBox]) -> Picture {
    let (width, height) = (picture.width(), picture.height());
    let placed = boxes.iter().map(|one| place(one, width, height));
    let (areas, sides): (Vec<_>, Vec<_>) = placed.unzip();
    let areas: Vec<Area> = areas.into_iter().filter(|a| a.left < a.right && a.top < a.bottom).collect();
    let kernel = gaussian((0.1 * sides.into_iter().max().unwrap_or(0) as f64).ceil().max(1.0) as usize);
    let Some(near) = bounds(&areas, kernel.len() / 2, width as usize, height as usize) else {
        return picture;
    };
    // The rows that those to be blurred are mixed from, blurred along themselves.
    let radius = kernel.len() / 2;
    let first = near.top.saturating_sub(radius);
    let rows: Vec<Vec<f32>> = (first..(near.bottom + radius).min(height as usize))
        .map(|y| blurred_row(&picture, &areas, &kernel, near, y))
        .collect();
    let mut mixed = vec![0.0; 4 * (near.right - near.left)];
    for y in near.top..near.bottom {
        mixed.fill(0.0);
        for (tap, weight) in kernel.iter().enumerate() {
            let from = reflect(y + tap, radius, height as usize) - first;
            add(&mut mixed, &rows[from], *weight);
        }
        let start = 3 * (y * width as usize + near.left);
        let pixels = &mut picture.pixels[start..start + 3 * (near.right - near.left)];
        for (pixel, mixed) in pixels.chunks_exact_mut(3).zip(mixed.chunks_exact(4)) {
            fade(pixel, mixed);
        }
    }
    picture
}

/// A pixel and its blurred self, by the blurred mask.
fn fade(pixel: &mut [u8], blurred: &[f32]) {
    let mask = blurred[3];
    if mask > 0.0 {
        for (value, blurred) in pixel.iter_mut().zip(blurred) {
            // Between 0 and 255: both parts are, and so is what lies between.
            *value = (f32::from(*value) * (1.0 - mask) + blurred * mask).round() as u8;
        }
    }
}

/// What the areas and the kernel around them touch.
fn bounds(areas: &[Area], radius: usize, width: usize, height: usize) -> Option<Area> {
    let all = areas.iter().copied().reduce(|a, b| Area {
        left: a.left.min(b.left),
        top: a.top.min(b.top),
        right: a.right.max(b.right),
        bottom: a.bottom.max(b.bottom),
    })?;
    Some(Area {
        left: all.left.saturating_sub(radius),
        top: all.top.saturating_sub(radius),
        right: (all.right + radius).min(width),
        bottom: (all.bottom + radius).min(height),
    })
}

/// Columns `near.left..near.right` of row `y`, blurred along the row: red, green, blue and mask.
fn blurred_row(picture: &Picture, areas: &[Area], kernel: &[f32], near: Area, y: usize) -> Vec<f32> {
    let (width, radius) = (picture.width() as usize, kernel.len() / 2);
    let columns = near.right - near.left;
    let row = &picture.pixels[3 * y * width..3 * (y + 1) * width];
    let across: Vec<Area> = areas.iter().copied().filter(|a| (a.top..a.bottom).contains(&y)).collect();
    let mut padded = Vec::with_capacity(4 * (columns + 2 * radius));
    for at in near.left..near.right + 2 * radius {
        let x = reflect(at, radius, width);
        padded.extend(row[3 * x..3 * x + 3].iter().map(|value| f32::from(*value)));
        padded.push(if across.iter().any(|a| (a.left..a.right).contains(&x)) { 1.0 } else { 0.0 });
    }
    let mut blurred = vec![0.0; 4 * columns];
    for (tap, weight) in kernel.iter().enumerate() {
        add(&mut blurred, &padded[4 * tap..4 * (tap + columns)], *weight);
    }
    blurred
}

fn add(sum: &mut [f32], values: &[f32], weight: f32) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += weight * value;
    }
}

/// Index `at - radius`, mirrored at the ends without repeating them (OpenCV's `BORDER_REFLECT_101`).
fn reflect(at: usize, radius: usize, length: usize) -> usize {
    let period = 2 * (length - 1).max(1);
    let at = (at + radius.div_ceil(period) * period - radius) % period;
    if length == 1 { 0 } else { at.min(period - at) }
}

/// OpenCV's kernel of `2 · radius + 1` taps when no sigma is given: fixed up to nine taps, else a Gaussian.
fn gaussian(radius: usize) -> Vec<f32> {
    let fixed: Option<&[f32]> = match radius {
        1 => Some(&[64.0, 128.0]),
        2 => Some(&[16.0, 64.0, 96.0]),
        3 => Some(&[8.0, 28.0, 56.0, 72.0]),
        4 => Some(&[4.0, 13.0, 30.0, 51.0, 60.0]),
        _ => None,
    };
    if let Some(half) = fixed {
        return half.iter().chain(half.iter().rev().skip(1)).map(|tap| tap / 256.0).collect();
    }
    let sigma = 0.3 * (radius as f64 - 1.0) + 0.8;
    let weight = |tap: usize| (-0.5 * ((tap as f64 - radius as f64) / sigma).powi(2)).exp();
    let weights: Vec<f64> = (0..=2 * radius).map(weight).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| (weight / sum) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stripes of single columns: nothing of them is left where the blur is whole.
    fn stripes(width: u32, height: u32) -> Picture {
        let pixel = |i: u32| if (i % width).is_multiple_of(2) { [0; 3] } else { [200; 3] };
        Picture::new(width, height, (0..width * height).flat_map(pixel).collect()).unwrap()
    }

    #[test]
    fn the_inside_is_blurred_and_the_rest_untouched() {
        let sharp = stripes(100, 100);
        let blurred = blur(sharp.clone(), &[BlurBox::new([0.3, 0.3, 0.7, 0.7]).unwrap()]);
        // 40 pixels, grown by 4 on each side; the kernel has a radius of 4.
        assert_eq!(blurred.pixel(50, 50), Some([100; 3]));
        assert_eq!(blurred.pixel(51, 50), Some([100; 3]));
        for (x, y) in [(21, 50), (50, 21), (79, 50), (50, 79), (0, 0)] {
            assert_eq!(blurred.pixel(x, y), sharp.pixel(x, y), "{x} {y}");
        }
        assert_ne!(blurred.pixel(25, 50), sharp.pixel(25, 50), "the edge fades");
    }

    #[test]
    fn no_box_and_an_empty_one_change_nothing() {
        let sharp = stripes(9, 9);
        assert_eq!(blur(sharp.clone(), &[]), sharp);
        assert_eq!(blur(sharp.clone(), &[BlurBox::new([0.5, 0.5, 0.5, 0.5]).unwrap()]), sharp);
    }

    #[test]
    fn boxes_at_the_edge_and_beyond_it_are_cut() {
        for (width, height) in [(1, 1), (2, 1), (3, 50), (50, 50)] {
            let all = blur(stripes(width, height), &[BlurBox::new([-0.2, -0.2, 1.2, 1.2]).unwrap()]);
            assert_eq!((all.width(), all.height()), (width, height));
        }
        let all = blur(stripes(50, 50), &[BlurBox::new([0.0, 0.0, 1.0, 1.0]).unwrap()]);
        assert_eq!(all.pixel(25, 25), Some([100; 3]));
    }

    #[test]
    fn boxes_in_pixels_or_inside_out_are_no_boxes() {
        assert!(BlurBox::new([-0.01, 0.0, 1.003, 1.0]).is_some());
        for wrong in [[10.0, 10.0, 50.0, 60.0], [0.6, 0.0, 0.5, 1.0], [0.0, f64::NAN, 1.0, 1.0]] {
            assert_eq!(BlurBox::new(wrong), None, "{wrong:?}");
        }
    }

    /// `cv2.getGaussianKernel(11, 0)` and `(9, 0)` of OpenCV 4.14.
    #[test]
    fn kernels_are_opencvs() {
        let eleven = [0.008_812_23, 0.027_143_58, 0.065_114_06, 0.121_649_07, 0.176_998_36, 0.200_565_41];
        for (ours, theirs) in gaussian(5).iter().zip(eleven) {
            assert!((ours - theirs).abs() < 1e-6, "{ours} {theirs}");
        }
        assert_eq!(gaussian(4)[..2], [0.015_625, 0.050_781_25]);
        for radius in 1..40 {
            assert_eq!(gaussian(radius).len(), 2 * radius + 1);
            assert!((gaussian(radius).iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn mirrored_ends_are_not_repeated() {
        let row: Vec<usize> = (0..10).map(|at| reflect(at, 3, 4)).collect();
        assert_eq!(row, [3, 2, 1, 0, 1, 2, 3, 2, 1, 0]);
        assert_eq!(reflect(7, 5, 1), 0);
    }
}
