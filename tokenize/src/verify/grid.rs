//! One picture of many: originals beside their decodings.

use pipeline::picture::Picture;

use super::Sample;

/// Pixels between the cells.
const GAP: u32 = 4;
/// Pixels between an original and its decoding.
const SEAM: u32 = 1;

/// Lays the samples out row by row, about as wide as high: original left, decoding right. `None` without samples.
pub fn grid(samples: &[Sample]) -> Option<Picture> {
    let (first, _) = samples.first()?;
    let (width, height) = (2 * first.width() + SEAM, first.height());
    let columns = columns(samples.len());
    let rows = samples.len().div_ceil(columns);
    let span = |n: usize, size: u32| u32::try_from(n).ok()?.checked_mul(size + GAP)?.checked_add(GAP);
    let mut canvas = Picture::filled(span(columns, width)?, span(rows, height)?, [255; 3]);
    for (index, (original, decoded)) in samples.iter().enumerate() {
        let left = span(index % columns, width)?;
        let top = span(index / columns, height)?;
        canvas.paste(original, left, top);
        canvas.paste(decoded, left + first.width() + SEAM, top);
    }
    Some(canvas)
}

/// Cells are twice as wide as high, so twice as many rows as columns make a square.
fn columns(samples: usize) -> usize {
    (1..=samples).find(|n| 2 * n * n >= samples).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn originals_lie_left_of_their_decodings() {
        let sample = |shade: u8| (Picture::filled(8, 8, [shade; 3]), Picture::filled(8, 8, [shade + 1; 3]));
        let samples: Vec<Sample> = (0..3).map(|i| sample(10 * i)).collect();
        let picture = grid(&samples).unwrap();
        assert_eq!((picture.width(), picture.height()), (2 * (17 + 4) + 4, 2 * (8 + 4) + 4));
        assert_eq!(picture.pixel(4, 4), Some([0; 3]));
        assert_eq!(picture.pixel(4 + 9, 4), Some([1; 3]));
        assert_eq!(picture.pixel(4 + 21, 4), Some([10; 3]));
        assert_eq!(picture.pixel(4 + 9, 4 + 12), Some([21; 3]));
        assert_eq!(picture.pixel(0, 0), Some([255; 3]));
    }

    #[test]
    fn no_samples_make_no_picture() {
        assert_eq!(grid(&[]), None);
    }
}
