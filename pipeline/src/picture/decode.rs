//! Bytes to pixels: jpeg, png, webp, gif (first frame), bmp and tiff, upright, over a colour, within a pixel limit.
//!
//! Nothing is allocated for pixels before the header has been held against the limit; what the decoder libraries
//! refuse, or panic at, becomes a [`Reason`].

use std::io::Cursor;

use image::error::ImageError;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use serde::{Deserialize, Serialize};

use super::{Picture, guarded};
use crate::reason::Reason;

/// How bytes become a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DecodeOptions {
    /// The colour under transparent pixels, `[red, green, blue]`; white as in img2dataset.
    pub background: [u8; 3],
    /// Most pixels that a picture may have; Pillow's bomb limit.
    pub max_pixels: u64,
    /// Whether EXIF orientation is applied (img2dataset leaves such pictures lying on their side).
    pub exif_orientation: bool,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self { background: [255; 3], max_pixels: 89_478_485, exif_orientation: true }
    }
}

/// What the first bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Width in the file, before orientation.
    pub width: u32,
    /// Height in the file, before orientation.
    pub height: u32,
    /// Bytes that decoding and conversion to RGB will hold at a time.
    pub decoded_bytes: u64,
}

/// Reads the header alone.
///
/// # Errors
/// The reason why there is no picture in `bytes`, [`Reason::TooManyPixels`] above the limit.
pub fn probe(bytes: &[u8], options: &DecodeOptions) -> Result<Header, Reason> {
    guarded(|| {
        let decoder = open(bytes, options)?;
        let (width, height) = decoder.dimensions();
        let pixels = u64::from(width) * u64::from(height);
        Ok(Header { width, height, decoded_bytes: decoder.total_bytes().saturating_add(3 * pixels) })
    })
}

/// Decodes a picture.
///
/// # Errors
/// The reason why there is none.
///
/// ```
/// use pipeline::picture::{DecodeOptions, EncodeOptions, Picture, decode, encode};
/// let red = Picture::filled(2, 1, [255, 0, 0]);
/// let png = encode(&red, &EncodeOptions::png())?;
/// assert_eq!(decode(&png, &DecodeOptions::default())?, red);
/// # Ok::<(), pipeline::reason::Reason>(())
/// ```
pub fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Picture, Reason> {
    guarded(|| picture_of(bytes, options))
}

fn picture_of(bytes: &[u8], options: &DecodeOptions) -> Result<Picture, Reason> {
    let mut decoder = open(bytes, options)?;
    if image::guess_format(bytes).ok() == Some(ImageFormat::Jpeg) && !jpeg_is_whole(bytes) {
        return Err(Reason::Truncated);
    }
    // A damaged EXIF block says nothing about the pixels.
    let orientation = decoder.orientation().ok().filter(|_| options.exif_orientation);
    let mut image = DynamicImage::from_decoder(decoder).map_err(|e| reason_of(&e))?;
    if let Some(orientation) = orientation {
        image.apply_orientation(orientation);
    }
    let (width, height) = (image.width(), image.height());
    let pixels = match image.color().has_alpha() {
        true => flatten(image.into_rgba8().as_raw(), options.background),
        false => image.into_rgb8().into_raw(),
    };
    Picture::new(width, height, pixels).ok_or(Reason::Decode)
}

fn open<'a>(bytes: &'a [u8], options: &DecodeOptions) -> Result<impl ImageDecoder + use<'a>, Reason> {
    let format = format_of(bytes)?;
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    // 16-bit RGBA is the widest; the rest is room for the decoder's own tables.
    limits.max_alloc = Some(options.max_pixels.saturating_mul(8).saturating_add(64 << 20));
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|e| reason_of(&e))?;
    let (width, height) = decoder.dimensions();
    match u64::from(width) * u64::from(height) {
        0 => Err(Reason::Decode),
        pixels if pixels > options.max_pixels => Err(Reason::TooManyPixels),
        _ => Ok(decoder),
    }
}

