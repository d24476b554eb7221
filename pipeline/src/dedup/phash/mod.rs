//! The perceptual hash of a picture: bit for bit that of Python's `imagehash.phash(image)` (size 8, factor 4), so that
//! hashes of both can be joined.
//!
//! Grey by Pillow's `convert("L")`, 32 × 32 pixels by its Lanczos filter, a cosine transform down and across, of which
//! the 8 × 8 lowest frequencies are compared with their median (`imagehash/__init__.py`). Equal pixels give equal bits on
//! x86-64 (from Pillow 13.0 on; earlier ones shrink tall pictures in another order); decoders of JPEG that differ in the
//! last bit of a pixel may flip one.

mod dct;
mod lanczos;

use std::fmt;
use std::str::FromStr;

use crate::picture::Picture;
use dct::{LENGTH, dct};

/// Frequencies per direction that a hash keeps.
const KEPT: usize = 8;

/// A perceptual hash; shown as `imagehash` shows it, 16 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PHash(pub u64);

impl PHash {
    /// The hash of a picture as it is decoded.
    ///
    /// ```
    /// use pipeline::{dedup::PHash, picture::Picture};
    /// assert_eq!(PHash::of(&Picture::filled(640, 480, [255; 3])).to_string(), "8000000000000000");
    /// ```
    pub fn of(picture: &Picture) -> Self {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let grey = picture.pixels().as_chunks::<3>().0.iter().map(|rgb| luma(*rgb)).collect();
        Self(bits(&lanczos::resize(grey, width, height, LENGTH)))
    }

    /// In how many bits two hashes differ, 0 to 64.
    pub fn distance(self, other: Self) -> u32 {
        (self.0 ^ other.0).count_ones()
    }
}

impl fmt::Display for PHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for PHash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let hash = u64::from_str_radix(text, 16).ok().filter(|_| digits);
        hash.map(Self).ok_or_else(|| format!("`{text}` is no perceptual hash: 16 hex digits"))
    }
}

/// ITU-R 601-2 as Pillow rounds it (`src/libImaging/Convert.c`).
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let sum = 19_595 * u32::from(red) + 38_470 * u32::from(green) + 7_471 * u32::from(blue) + 0x8000;
    (sum >> 16).to_le_bytes()[0]
}

/// One bit per low frequency, the lowest first, row by row: whether it is above the median of all.
fn bits(grey: &[u8]) -> u64 {
    let mut low = [[0.0; LENGTH]; KEPT];
    for x in 0..LENGTH {
        let down = dct(std::array::from_fn(|y| f64::from(grey[y * LENGTH + x])));
        low.iter_mut().zip(down).for_each(|(row, value)| row[x] = value);
    }
    let mut frequencies = [0.0; KEPT * KEPT];
    for (row, kept) in low.into_iter().zip(frequencies.as_chunks_mut::<KEPT>().0) {
        kept.copy_from_slice(&dct(row)[..KEPT]);
    }
    let median = median(frequencies);
    frequencies.iter().fold(0, |bits, value| bits << 1 | u64::from(*value > median))
}

/// As NumPy has it: of an even number the mean of the two in the middle.
fn median(mut values: [f64; KEPT * KEPT]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    (values[middle - 1] + values[middle]) / 2.0
}

#[cfg(test)]
mod tests;
