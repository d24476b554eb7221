//! The area filter: every pixel is the mean of what it covers, parts of pixels by their share. It is OpenCV's
//! `INTER_AREA`, to the rounding of a last bit; the box filter of most libraries takes or leaves whole pixels.

use super::Picture;

/// What one pixel covers along an axis.
struct Cover {
    first: usize,
    /// Shares of the pixels from `first` on; they add up to 1.
    shares: Vec<f32>,
}

/// Scales down to `width × height`; of the picture, `extent` counts: the last column and row may be there in part only.
pub(super) fn scale_by_area(picture: &Picture, extent: (f64, f64), width: u32, height: u32) -> Vec<u8> {
    let columns = covers(picture.width(), extent.0, width);
    let rows = covers(picture.height(), extent.1, height);
    let stride = 3 * picture.width() as usize;
    let mut out = Vec::with_capacity(3 * width as usize * height as usize);
    let mut sums = vec![0.0; stride];
    for row in &rows {
        sums.fill(0.0);
        let lines = picture.pixels().chunks_exact(stride).skip(row.first);
        for (line, share) in lines.zip(&row.shares) {
            sums.iter_mut().zip(line).for_each(|(sum, value)| *sum += share * f32::from(*value));
        }
        let (pixels, _) = sums.as_chunks::<3>();
        out.extend(columns.iter().flat_map(|column| mean(&pixels[column.first..], &column.shares)));
    }
    out
}

fn mean(pixels: &[[f32; 3]], shares: &[f32]) -> [u8; 3] {
    let mut sum = [0.0; 3];
    for (pixel, share) in pixels.iter().zip(shares) {
        for (sum, value) in sum.iter_mut().zip(pixel) {
            *sum += share * value;
        }
    }
    // Half to even, as OpenCV rounds: numbers of this size have no place for fractions, their lowest byte is the sum.
    sum.map(|value| (value + 12_582_912.0).to_bits().to_le_bytes()[0])
}

fn covers(pixels: u32, extent: f64, count: u32) -> Vec<Cover> {
    let step = extent / f64::from(count);
    let cover = |i: u32| {
        let (start, end) = (f64::from(i) * step, f64::from(i + 1) * step);
        let first = (start as u32).min(pixels.saturating_sub(1));
        let last = (end.ceil() as u32).clamp(first + 1, pixels.max(first + 1));
        let share = |x: u32| ((f64::from(x) + 1.0).min(end) - f64::from(x).max(start)).max(0.0);
        let total: f64 = (first..last).map(share).sum();
        Cover { first: first as usize, shares: (first..last).map(|x| (share(x) / total) as f32).collect() }
    };
    (0..count).map(cover).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(values: &[u8]) -> Picture {
        let pixels = values.iter().flat_map(|v| [*v, 0, 255 - v]).collect();
        Picture::new(values.len() as u32, 1, pixels).unwrap()
    }

    #[test]
    fn parts_of_pixels_count_by_their_share() {
        // Three pixels to two: 1 + 1/2 each.
        let out = scale_by_area(&line(&[30, 90, 240]), (3.0, 1.0), 2, 1);
        assert_eq!(out, [50, 0, 205, 190, 0, 65]);
        // The numbers of OpenCV 5.0 for 8 → 5.
        let out = scale_by_area(&line(&[0, 10, 200, 30, 77, 255, 254, 1]), (8.0, 1.0), 5, 1);
        assert_eq!(out.iter().step_by(3).collect::<Vec<_>>(), [&4, &131, &54, &232, &96]);
    }

    #[test]
    fn a_last_column_may_be_there_in_part() {
        let out = scale_by_area(&line(&[100, 200]), (1.5, 1.0), 1, 1);
        assert_eq!(out[0], 133);
    }

    proptest::proptest! {
        /// Against the definition, pixel by pixel.
        #[test]
        fn it_is_the_mean_of_what_is_covered(
            values in proptest::collection::vec(0_u8.., 1..40), parts in 1_u32..40, missing in 0.0..0.9,
        ) {
            let parts = parts.min(values.len() as u32);
            let extent = values.len() as f64 - missing;
            let out = scale_by_area(&line(&values), (extent, 1.0), parts, 1);
            for i in 0..parts {
                let step = extent / f64::from(parts);
                let (start, end) = (f64::from(i) * step, f64::from(i + 1) * step);
                let weight = |x: usize| ((x as f64 + 1.0).min(end) - (x as f64).max(start)).max(0.0);
                let sum: f64 = values.iter().enumerate().map(|(x, v)| weight(x) * f64::from(*v)).sum();
                proptest::prop_assert!((f64::from(out[3 * i as usize]) - sum / step).abs() < 0.51);
            }
        }
    }
}
