//! Pixels: 8-bit RGB pictures, decoded from what the web serves, resized with img2dataset's geometry, encoded again.

mod area;
mod blur;
mod decode;
mod encode;
mod exif;
mod exif_tags;
mod pillow;
mod resize;
mod scale;
mod source;
#[cfg(feature = "turbojpeg")]
mod turbo;
mod webp;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use crate::reason::Reason;

pub use blur::{BlurBox, blur};
pub use decode::{DecodeOptions, Decoded, Header, decode, decode_for, probe};
pub use encode::{EncodeFormat, EncodeOptions, encode, encode_grey};
pub use exif::exif_json;
pub use pillow::{Resampling, resample};
pub use resize::{Geometry, ResizeMode, ResizeOptions, geometry, resize, resize_decoded, resize_with};
pub use scale::{Interpolation, scale};
pub use source::Source;

/// Which library reads and writes JPEG: they differ in the last bits.
pub const JPEG_CODEC: &str = if cfg!(feature = "turbojpeg") { "libjpeg-turbo" } else { "rust" };

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// A codec that panics on hostile bytes has met a damaged file; it is neither the end of the program nor worth the lines
/// that a panic writes.
pub(crate) fn guarded<T>(codec: impl FnOnce() -> Result<T, Reason>) -> Result<T, Reason> {
    unless_it_panics(codec).unwrap_or(Err(Reason::Decode))
}

/// What a library makes of hostile bytes; `None` where it panics, of which nothing is written.
pub(crate) fn unless_it_panics<T>(work: impl FnOnce() -> T) -> Option<T> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let other = take_hook();
        set_hook(Box::new(move |panic| {
            if !GUARDED.get() {
                other(panic);
            }
        }));
    });
    let outer = GUARDED.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(outer);
    done.ok()
}

/// An sRGB picture, 8 bits per channel, rows from top to bottom without padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl Picture {
    /// A picture of `3 * width * height` bytes; `None` if the length does not fit or a side is 0.
    pub fn new(width: u32, height: u32, pixels: Vec<u8>) -> Option<Self> {
        let expected = u64::from(width) * u64::from(height) * 3;
        (expected > 0 && expected == pixels.len() as u64).then_some(Self { width, height, pixels })
    }

    /// A picture of one colour; sides of 0 become 1.
    pub fn filled(width: u32, height: u32, colour: [u8; 3]) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        Self { width, height, pixels: colour.repeat(width as usize * height as usize) }
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The bytes, `r g b` per pixel.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The bytes, taken out.
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }

    /// One pixel, `None` outside.
    pub fn pixel(&self, x: u32, y: u32) -> Option<[u8; 3]> {
        let inside = x < self.width && y < self.height;
        let at = 3 * (y as usize * self.width as usize + x as usize);
        inside.then(|| self.pixels.get(at..at + 3).and_then(|p| p.try_into().ok())).flatten()
    }

    /// Copies `other` in at (`left`, `top`); what does not fit is cut off.
    pub fn paste(&mut self, other: &Self, left: u32, top: u32) {
        let columns = other.width.min(self.width.saturating_sub(left)) as usize;
        let rows = other.height.min(self.height.saturating_sub(top)) as usize;
        for row in 0..rows {
            let from = 3 * row * other.width as usize;
            let to = 3 * ((top as usize + row) * self.width as usize + left as usize);
            self.pixels[to..to + 3 * columns].copy_from_slice(&other.pixels[from..from + 3 * columns]);
        }
    }

    /// The part of `width × height` at (`left`, `top`), cut to what there is.
    #[must_use]
    pub fn crop(&self, left: u32, top: u32, width: u32, height: u32) -> Self {
        let width = width.min(self.width.saturating_sub(left));
        let height = height.min(self.height.saturating_sub(top));
        let mut part = Self::filled(width, height, [0; 3]);
        for row in 0..height as usize {
            let from = 3 * ((top as usize + row) * self.width as usize + left as usize);
            let to = 3 * row * width as usize;
            let length = 3 * width as usize;
            part.pixels[to..to + length].copy_from_slice(&self.pixels[from..from + length]);
        }
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cropped_paste_is_what_was_pasted() {
        let mut canvas = Picture::filled(5, 4, [9, 9, 9]);
        let small = Picture::new(2, 2, (0..12).collect()).unwrap();
        canvas.paste(&small, 3, 1);
        assert_eq!(canvas.crop(3, 1, 2, 2), small);
        assert_eq!(canvas.pixel(2, 1), Some([9, 9, 9]));
        assert_eq!(canvas.pixel(4, 2), Some([9, 10, 11]));
        assert_eq!(canvas.pixel(5, 0), None);
        canvas.paste(&small, 4, 3);
        assert_eq!(canvas.pixel(4, 3), Some([0, 1, 2]));
    }

    #[test]
    fn a_panic_is_a_damaged_file() {
        assert_eq!(guarded(|| Ok(7)), Ok(7));
        assert_eq!(guarded(|| Err::<u8, _>(Reason::Truncated)), Err(Reason::Truncated));
        assert_eq!(guarded::<u8>(|| panic!("hostile bytes")), Err(Reason::Decode));
    }

    #[test]
    fn a_wrong_length_is_no_picture() {
        assert_eq!(Picture::new(2, 2, vec![0; 11]), None);
        assert_eq!(Picture::new(0, 2, vec![]), None);
    }
}
