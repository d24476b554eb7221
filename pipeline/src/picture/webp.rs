//! WebP by libwebp, the one codec here that is C: no Rust encoder writes lossy WebP.
//!
//! Two calls of libwebp's simple encoding interface (`webp/encode.h`), with the settings of OpenCV's `imencode`.

use std::ffi::c_int;
use std::ptr;

use super::Picture;
use crate::reason::Reason;

/// Longest side of a WebP picture (`WEBP_MAX_DIMENSION`).
const LONGEST: u32 = 16_383;

/// A block of memory that libwebp allocated; freed when dropped.
struct Encoded {
    start: *mut u8,
    length: usize,
}

impl Drop for Encoded {
    #[expect(unsafe_code, reason = "memory of the C library must go back to it")]
    fn drop(&mut self) {
        // SAFETY: `start` is null or came from libwebp's encoder, and nobody else frees it; null is allowed.
        unsafe { libwebp_sys::WebPFree(self.start.cast()) };
    }
}

/// Encodes a picture: lossy at `quality` 1 to 100, lossless without one.
///
/// # Errors
/// [`Reason::Encode`] when a side is longer than 16,383 pixels or libwebp has no memory.
#[expect(unsafe_code, reason = "calls of the C library")]
pub(super) fn encode(picture: &Picture, quality: Option<u8>) -> Result<Vec<u8>, Reason> {
    let (width, height) = (picture.width(), picture.height());
    if width.max(height) > LONGEST {
        return Err(Reason::Encode);
    }
    let side = |pixels: u32| c_int::try_from(pixels).map_err(|_| Reason::Encode);
    let (width, height, stride) = (side(width)?, side(height)?, side(3 * width)?);
    let pixels = picture.pixels().as_ptr();
    let mut encoded = Encoded { start: ptr::null_mut(), length: 0 };
    // SAFETY: `Picture` guarantees 3 * width * height bytes behind `pixels`, which is what libwebp reads at this stride.
    // It writes nothing there, keeps neither pointer, and sets `start` to a block of the length that it returns.
    encoded.length = unsafe {
        match quality {
            Some(quality) => libwebp_sys::WebPEncodeRGB(
                pixels,
                width,
                height,
                stride,
                f32::from(quality),
                &raw mut encoded.start,
            ),
            None => libwebp_sys::WebPEncodeLosslessRGB(pixels, width, height, stride, &raw mut encoded.start),
        }
    };
    if encoded.start.is_null() || encoded.length == 0 {
        return Err(Reason::Encode);
    }
    // SAFETY: libwebp reported a block of `length` bytes at `start`, initialised, and it lives until `encoded` is dropped.
    Ok(unsafe { std::slice::from_raw_parts(encoded.start, encoded.length) }.to_vec())
}

#[cfg(test)]
mod tests {
    use super::super::{DecodeOptions, decode};
    use super::*;

    #[test]
    fn quality_trades_size_for_closeness_and_none_is_exact() {
        let value = |i: u32| ((i * 37 % 251) ^ (i >> 5)).to_le_bytes()[0];
        let picture = Picture::new(40, 30, (0..40 * 30 * 3).map(value).collect()).unwrap();
        let [low, high, exact] = [Some(10), Some(95), None].map(|quality| encode(&picture, quality).unwrap());
        assert!(low.len() < high.len(), "{} {}", low.len(), high.len());
        let back = |bytes: &[u8]| decode(bytes, &DecodeOptions::default()).unwrap();
        assert_eq!(back(&exact), picture);
        let error = |bytes: &[u8]| {
            let differences = back(bytes).into_pixels();
            differences.iter().zip(picture.pixels()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>()
        };
        assert!(error(&high) < error(&low));
        assert!(error(&high) > 0, "lossy");
        assert_eq!(high, encode(&picture, Some(95)).unwrap(), "the same bytes again");
    }

    #[test]
    fn a_side_beyond_the_format_is_a_reason() {
        assert_eq!(encode(&Picture::filled(LONGEST + 1, 1, [0; 3]), Some(80)), Err(Reason::Encode));
        assert!(encode(&Picture::filled(LONGEST, 1, [0; 3]), Some(80)).is_ok());
    }
}
