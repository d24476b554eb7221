//! Pixels to bytes: jpg (4:2:0, as OpenCV writes it), png and webp.

use clap::ValueEnum;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use serde::{Deserialize, Serialize};

use super::{Picture, webp};
use crate::reason::Reason;

/// The format of the pictures in a shard; also the name of their column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum EncodeFormat {
    /// JPEG, lossy.
    #[default]
    Jpg,
    /// PNG, lossless.
    Png,
    /// WebP, lossy or lossless.
    Webp,
}

impl EncodeFormat {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Jpg, Self::Png, Self::Webp];

    /// `jpg`, `png` or `webp`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jpg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
        }
    }
}

/// How pictures are encoded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EncodeOptions {
    /// The format.
    pub format: EncodeFormat,
    /// jpg: 1 to 100, default 95; png: compression 0 to 9, default 6; webp: 1 to 100, default 95, lossless above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<u8>,
}

/// OpenCV writes WebP without loss at any quality above 100.
const LOSSLESS: u8 = 101;

impl EncodeOptions {
    /// PNG at its default compression.
    pub fn png() -> Self {
        Self { format: EncodeFormat::Png, quality: None }
    }

    /// Lossless WebP.
    pub fn webp() -> Self {
        Self { format: EncodeFormat::Webp, quality: Some(LOSSLESS) }
    }

    fn jpg_quality(&self) -> u8 {
        self.quality.unwrap_or(95).clamp(1, 100)
    }

    /// What is wrong with the quality, if anything.
    pub fn problem(&self) -> Option<&'static str> {
        match (self.format, self.quality) {
            (_, None) | (EncodeFormat::Jpg, Some(1..=100)) | (EncodeFormat::Png, Some(0..=9)) => None,
            (EncodeFormat::Webp, Some(1..)) => None,
            (EncodeFormat::Jpg, Some(_)) => Some("the quality of jpg lies between 1 and 100"),
            (EncodeFormat::Png, Some(_)) => Some("the quality of png is its compression level, 0 to 9"),
            (EncodeFormat::Webp, Some(0)) => {
                Some("the quality of webp lies between 1 and 100, above it is lossless")
            }
        }
    }
}

/// Encodes a picture.
///
/// # Errors
/// [`Reason::Encode`] when a side is longer than the format allows (65,535 for jpg, 16,383 for webp).
pub fn encode(picture: &Picture, options: &EncodeOptions) -> Result<Vec<u8>, Reason> {
    let (pixels, width, height) = (picture.pixels(), picture.width(), picture.height());
    match options.format {
        EncodeFormat::Jpg => jpg(picture, options.jpg_quality()),
        EncodeFormat::Png => png(pixels, width, height, ExtendedColorType::Rgb8, options),
        EncodeFormat::Webp => {
            let quality = options.quality.unwrap_or(95).max(1);
            webp::encode(picture, (quality < LOSSLESS).then_some(quality))
        }
    }
}

/// Encodes a picture without colours with one channel, its red one; webp has no such pictures and gets three.
///
/// # Errors
/// As [`encode`].
pub fn encode_grey(picture: &Picture, options: &EncodeOptions) -> Result<Vec<u8>, Reason> {
    let (width, height) = (picture.width(), picture.height());
    let grey = || picture.pixels().iter().step_by(3).copied().collect::<Vec<u8>>();
    match options.format {
        EncodeFormat::Jpg => jpg_of(&grey(), (width, height), ColorType::Luma, options.jpg_quality()),
        EncodeFormat::Png => png(&grey(), width, height, ExtendedColorType::L8, options),
        EncodeFormat::Webp => encode(picture, options),
    }
}

#[cfg(feature = "turbojpeg")]
use super::turbo::encode as jpg;

#[cfg(not(feature = "turbojpeg"))]
fn jpg(picture: &Picture, quality: u8) -> Result<Vec<u8>, Reason> {
    jpg_of(picture.pixels(), (picture.width(), picture.height()), ColorType::Rgb, quality)
}

