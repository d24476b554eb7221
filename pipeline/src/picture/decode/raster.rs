//! png, webp, gif, bmp and tiff, by the `image` crate: the first picture of each file.

use std::io::Cursor;

use image::error::ImageError;
use image::metadata::Orientation;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

use super::icc::{ink_to_rgb, to_srgb};
use super::{DecodeOptions, Header, check_pixels, tiff};
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

/// Decodes to an upright picture in sRGB.
pub(super) fn decode(
    bytes: &[u8],
    format: ImageFormat,
    options: &DecodeOptions,
) -> Result<DynamicImage, Reason> {
    let mut decoder = open(bytes, format, options)?;
    let orientation = if options.exif_orientation { orientation_of(&mut decoder) } else { None };
    let profile = if options.icc { profile_of(&mut decoder, bytes, format) } else { None };
    let inks = decoder.original_color_type() == ExtendedColorType::Cmyk8;
    let mut image = match profile {
        Some(profile) if inks => inks_of(bytes, decoder.dimensions(), &profile, options)?,
        Some(profile) => to_srgb(pixels_of(decoder)?, &profile),
        None => pixels_of(decoder)?,
    };
    if let Some(orientation) = orientation {
        image.apply_orientation(orientation);
    }
    Ok(image)
}

/// Damaged metadata say nothing about the pixels.
fn orientation_of(decoder: &mut impl ImageDecoder) -> Option<Orientation> {
    let exif = decoder.exif_metadata().ok().flatten();
    // The prefix belongs to JPEG, but some programs put it into WebP, too.
    match exif.as_deref().and_then(|exif| exif.strip_prefix(b"Exif\0\0")) {
        Some(exif) => Orientation::from_exif_chunk(exif),
        None => decoder.orientation().ok(),
    }
}

fn pixels_of(decoder: impl ImageDecoder) -> Result<DynamicImage, Reason> {
    DynamicImage::from_decoder(decoder).map_err(|e| reason_of(&e))
}

fn profile_of(decoder: &mut impl ImageDecoder, bytes: &[u8], format: ImageFormat) -> Option<Vec<u8>> {
    match format {
        ImageFormat::Tiff => tiff::profile(bytes),
        _ => decoder.icc_profile().ok().flatten(),
    }
}

fn inks_of(
    bytes: &[u8],
    (width, height): (u32, u32),
    profile: &[u8],
    options: &DecodeOptions,
) -> Result<DynamicImage, Reason> {
    let inks = tiff::inks(bytes, options.max_pixels.saturating_mul(4)).ok_or(Reason::Decode)?;
    let image = RgbImage::from_raw(width, height, ink_to_rgb(&inks, Some(profile)));
    image.map(DynamicImage::from).ok_or(Reason::Decode)
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
