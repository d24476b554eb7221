//! Which format the bytes are in.

use image::ImageFormat;

use crate::reason::Reason;

/// The format, if it is one that is read.
///
/// # Errors
/// [`Reason::Empty`], [`Reason::NotImage`], or [`Reason::Format`] for images of other formats.
pub(super) fn format_of(bytes: &[u8]) -> Result<ImageFormat, Reason> {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    if bytes.is_empty() {
        return Err(Reason::Empty);
    }
    // BigTIFF, which `image` reads but does not recognise.
    if bytes.starts_with(b"II\x2B\0") || bytes.starts_with(b"MM\0\x2B") {
        return Ok(Tiff);
    }
    match image::guess_format(bytes) {
        Ok(format @ (Jpeg | Png | WebP | Gif | Bmp | Tiff)) => Ok(format),
        Ok(_) => Err(Reason::Format),
        Err(_) if is_foreign_image(bytes) => Err(Reason::Format),
        Err(_) => Err(Reason::NotImage),
    }
}

/// Image formats that are known but not read: ISO media (AVIF, HEIC), JPEG XL, JPEG 2000, Photoshop, SVG.
fn is_foreign_image(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(1024)];
    let brand = start.get(4..12).is_some_and(|b| {
        b.starts_with(b"ftyp")
            && [b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1"].iter().any(|s| b.ends_with(*s))
    });
    let magic: [&[u8]; 5] = [b"\xFF\x0A", b"\0\0\0\x0CJXL ", b"\0\0\0\x0CjP  ", b"\xFF\x4F\xFF\x51", b"8BPS"];
    brand
        || magic.iter().any(|m| start.starts_with(m))
        || start.windows(4).any(|w| w.eq_ignore_ascii_case(b"<svg"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_image_has_its_reason() {
        let why = |bytes: &[u8]| format_of(bytes).unwrap_err();
        assert_eq!(why(b""), Reason::Empty);
        assert_eq!(why(b"<!DOCTYPE html><html><body>gone</body></html>"), Reason::NotImage);
        assert_eq!(why(b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>"), Reason::Format);
        assert_eq!(why(b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf"), Reason::Format);
        assert_eq!(why(&[7; 500]), Reason::NotImage);
    }
}
