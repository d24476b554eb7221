//! What counting neighbours reaches: the loss of a table of colours, given the colours of pixels before them.

use crate::data::Tokens;

/// Which pixels the next one is guessed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// The one before it in raster order: a bigram.
    Before,
    /// The one before it and the one above it.
    BeforeAndAbove,
}

/// Largest table, in colours counted: 64 colours from two neighbours, 512 from one.
const LARGEST: usize = 1 << 18;

impl Context {
    fn neighbours(self) -> u32 {
        match self {
            Self::Before => 1,
            Self::BeforeAndAbove => 2,
        }
    }

    /// Its number at a pixel; past the edge stands one colour more than there are.
    fn at(self, codes: &[u16], pixel: usize, grid: usize, colours: usize) -> usize {
        let back = |by: usize| pixel.checked_sub(by).map_or(colours, |at| usize::from(codes[at]));
        match self {
            Self::Before => back(1),
            Self::BeforeAndAbove => back(1) * (colours + 1) + back(grid),
        }
    }
}

/// Mean held-out loss in nats per pixel of guessing by how often each colour followed its context in the training
/// pictures, each count one more than it was. `None` where the table would be too large to be filled.
#[must_use]
pub fn baseline(context: Context, train: &Tokens, held_out: &Tokens) -> Option<f64> {
    let sizes = (train.meta().grid, train.meta().codebook_size);
    counted(context, sizes, train.images(), held_out.images())
}

/// The same for pictures of `grid²` codes below `colours`.
fn counted<'a>(
    context: Context,
    (grid, colours): (usize, usize),
    train: impl Iterator<Item = &'a [u16]>,
    held_out: impl Iterator<Item = &'a [u16]>,
) -> Option<f64> {
    let contexts = (colours + 1).checked_pow(context.neighbours())?;
    if colours.checked_pow(context.neighbours() + 1)? > LARGEST {
        return None;
    }
    let mut counts = vec![1u64; contexts * colours];
    let at = |codes: &[u16], pixel: usize| context.at(codes, pixel, grid, colours) * colours;
    for codes in train {
        for (pixel, code) in codes.iter().enumerate() {
            counts[at(codes, pixel) + usize::from(*code)] += 1;
        }
    }
    let totals: Vec<f64> = counts.chunks_exact(colours).map(|row| row.iter().sum::<u64>() as f64).collect();
    let (mut sum, mut pixels) = (0.0, 0usize);
    for codes in held_out {
        for (pixel, code) in codes.iter().enumerate() {
            let row = at(codes, pixel);
            sum -= (counts[row + usize::from(*code)] as f64 / totals[row / colours]).ln();
        }
        pixels += codes.len();
    }
    Some(sum / pixels.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(context: Context, train: &[[u16; 4]], held_out: &[[u16; 4]]) -> f64 {
        let rows = |pictures: &'static [[u16; 4]]| pictures.iter().map(<[u16; 4]>::as_slice);
        let leak = |pictures: &[[u16; 4]]| rows(pictures.to_vec().leak());
        counted(context, (2, 3), leak(train), leak(held_out)).unwrap()
    }

    #[test]
    fn a_bigram_counts_what_followed() {
        // 0 1 / 0 1: of three colours, the first pixel is 0, 1 follows 0 twice, 0 follows 1 once; each count one more.
        let expected = -((2f64 / 4.0).ln() + 2.0 * (3f64 / 5.0).ln() + (2f64 / 4.0).ln()) / 4.0;
        assert!((loss(Context::Before, &[[0, 1, 0, 1]], &[[0, 1, 0, 1]]) - expected).abs() < 1e-12);
        // What was never seen is as likely as everything else.
        assert!(
            (loss(Context::Before, &[[0, 0, 0, 0]], &[[2, 2, 2, 2]]) - (4f64.ln() + 3.0 * 3f64.ln()) / 4.0)
                .abs()
                < 1e-12
        );
    }

    #[test]
    fn the_pixel_above_tells_what_the_one_before_does_not() {
        let train = [[0, 1, 0, 1], [1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1]].repeat(50);
        let [bigram, both] =
            [Context::Before, Context::BeforeAndAbove].map(|context| loss(context, &train, &train));
        assert!((bigram - 2f64.ln()).abs() < 0.05 && both < 0.6 * bigram, "{bigram} {both}");
    }

    #[test]
    fn a_table_that_nobody_could_fill_is_left_out() {
        let none = std::iter::empty::<&[u16]>;
        assert_eq!(counted(Context::BeforeAndAbove, (2, 512), none(), none()), None);
        assert!(counted(Context::Before, (2, 512), none(), none()).is_some());
    }
}