fn format_of(bytes: &[u8]) -> Result<ImageFormat, Reason> {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    if bytes.is_empty() {
        return Err(Reason::Empty);
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
    let magic: [&[u8]; 4] = [b"\xFF\x0A", b"\0\0\0\x0CJXL ", b"\0\0\0\x0CjP  ", b"8BPS"];
    brand
        || magic.iter().any(|m| start.starts_with(m))
        || start.windows(4).any(|w| w.eq_ignore_ascii_case(b"<svg"))
}

fn reason_of(error: &ImageError) -> Reason {
    match error {
        ImageError::IoError(_) => Reason::Truncated,
        ImageError::Unsupported(_) => Reason::Format,
        ImageError::Limits(_) => Reason::TooManyPixels,
        _ => Reason::Decode,
    }
}

/// Whether an end-of-image marker follows the first scan. The JPEG decoder fills what is missing with grey and says
/// nothing; a thumbnail inside the metadata has an end marker of its own, so only what follows the scan counts.
fn jpeg_is_whole(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xFF, marker]) = bytes.get(at..at + 2) {
        match marker {
            0xDA => return bytes[at..].windows(2).any(|pair| pair == [0xFF, 0xD9]),
            // Fill bytes and markers without a length.
            0xFF => at += 1,
            0x01 | 0xD0..=0xD8 => at += 2,
            _ => match bytes.get(at + 2..at + 4) {
                Some(&[high, low]) => at += 2 + usize::from(u16::from_be_bytes([high, low])),
                _ => return false,
            },
        }
    }
    false
}

