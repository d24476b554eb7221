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
    let (grid, colours) = (train.meta().grid, train.meta().codebook_size);
    let contexts = (colours + 1).checked_pow(context.neighbours())?;
    if colours.checked_pow(context.neighbours() + 1)? > LARGEST {
        return None;
    }
    let mut counts = vec![1u64; contexts * colours];
    let at = |codes: &[u16], pixel: usize| context.at(codes, pixel, grid, colours) * colours;
    for codes in train.images() {
        for (pixel, code) in codes.iter().enumerate() {
            counts[at(codes, pixel) + usize::from(*code)] += 1;
        }
    }
    let totals: Vec<f64> = counts.chunks_exact(colours).map(|row| row.iter().sum::<u64>() as f64).collect();
    let (mut sum, mut pixels) = (0.0, 0usize);
    for codes in held_out.images() {
        for (pixel, code) in codes.iter().enumerate() {
            let row = at(codes, pixel);
            sum -= (counts[row + usize::from(*code)] as f64 / totals[row / colours]).ln();
        }
        pixels += codes.len();
    }
    Some(sum / pixels.max(1) as f64)
}
