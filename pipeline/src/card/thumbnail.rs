//! Small pictures for the page, made by our own encoder: no byte of a foreign file gets into it.

use super::record::Thumbnail;
use crate::picture::{
    DecodeOptions, EncodeFormat, EncodeOptions, ResizeMode, ResizeOptions, decode_for, encode, resize_decoded,
};

/// The longest side in pixels.
const SIDE: u32 = 128;
/// Most bytes: with 200 of them in base64 (rows, removed rows, what was kept instead of those, groups) the page stays below 1.5 MB.
const MOST: usize = 5000;
/// Qualities, until one is small enough.
const QUALITIES: [u8; 4] = [75, 60, 40, 20];

/// A small JPEG of a picture; `None` of what cannot be decoded.
pub(super) fn thumbnail(bytes: &[u8]) -> Option<Thumbnail> {
    let mode = ResizeMode::KeepRatioLargest;
    let resize = ResizeOptions { mode, size: SIDE, only_if_bigger: true, ..ResizeOptions::default() };
    let decoded = decode_for(bytes, &DecodeOptions::default(), &resize).ok()?;
    let small = resize_decoded(decoded, &resize).ok()?;
    let mut jpeg = Vec::new();
    for quality in QUALITIES {
        let options = EncodeOptions { format: EncodeFormat::Jpg, quality: Some(quality) };
        jpeg = encode(&small, &options).ok()?;
        if jpeg.len() <= MOST {
            break;
        }
    }
    Some(Thumbnail { width: small.width(), height: small.height(), jpeg })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Picture, decode};

    fn noise(width: u32, height: u32) -> Vec<u8> {
        let mut state = 1_u32;
        let mut byte = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let pixels = (0..3 * width * height).map(|_| byte()).collect();
        encode(&Picture::new(width, height, pixels).unwrap(), &EncodeOptions::png()).unwrap()
    }

    #[test]
    fn thumbnails_keep_their_shape_and_are_small_whatever_they_show() {
        for ((width, height), expected) in
            [((512, 256), (128, 64)), ((300, 900), (43, 128)), ((20, 10), (20, 10))]
        {
            let small = thumbnail(&noise(width, height)).unwrap();
            assert!(small.jpeg.len() <= MOST, "{} bytes", small.jpeg.len());
            assert_eq!(small.jpeg[..3], [0xff, 0xd8, 0xff]);
            let picture = decode(&small.jpeg, &DecodeOptions::default()).unwrap();
            assert_eq!(
                ((picture.width(), picture.height()), (small.width, small.height)),
                (expected, expected)
            );
        }
        assert_eq!(thumbnail(b"<script>"), None);
    }
}
