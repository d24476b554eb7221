//! JPEG: whole pictures by `zune-jpeg`, reduced ones and inks by [`reduced`].

mod colour;
mod frame;
mod header;
mod huffman;
mod idct;
mod progressive;
mod reduced;
mod scan;
mod segments;

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage};
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::icc::{ink_to_rgb, to_srgb};
use super::{DecodeOptions, Header, check_pixels};
use crate::reason::Reason;
use header::{Colour, Header as JpegHeader};
use reduced::Samples;

pub(super) fn probe(bytes: &[u8], options: &DecodeOptions) -> Result<Header, Reason> {
    let header = open(bytes, options)?;
    let (width, height) = size(&header);
    let pixels = u64::from(width) * u64::from(height);
    // Samples and RGB; a plane of each component; and of a progressive file the coefficients, two bytes each.
    let interleaved = pixels * (header.frame.components.len() as u64 + 3);
    let block = if header.frame.progressive { 64 + 128 } else { 64 };
    Ok(Header { width, height, decoded_bytes: interleaved + block * header.frame.blocks() as u64 })
}

/// A picture, perhaps reduced.
pub(super) struct Jpeg {
    /// Upright.
    pub(super) image: DynamicImage,
    /// Width and height of the whole picture, upright.
    pub(super) full_size: (u32, u32),
    pub(super) reduction: u32,
}

/// Decodes; `reduction` is asked for the divisor of the sides once the size is known.
pub(super) fn decode(
    bytes: &[u8],
    options: &DecodeOptions,
    reduction: impl FnOnce((u32, u32)) -> u32,
) -> Result<Jpeg, Reason> {
    let header = open(bytes, options)?;
    if !header.is_whole() {
        return Err(Reason::Truncated);
    }
    if header.is_bomb() {
        return Err(Reason::Decode);
    }
    let orientation = header.exif.and_then(Orientation::from_exif_chunk).filter(|_| options.exif_orientation);
    let (width, height) = size(&header);
    let full_size = if orientation.is_some_and(lies_on_its_side) { (height, width) } else { (width, height) };
    let (samples, reduction) = samples(bytes, &header, reduction(full_size))?;
    let profile = if options.icc { header.icc_profile() } else { None };
    let mut image = image_of(samples, profile.as_deref()).ok_or(Reason::Decode)?;
    if let Some(orientation) = orientation {
        image.apply_orientation(orientation);
    }
    Ok(Jpeg { image, full_size, reduction })
}

fn open<'a>(bytes: &'a [u8], options: &DecodeOptions) -> Result<JpegHeader<'a>, Reason> {
    let header = JpegHeader::read(bytes)?;
    check_pixels(size(&header), options)?;
    Ok(header)
}

/// Both fit 16 bits.
fn size(header: &JpegHeader<'_>) -> (u32, u32) {
    (header.frame.width as u32, header.frame.height as u32)
}

fn lies_on_its_side(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

fn samples(bytes: &[u8], header: &JpegHeader<'_>, reduction: u32) -> Result<(Samples, u32), Reason> {
    let inks = matches!(header.colour, Colour::Cmyk | Colour::Ycck);
    if !inks && let Some(samples) = by_libjpeg_turbo(bytes, header, reduction as usize) {
        return Ok((samples, reduction));
    }
    let ours =
        |reduction| reduced::decode(bytes, header, reduction as usize).map(|samples| (samples, reduction));
    // What one decoder cannot read, the other may: each has its own idea of what is still a JPEG.
    let whole = || whole(bytes, header.colour).map(|samples| (samples, 1));
    match reduction {
        _ if inks => ours(reduction),
        1 => whole().or_else(|reason| ours(1).map_err(|_| reason)),
        _ => ours(reduction).or_else(|_| whole()),
    }
}

#[cfg(feature = "turbojpeg")]
fn by_libjpeg_turbo(bytes: &[u8], header: &JpegHeader<'_>, reduction: usize) -> Option<Samples> {
    let (width, height) = (header.frame.width, header.frame.height);
    let pixels =
        crate::picture::turbo::decode(bytes, (width, height), header.colour == Colour::Grey, reduction)
            .ok()?;
    Some(Samples { width: width.div_ceil(reduction), height: height.div_ceil(reduction), pixels })
}

#[cfg(not(feature = "turbojpeg"))]
fn by_libjpeg_turbo(_: &[u8], _: &JpegHeader<'_>, _: usize) -> Option<Samples> {
    None
}

fn whole(bytes: &[u8], colour: Colour) -> Result<Samples, Reason> {
    let space = if colour == Colour::Grey { ColorSpace::Luma } else { ColorSpace::RGB };
    let options = DecoderOptions::default()
        // Else it fills what it cannot read with grey, and says nothing.
        .set_strict_mode(true)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX)
        .jpeg_set_out_colorspace(space);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let pixels = decoder.decode().map_err(|e| reason_of(&e))?;
    let (width, height) = decoder.dimensions().ok_or(Reason::Decode)?;
    Ok(Samples { width, height, pixels })
}

fn reason_of(error: &DecodeErrors) -> Reason {
    match error {
        DecodeErrors::Unsupported(_) => Reason::Format,
        DecodeErrors::LargeDimensions(_) => Reason::TooManyPixels,
        DecodeErrors::ExhaustedData | DecodeErrors::IoErrors(_) => Reason::Truncated,
        _ => Reason::Decode,
    }
}

fn image_of(samples: Samples, profile: Option<&[u8]>) -> Option<DynamicImage> {
    let (width, height) = (u32::try_from(samples.width).ok()?, u32::try_from(samples.height).ok()?);
    let image = match samples.pixels.len() / (samples.width * samples.height) {
        1 => GrayImage::from_raw(width, height, samples.pixels)?.into(),
        3 => RgbImage::from_raw(width, height, samples.pixels)?.into(),
        4 => return Some(RgbImage::from_raw(width, height, ink_to_rgb(&samples.pixels, profile))?.into()),
        _ => return None,
    };
    Some(match profile {
        Some(profile) => to_srgb(image, profile),
        None => image,
    })
}

#[cfg(test)]
mod tests;
