//! What `image` does not give of a TIFF: the profile of a small picture, and inks.

use std::io::Cursor;

use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;

/// The colour profile. `image` allows it as much memory as the pixels take, and every byte costs 32.
pub(super) fn profile(bytes: &[u8]) -> Option<Vec<u8>> {
    Decoder::new(Cursor::new(bytes)).ok()?.get_tag_u8_vec(Tag::IccProfile).ok()
}

/// Amounts of ink, four bytes per pixel, of a file that holds no more of them than `limit` bytes; `image` turns them
/// into colours without looking at the profile.
pub(super) fn inks(bytes: &[u8], limit: u64) -> Option<Vec<u8>> {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut decoder = Decoder::new(Cursor::new(bytes)).ok()?.with_limits(limits);
    match decoder.read_image().ok()? {
        DecodingResult::U8(inks) => Some(inks),
        _ => None,
    }
}
