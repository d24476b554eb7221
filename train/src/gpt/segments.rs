//! The three parts of a sequence, in order: left text, image grid in raster order, right text.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// How many positions each part of a sequence takes.
///
/// DALL·E has no right text, ImageGPT no text at all: both are this struct with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segments {
    /// Left-text positions.
    pub left: usize,
    /// Codes per side of the square image; 0 without an image.
    pub grid: usize,
    /// Right-text positions.
    pub right: usize,
}

impl Segments {
    /// Codes of one image: `grid²`.
    pub const fn image(&self) -> usize {
        self.grid * self.grid
    }

    /// Positions of a whole sequence.
    pub const fn total(&self) -> usize {
        self.left + self.image() + self.right
    }

    /// The positions of the image.
    pub const fn image_range(&self) -> Range<usize> {
        self.left..self.left + self.image()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rudolph_350m_has_384_positions() {
        let segments = Segments { left: 64, grid: 16, right: 64 };
        assert_eq!(segments.image_range(), 64..320);
        assert_eq!(segments.total(), 384);
    }
}