/// RGBA over a colour, rounded to nearest.
fn flatten(rgba: &[u8], background: [u8; 3]) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(rgba.len() / 4 * 3);
    for pixel in rgba.chunks_exact(4) {
        let alpha = u32::from(pixel[3]);
        for (&top, under) in pixel[..3].iter().zip(background) {
            let mixed = (u32::from(top) * alpha + u32::from(under) * (255 - alpha) + 127) / 255;
            rgb.push(mixed.to_le_bytes()[0]);
        }
    }
    rgb
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use image::{ImageBuffer, Luma, LumaA, Rgb, Rgba};

    use super::super::{EncodeOptions, encode};
    use super::*;

    fn options() -> DecodeOptions {
        DecodeOptions::default()
    }

    fn bytes_of(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        image.into().write_to(&mut out, format).unwrap();
        out.into_inner()
    }

    fn gradient() -> Picture {
        Picture::new(8, 4, (0..96_u8).map(|i| i * 2).collect()).unwrap()
    }

    #[test]
    fn every_lossless_format_gives_the_same_pixels() {
        let raw = ImageBuffer::<Rgb<u8>, _>::from_raw(8, 4, gradient().into_pixels()).unwrap();
        for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP] {
            let bytes = bytes_of(raw.clone(), format);
            assert_eq!(decode(&bytes, &options()).unwrap(), gradient(), "{format:?}");
        }
    }

    #[test]
    fn a_gif_gives_its_first_frame() {
        let image = ImageBuffer::from_pixel(3, 2, Rgba([0, 255, 0, 255_u8]));
        let picture = decode(&bytes_of(image, ImageFormat::Gif), &options()).unwrap();
        assert_eq!(picture, Picture::filled(3, 2, [0, 255, 0]));
    }

    #[test]
    fn one_pixel_is_a_picture() {
        let png = encode(&Picture::filled(1, 1, [1, 2, 3]), &EncodeOptions::png()).unwrap();
        assert_eq!(decode(&png, &options()).unwrap().pixels(), [1, 2, 3]);
    }

    #[test]
    fn transparency_shows_the_configured_colour() {
        let mut image = ImageBuffer::from_pixel(2, 1, Rgba([200, 0, 0, 0_u8]));
        image.put_pixel(1, 0, Rgba([255, 0, 0, 128]));
        let png = bytes_of(image, ImageFormat::Png);
        let over = |background| decode(&png, &DecodeOptions { background, ..options() }).unwrap();
        assert_eq!(over([255; 3]).pixels(), [255, 255, 255, 255, 127, 127]);
        assert_eq!(over([0, 0, 100]).pixels(), [0, 0, 100, 128, 0, 50]);
    }

    #[test]
    fn sixteen_bits_and_grey_are_scaled_not_cut() {
        let image = ImageBuffer::from_pixel(1, 1, Rgb([0x8000_u16, 0x00FF, 0xFFFF]));
        let picture = decode(&bytes_of(image, ImageFormat::Png), &options()).unwrap();
        assert_eq!(picture.pixels(), [128, 1, 255]);
        let image = ImageBuffer::from_pixel(1, 1, LumaA([0_u8, 128]));
        let picture = decode(&bytes_of(image, ImageFormat::Png), &options()).unwrap();
        assert_eq!(picture.pixels(), [127; 3]);
        let image = ImageBuffer::from_pixel(1, 1, Luma([77_u8]));
        assert_eq!(decode(&bytes_of(image, ImageFormat::Jpeg), &options()).unwrap().pixels(), [77; 3]);
    }

    /// A JPEG with an EXIF block that holds the orientation tag alone (TIFF 6.0, tag 0x0112).
    fn oriented(orientation: u8) -> Vec<u8> {
        let mut left_red = Picture::filled(16, 8, [255, 0, 0]);
        left_red.paste(&Picture::filled(8, 8, [0, 0, 255]), 8, 0);
        let jpeg = encode(&left_red, &EncodeOptions::default()).unwrap();
        let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
        exif.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
        let mut bytes = jpeg[..2].to_vec();
        bytes.write_all(&[0xFF, 0xE1]).unwrap();
        bytes.write_all(&u16::try_from(exif.len() + 2).unwrap().to_be_bytes()).unwrap();
        bytes.write_all(&exif).unwrap();
        bytes.write_all(&jpeg[2..]).unwrap();
        bytes
    }

    #[test]
    fn exif_orientation_turns_the_picture_upright() {
        let turned = decode(&oriented(6), &options()).unwrap();
        assert_eq!((turned.width(), turned.height()), (8, 16));
        assert!(turned.pixel(4, 2).unwrap()[0] > 200, "red, once left, is on top");
        let left = decode(&oriented(6), &DecodeOptions { exif_orientation: false, ..options() }).unwrap();
        assert_eq!((left.width(), left.height()), (16, 8));
    }

    #[test]
    fn the_header_alone_stops_a_bomb() {
        let mut png = encode(&Picture::filled(1, 1, [0; 3]), &EncodeOptions::png()).unwrap();
        // The IHDR of 50,000 × 50,000 pixels, with its checksum.
        png[16..24].copy_from_slice(&[0, 0, 0xC3, 0x50, 0, 0, 0xC3, 0x50]);
        let crc = crc32(&png[12..29]);
        png[29..33].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(probe(&png, &options()), Err(Reason::TooManyPixels));
        assert_eq!(decode(&png, &options()), Err(Reason::TooManyPixels));
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8)
                .fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { 0xEDB8_8320 ^ (c >> 1) } else { c >> 1 })
        })
    }

    #[test]
    fn what_is_no_image_has_its_reason() {
        let why = |bytes: &[u8]| decode(bytes, &options()).unwrap_err();
        assert_eq!(why(b""), Reason::Empty);
        assert_eq!(why(b"<!DOCTYPE html><html><body>gone</body></html>"), Reason::NotImage);
        assert_eq!(why(b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>"), Reason::Format);
        assert_eq!(why(b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf"), Reason::Format);
        assert_eq!(why(&[7; 500]), Reason::NotImage);
    }

    #[test]
    fn cut_files_are_truncated_wherever_they_are_cut() {
        let noise: Vec<u8> =
            (0..64 * 64 * 3_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24).to_le_bytes()[0]).collect();
        let picture = Picture::new(64, 64, noise).unwrap();
        for format in [EncodeOptions::default(), EncodeOptions::png(), EncodeOptions::webp()] {
            let bytes = encode(&picture, &format).unwrap();
            for part in [4, 6, 9] {
                let cut = &bytes[..bytes.len() * part / 10];
                let why = decode(cut, &options()).unwrap_err();
                assert!(matches!(why, Reason::Truncated | Reason::Decode), "{format:?} {part}: {why}");
            }
        }
        let jpeg = encode(&picture, &EncodeOptions::default()).unwrap();
        assert_eq!(decode(&jpeg[..jpeg.len() - 40], &options()), Err(Reason::Truncated));
    }

    proptest::proptest! {
        #[test]
        fn damaged_files_never_panic(at in 0_usize..400, byte: u8, cut in 0_usize..400) {
            for encoding in [EncodeOptions::default(), EncodeOptions::png(), EncodeOptions::webp()] {
                let mut bytes = encode(&gradient(), &encoding).unwrap();
                let n = bytes.len();
                bytes[at % n] = byte;
                bytes.truncate(n - cut % n);
                // Inside the guard of `decode`, which would hide a panic.
                let _either = picture_of(&bytes, &options());
            }
        }
    }
}
