//! Sample pictures laid out on one sheet.

use std::path::Path;

use pipeline::picture::{EncodeOptions, Picture, encode};
use pipeline::reason::Reason;

use crate::{Error, Result};

/// Lays pictures of one size out in rows of `columns`, with a white line between them. `None` without pictures.
#[must_use]
pub fn grid(pictures: &[Picture], columns: usize) -> Option<Picture> {
    const LINE: u32 = 2;
    let first = pictures.first()?;
    let columns = columns.clamp(1, pictures.len()) as u32;
    let rows = (pictures.len() as u32).div_ceil(columns);
    let side = |count: u32, length: u32| count * (length + LINE) - LINE;
    let mut sheet = Picture::filled(side(columns, first.width()), side(rows, first.height()), [255; 3]);
    for (picture, at) in pictures.iter().zip(0..) {
        let [left, top] = [at % columns * (first.width() + LINE), at / columns * (first.height() + LINE)];
        sheet.paste(picture, left, top);
    }
    Some(sheet)
}

/// Writes [`grid`] as a PNG file; without pictures there is no file.
///
/// # Errors
/// The file cannot be written.
pub fn save_grid(pictures: &[Picture], columns: usize, path: &Path) -> Result<()> {
    let Some(sheet) = grid(pictures, columns) else { return Ok(()) };
    Ok(pipeline::atomic::write(path, png(&sheet)?)?)
}

/// A picture as the bytes of a PNG file.
///
/// # Errors
/// The encoder refuses it.
pub fn png(picture: &Picture) -> Result<Vec<u8>> {
    let refuse = |reason: Reason| Error::config(format!("cannot write a PNG: {}", reason.text()));
    encode(picture, &EncodeOptions::png()).map_err(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_has_lines_between_its_pictures() {
        let pictures: Vec<_> = [10, 20, 30].map(|grey| Picture::filled(4, 4, [grey; 3])).into();
        let sheet = grid(&pictures, 2).unwrap();
        assert_eq!((sheet.width(), sheet.height()), (10, 10));
        let greys = [(0, 0), (4, 0), (6, 0), (0, 6), (6, 6)].map(|(x, y)| sheet.pixel(x, y).unwrap()[0]);
        assert_eq!(greys, [10, 255, 20, 30, 255]);
        assert_eq!(grid(&[], 3), None);
        assert_eq!(grid(&pictures[..1], 9).unwrap(), pictures[0]);
    }
}
