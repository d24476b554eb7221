//! JPEG in both directions by libjpeg-turbo (feature `turbojpeg`): what the pure Rust codecs do, in less time.

use turbojpeg::{Compressor, Decompressor, Image, PixelFormat, ScalingFactor, Subsamp};

use super::Picture;
use crate::reason::Reason;

/// Progressive files with more scans are made to waste time.
const MAX_SCANS: u32 = 100;

/// Pixels of a grey (1 byte per pixel) or coloured (3) file whose sides are divided by `reduction` and rounded up.
///
/// # Errors
/// [`Reason::Decode`] for whatever libjpeg-turbo complains about, warnings included.
pub(super) fn decode(
    bytes: &[u8],
    size: (usize, usize),
    grey: bool,
    reduction: usize,
) -> Result<Vec<u8>, Reason> {
    let (format, channels) = if grey { (PixelFormat::GRAY, 1) } else { (PixelFormat::RGB, 3) };
    let (width, height) = (size.0.div_ceil(reduction), size.1.div_ceil(reduction));
    let mut pixels = vec![0; channels * width * height];
    let output = Image { pixels: pixels.as_mut_slice(), width, pitch: channels * width, height, format };
    let decoded = Decompressor::new().and_then(|mut decoder| {
        decoder.set_scan_limit(MAX_SCANS)?;
        decoder.set_scaling_factor(ScalingFactor::new(1, reduction))?;
        decoder.decompress(bytes, output)
    });
    decoded.map(|()| pixels).map_err(|_| Reason::Decode)
}

/// A file of that quality (1 to 100), 4:2:0.
///
/// # Errors
/// [`Reason::Encode`] when a side is longer than 65,500.
pub(super) fn encode(picture: &Picture, quality: u8) -> Result<Vec<u8>, Reason> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let image = Image { pixels: picture.pixels(), width, pitch: 3 * width, height, format: PixelFormat::RGB };
    let encoded = Compressor::new().and_then(|mut encoder| {
        encoder.set_quality(quality.into())?;
        encoder.set_subsamp(Subsamp::Sub2x2)?;
        encoder.compress_to_vec(image)
    });
    encoded.map_err(|_| Reason::Encode)
}
