//! Bytes to pixels: jpeg, png, webp, gif (first frame), bmp and tiff, upright, in sRGB, over a colour, within a pixel
//! limit.
//!
//! Nothing is allocated for pixels before the header has been held against the limit; what the decoder libraries
//! refuse, or panic at, becomes a [`Reason`].

mod alpha;
mod format;
mod icc;
mod jpeg;
mod raster;
mod reduction;
mod tiff;

use image::{DynamicImage, ImageFormat};
use serde::{Deserialize, Serialize};

use super::{Picture, ResizeOptions, guarded};
use crate::reason::Reason;
use alpha::flatten;
use format::format_of;
use reduction::reduction;

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
    /// Whether colours are taken to sRGB by the picture's profile (img2dataset drops the profile).
    pub icc: bool,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self { background: [255; 3], max_pixels: 89_478_485, exif_orientation: true, icc: true }
    }
}

/// What the first bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Width in the file, before orientation.
    pub width: u32,
    /// Height in the file, before orientation.
    pub height: u32,
    /// Most bytes that decoding and conversion to RGB will hold at a time.
    pub decoded_bytes: u64,
}

/// A picture that may have been reduced while it was decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The pixels, each the mean of `reduction × reduction` of the whole picture.
    pub picture: Picture,
    /// Width and height of the whole picture, upright.
    pub full_size: (u32, u32),
    /// 1, 2, 4 or 8.
    pub reduction: u32,
}

impl From<Picture> for Decoded {
    /// A whole picture.
    fn from(picture: Picture) -> Self {
        Self { full_size: (picture.width(), picture.height()), picture, reduction: 1 }
    }
}

/// Reads the header alone.
///
/// # Errors
/// The reason why there is no picture in `bytes`, [`Reason::TooManyPixels`] above the limit.
pub fn probe(bytes: &[u8], options: &DecodeOptions) -> Result<Header, Reason> {
    guarded(|| match format_of(bytes)? {
        ImageFormat::Jpeg => jpeg::probe(bytes, options),
        format => raster::probe(bytes, format, options),
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
    guarded(|| decoded(bytes, options, None)).map(|decoded| decoded.picture)
}

/// Decodes a picture that will be resized: a JPEG that is much larger than its target at a half, a quarter or an eighth
/// of its size, which saves time and memory and can hardly be seen in the result.
///
/// # Errors
/// The reason why there is none.
pub fn decode_for(bytes: &[u8], options: &DecodeOptions, resize: &ResizeOptions) -> Result<Decoded, Reason> {
    guarded(|| decoded(bytes, options, Some(resize)))
}

fn decoded(bytes: &[u8], options: &DecodeOptions, resize: Option<&ResizeOptions>) -> Result<Decoded, Reason> {
    match format_of(bytes)? {
        ImageFormat::Jpeg => {
            let divisor = |size| resize.map_or(1, |resize| reduction(size, resize));
            let jpeg = jpeg::decode(bytes, options, divisor)?;
            let picture = picture_of(jpeg.image, options)?;
            Ok(Decoded { picture, full_size: jpeg.full_size, reduction: jpeg.reduction })
        }
        format => picture_of(raster::decode(bytes, format, options)?, options).map(Decoded::from),
    }
}

fn picture_of(image: DynamicImage, options: &DecodeOptions) -> Result<Picture, Reason> {
    let (width, height) = (image.width(), image.height());
    let pixels = match image.color().has_alpha() {
        true => flatten(image.into_rgba8().as_raw(), options.background),
        false => image.into_rgb8().into_raw(),
    };
    Picture::new(width, height, pixels).ok_or(Reason::Decode)
}

fn check_pixels((width, height): (u32, u32), options: &DecodeOptions) -> Result<(), Reason> {
    match u64::from(width) * u64::from(height) {
        0 => Err(Reason::Decode),
        pixels if pixels > options.max_pixels => Err(Reason::TooManyPixels),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
