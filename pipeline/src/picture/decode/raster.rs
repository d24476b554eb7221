//! png, webp, gif, bmp and tiff, by the `image` crate: the first picture of each file.

use std::io::Cursor;

use image::error::ImageError;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::{DecodeOptions, Header, check_pixels};
use crate::reason::Reason;

pub(super) fn probe(bytes: &[u8], format: ImageFormat, options: &DecodeOptions) -> Result<Header, Reason> {
    let decoder = open(bytes, format, options)?;
    let (width, height) = decoder.dimensions();
    let colour = decoder.color_type();
    let sample = u64::from(colour.bytes_per_pixel() / colour.channel_count());
    let rgb = 3 * sample * u64::from(width) * u64::from(height);
    // As decoded, and as converted to sRGB or RGB.
    Ok(Header { width, height, decoded_bytes: decoder.total_bytes().max(rgb).saturating_mul(2) })
}

/// Decodes; also returns the colour profile.
pub(super) fn decode(
    bytes: &[u8],
    format: ImageFormat,
    options: &DecodeOptions,
) -> Result<(DynamicImage, Option<Vec<u8>>), Reason> {
    let mut decoder = open(bytes, format, options)?;
    // Damaged metadata say nothing about the pixels.
    let orientation = decoder.orientation().ok().filter(|_| options.exif_orientation);
    let profile = if options.icc { decoder.icc_profile().ok().flatten() } else { None };
    let mut image = DynamicImage::from_decoder(decoder).map_err(|e| reason_of(&e))?;
    if let Some(orientation) = orientation {
        image.apply_orientation(orientation);
    }
    Ok((image, profile))
}

fn open<'a>(
    bytes: &'a [u8],
    format: ImageFormat,
    options: &DecodeOptions,
) -> Result<impl ImageDecoder + use<'a>, Reason> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    // 16-bit RGBA is the widest; the rest is room for the decoder's own tables.
    limits.max_alloc = Some(options.max_pixels.saturating_mul(8).saturating_add(64 << 20));
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|e| reason_of(&e))?;
    check_pixels(decoder.dimensions(), options)?;
    Ok(decoder)
}

fn reason_of(error: &ImageError) -> Reason {
    match error {
        ImageError::IoError(_) => Reason::Truncated,
        ImageError::Unsupported(_) => Reason::Format,
        ImageError::Limits(_) => Reason::TooManyPixels,
        _ => Reason::Decode,
    }
}
