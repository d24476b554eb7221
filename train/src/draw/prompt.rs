//! Image prompts: the borders of a picture, given as codes, around which or after which the rest is drawn.
//!
//! Source: `ImagePrompts` of `ai-forever/ru-dalle`. The sequence is causal: a code is drawn from the text and from the codes
//! before it in raster order, so a border below or to the right is only seen by what comes after it.

use pipeline::picture::Picture;
use tokenize::codec::Codec;

use crate::error::{Error, Result};

/// How many codes of each side are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Borders {
    /// Rows at the top.
    pub up: usize,
    /// Rows at the bottom.
    pub down: usize,
    /// Columns at the left.
    pub left: usize,
    /// Columns at the right.
    pub right: usize,
}

impl Borders {
    /// The places of a grid of `rows` by `columns` that are given, in raster order.
    #[must_use]
    pub fn places(&self, rows: usize, columns: usize) -> Vec<usize> {
        let given = |place: &usize| {
            let (row, column) = (place / columns, place % columns);
            let (below, after) = (rows - 1 - row, columns - 1 - column);
            row < self.up || below < self.down || column < self.left || after < self.right
        };
        (0..rows * columns).filter(given).collect()
    }

    /// Checks that each border lies within a square grid.
    ///
    /// # Errors
    /// [`Error::Config`] with the border that does not.
    pub fn check(&self, grid: usize) -> Result<()> {
        let sides = [("up", self.up), ("down", self.down), ("left", self.left), ("right", self.right)];
        match sides.iter().find(|(_, border)| *border > grid) {
            Some((name, border)) => {
                let why = format!(
                    "--{name}: a border of {border} codes is larger than the grid of {grid} x {grid}"
                );
                Err(Error::config(why).with_hint(format!("at most {grid}; {} is half of it", grid / 2)))
            }
            None => Ok(()),
        }
    }

    /// Which codes of the picture's grid are given, strip by strip: (first row, first column, rows, columns), in the
    /// published order, in which a later strip wins at a corner.
    fn strips(&self, grid: usize) -> [(usize, usize, usize, usize); 4] {
        [
            (grid - self.down, 0, self.down, grid),
            (0, grid - self.right, grid, self.right),
            (0, 0, grid, self.left),
            (0, 0, self.up, grid),
        ]
    }
}

/// The codes of a square picture's borders by their places in raster order: what [`Drawing::given`](super::Drawing::given)
/// takes.
///
/// With `crop_first` each border is encoded for itself, so that nothing of the rest leaks through the codec into its codes;
/// otherwise the picture is encoded once, as a whole.
///
/// # Errors
/// A border that is larger than the grid, or a picture that is no square of whole codes.
pub fn given_codes(
    picture: &Picture,
    borders: &Borders,
    codec: &Codec,
    crop_first: bool,
) -> Result<Vec<(usize, u16)>> {
    let side = codec.downsampling();
    let grid = picture.width() as usize / side;
    if picture.width() != picture.height() || picture.width() as usize != grid * side {
        let why = format!(
            "a picture of {} x {} pixels is no square of whole codes",
            picture.width(),
            picture.height()
        );
        return Err(Error::config(why).with_hint(format!("a code is {side} x {side} pixels")));
    }
    borders.check(grid)?;
    let mut codes = vec![0; grid * grid];
    if crop_first {
        for (top, left, rows, columns) in borders.strips(grid) {
            paste(picture, codec, (top, left, rows, columns), grid, &mut codes)?;
        }
    } else {
        codes = codec.encode(std::slice::from_ref(picture))?.pop().unwrap_or_default();
    }
    Ok(borders.places(grid, grid).into_iter().filter_map(|place| Some((place, *codes.get(place)?))).collect())
}

/// Encodes one strip alone and puts its codes where they belong.
fn paste(
    picture: &Picture,
    codec: &Codec,
    (top, left, rows, columns): (usize, usize, usize, usize),
    grid: usize,
    codes: &mut [u16],
) -> Result<()> {
    if rows == 0 || columns == 0 {
        return Ok(());
    }
    let pixels = |codes: usize| (codes * codec.downsampling()) as u32;
    let strip = picture.crop(pixels(left), pixels(top), pixels(columns), pixels(rows));
    let found = codec.encode(&[strip])?.pop().unwrap_or_default();
    for (row, found) in found.chunks_exact(columns).enumerate() {
        codes[(top + row) * grid + left..][..columns].copy_from_slice(found);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn places_are_what_the_strips_cover(
            grid in 1usize..9, up in 0usize..9, down in 0usize..9, left in 0usize..9, right in 0usize..9,
        ) {
            let borders = Borders { up, down, left, right };
            let fits = [up, down, left, right].iter().all(|border| *border <= grid);
            prop_assert_eq!(borders.check(grid).is_ok(), fits);
            prop_assume!(fits);
            let mut covered = Vec::new();
            for (top, first, rows, columns) in borders.strips(grid) {
                for row in top..top + rows {
                    covered.extend((first..first + columns).map(|column| row * grid + column));
                }
            }
            covered.sort_unstable();
            covered.dedup();
            prop_assert_eq!(borders.places(grid, grid), covered);
        }
    }

    #[test]
    fn a_border_larger_than_the_grid_is_refused_with_a_cure() {
        let error = Borders { left: 9, ..Borders::default() }.check(8).unwrap_err();
        assert_eq!(error.to_string(), "--left: a border of 9 codes is larger than the grid of 8 x 8");
        assert_eq!(error.hint().unwrap(), "at most 8; 4 is half of it");
    }
}
