//! The area filter: every pixel is the mean of what it covers, parts of pixels by their share. It is OpenCV's
//! `INTER_AREA`, to the rounding of a last bit; the box filter of most libraries takes or leaves whole pixels.

use super::Picture;

/// What the pixels of a row or column cover.
struct Covers {
    /// The first pixel that each of them covers, and how many.
    ranges: Vec<(usize, usize)>,
    /// The shares of the covered pixels, one range after the other; those of a range add up to 1.
    shares: Vec<f32>,
}

/// Scales to `width × height`, up or down; of the picture, `extent` counts: the last column and row may be there in
/// part only.
pub(super) fn scale_by_area(picture: &Picture, extent: (f64, f64), width: u32, height: u32) -> Vec<u8> {
    let columns = Covers::new(picture.width(), extent.0, width);
    let rows = Covers::new(picture.height(), extent.1, height);
    let (from, to) = (3 * picture.width() as usize, 3 * width as usize);
    let mut out = vec![0; to * height as usize];
    // Pixels are read four numbers at a time; the last one has but three.
    let mut sums = vec![0.0; from + 1];
    for (target, (first, shares)) in out.chunks_exact_mut(to).zip(rows.iter()) {
        sums.fill(0.0);
        for (line, share) in picture.pixels().chunks_exact(from).skip(first).zip(shares) {
            sums.iter_mut().zip(line).for_each(|(sum, value)| *sum += share * f32::from(*value));
        }
        for (pixel, (first, shares)) in target.as_chunks_mut::<3>().0.iter_mut().zip(columns.iter()) {
            *pixel = mean(sums.get(3 * first..).unwrap_or_default(), shares);
        }
    }
    out
}

#[inline(always)]
fn mean(pixels: &[f32], shares: &[f32]) -> [u8; 3] {
    let mut sum = [0.0_f32; 4];
    for (pixel, share) in pixels.windows(4).step_by(3).zip(shares) {
        sum.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += share * value);
    }
    // Half to even, as OpenCV rounds: numbers of this size have no place for fractions, their lowest byte is the sum.
    let [red, green, blue, _] = sum.map(|value| (value + 12_582_912.0).to_bits().to_le_bytes()[0]);
    [red, green, blue]
}

impl Covers {
    fn new(pixels: u32, extent: f64, count: u32) -> Self {
        let step = extent / f64::from(count);
        let mut covers = Self { ranges: Vec::with_capacity(count as usize), shares: Vec::new() };
        for i in 0..count {
            let (start, end) = (f64::from(i) * step, f64::from(i + 1) * step);
            let first = (start as u32).min(pixels.saturating_sub(1));
            let last = (end.ceil() as u32).clamp(first + 1, pixels.max(first + 1));
            let share = |x: u32| ((f64::from(x) + 1.0).min(end) - f64::from(x).max(start)).max(0.0);
            let total: f64 = (first..last).map(share).sum();
            covers.ranges.push((first as usize, (last - first) as usize));
            covers.shares.extend((first..last).map(|x| (share(x) / total) as f32));
        }
        covers
    }

    /// The first pixel of each range, and the shares of all of it.
    fn iter(&self) -> impl Iterator<Item = (usize, &[f32])> {
        let mut rest = self.shares.as_slice();
        self.ranges.iter().map(move |(first, count)| {
            let (shares, behind) = rest.split_at_checked(*count).unwrap_or_default();
            rest = behind;
            (*first, shares)
        })
    }
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
