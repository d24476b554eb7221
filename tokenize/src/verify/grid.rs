//! One picture of many: originals beside their decodings.

use pipeline::picture::Picture;

use super::Sample;

/// Pixels between the cells.
const GAP: u32 = 4;
/// Pixels between an original and its decoding.
const SEAM: u32 = 1;

/// Lays the samples out row by row, about as wide as high: original left, decoding right, or decodings alone. `None`
/// without samples.
pub fn grid(samples: &[Sample]) -> Option<Picture> {
    let first = &samples.first()?.decoded;
    let pairs = samples.iter().any(|sample| sample.original.is_some());
    let right = if pairs { first.width() + SEAM } else { 0 };
    let (width, height) = (right + first.width(), first.height());
    let columns = columns(samples.len(), if pairs { 2 } else { 1 });
    let rows = samples.len().div_ceil(columns);
    let span = |n: usize, size: u32| u32::try_from(n).ok()?.checked_mul(size + GAP)?.checked_add(GAP);
    let mut canvas = Picture::filled(span(columns, width)?, span(rows, height)?, [255; 3]);
    for (index, sample) in samples.iter().enumerate() {
        let left = span(index % columns, width)?;
        let top = span(index / columns, height)?;
        if let Some(original) = &sample.original {
            canvas.paste(original, left, top);
        }
        canvas.paste(&sample.decoded, left + right, top);
    }
    Some(canvas)
}

/// Cells are `aspect` times as wide as high, so that many times as many rows as columns make a square.
fn columns(samples: usize, aspect: usize) -> usize {
    (1..=samples).find(|n| aspect * n * n >= samples).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn originals_lie_left_of_their_decodings() {
        let sample = |shade: u8| Sample {
            original: Some(Picture::filled(8, 8, [shade; 3])),
            decoded: Picture::filled(8, 8, [shade + 1; 3]),
        };
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
    fn decodings_alone_make_a_square() {
        let sample = Sample { original: None, decoded: Picture::filled(8, 8, [7; 3]) };
        let picture = grid(&vec![sample; 4]).unwrap();
        assert_eq!((picture.width(), picture.height()), (2 * 12 + 4, 2 * 12 + 4));
        assert_eq!(picture.pixel(4, 4), Some([7; 3]));
    }

    #[test]
    fn no_samples_make_no_picture() {
        assert_eq!(grid(&[]), None);
    }
}