fn jpg_of(pixels: &[u8], size: (u32, u32), colour: ColorType, quality: u8) -> Result<Vec<u8>, Reason> {
    let side = |n: u32| u16::try_from(n).map_err(|_| Reason::Encode);
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, quality);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.encode(pixels, side(size.0)?, side(size.1)?, colour).map_err(|_| Reason::Encode)?;
    Ok(bytes)
}

fn png(
    pixels: &[u8],
    width: u32,
    height: u32,
    colour: ExtendedColorType,
    options: &EncodeOptions,
) -> Result<Vec<u8>, Reason> {
    let level = match options.quality.unwrap_or(6) {
        0 => CompressionType::Uncompressed,
        level => CompressionType::Level(level.min(9)),
    };
    let mut bytes = Vec::new();
    PngEncoder::new_with_quality(&mut bytes, level, FilterType::Adaptive)
        .write_image(pixels, width, height, colour)
        .map_err(|_| Reason::Encode)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{DecodeOptions, decode};
    use super::*;

    proptest! {
        #[test]
        fn png_and_webp_bring_every_pixel_back(
            (width, height, pixels) in (1_u32..12, 1_u32..12).prop_flat_map(|(w, h)| {
                (Just(w), Just(h), proptest::collection::vec(any::<u8>(), (w * h * 3) as usize))
            })
        ) {
            let picture = Picture::new(width, height, pixels).unwrap();
            for options in [EncodeOptions::png(), EncodeOptions::webp()] {
                let back = decode(&encode(&picture, &options).unwrap(), &DecodeOptions::default()).unwrap();
                prop_assert_eq!(&back, &picture);
            }
        }
    }

    #[test]
    fn jpg_stays_near_and_is_420() {
        let pixels: Vec<u8> =
            (0..32 * 32).flat_map(|i: u32| [(i / 32 * 8) as u8, (i % 32 * 8) as u8, 90]).collect();
        let picture = Picture::new(32, 32, pixels).unwrap();
        let bytes = encode(&picture, &EncodeOptions::default()).unwrap();
        let back = decode(&bytes, &DecodeOptions::default()).unwrap();
        let worst = back.pixels().iter().zip(picture.pixels()).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(worst < 30, "{worst}");
        // The frame header: 3 components, the first (luma) with sampling factors 2 × 2.
        let frame =
            bytes.windows(2).position(|pair| pair[0] == 0xFF && (0xC0..=0xC2).contains(&pair[1])).unwrap();
        assert_eq!((bytes[frame + 9], bytes[frame + 11]), (3, 0x22));
    }

    #[test]
    fn grey_pictures_have_one_channel() {
        let picture = Picture::filled(9, 7, [50; 3]);
        for options in [EncodeOptions::default(), EncodeOptions::png()] {
            let bytes = encode_grey(&picture, &options).unwrap();
            let source = super::super::Source::of(&bytes).unwrap();
            assert!(source.grey, "{options:?}");
            assert_eq!(decode(&bytes, &DecodeOptions::default()).unwrap(), picture);
        }
    }

    #[test]
    fn sides_beyond_the_format_are_a_reason() {
        let long = Picture::filled(70_000, 1, [0; 3]);
        assert_eq!(encode(&long, &EncodeOptions::default()), Err(Reason::Encode));
        assert_eq!(encode(&long, &EncodeOptions::webp()), Err(Reason::Encode));
        assert!(encode(&long, &EncodeOptions::png()).is_ok());
    }

    #[test]
    fn qualities_are_checked_by_format() {
        let problem = |format, quality| EncodeOptions { format, quality: Some(quality) }.problem();
        assert_eq!(problem(EncodeFormat::Jpg, 95), None);
        assert!(problem(EncodeFormat::Jpg, 101).is_some());
        assert!(problem(EncodeFormat::Png, 95).is_some());
        assert!(problem(EncodeFormat::Webp, 0).is_some());
        assert_eq!(problem(EncodeFormat::Webp, 80), None);
        assert_eq!(problem(EncodeFormat::Webp, 101), None);
    }
}
