//! `[image]`: what becomes of the pictures.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::pairs::HashKind;
use crate::picture::{DecodeOptions, EncodeFormat, EncodeOptions, Interpolation, ResizeMode, ResizeOptions};

/// Whose habits the pictures follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Compat {
    /// Ours: pictures stand upright, in three channels, over the chosen colour, and filters never alias.
    #[default]
    None,
    /// img2dataset's, whatever the other keys say: EXIF orientation and colour profiles are ignored, the background is
    /// white, grey pictures stay grey, and linear, cubic and Lanczos reduce without antialiasing as OpenCV does.
    /// (Sizes, offsets and the area filter are the same in both. 16-bit pictures are scaled in both: there they turn
    /// white.)
    Img2dataset,
}

/// `[image]`: decode, resize, encode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageConfig {
    /// Side of the result in pixels.
    pub size: u32,
    /// What becomes of pictures that are not square.
    pub resize_mode: ResizeMode,
    /// Leave smaller pictures as they are.
    pub only_if_bigger: bool,
    /// Filter for reducing.
    pub downscale: Interpolation,
    /// Filter for enlarging.
    pub upscale: Interpolation,
    /// Colour under transparent pixels and of the border.
    pub background: [u8; 3],
    /// Whether EXIF orientation is applied.
    pub exif_orientation: bool,
    /// Whether colours are taken to sRGB by the picture's ICC profile.
    pub icc: bool,
    /// Pictures with more pixels are refused by their header.
    pub max_pixels: u64,
    /// Pictures with a shorter side are refused; 0 refuses none.
    pub min_side: u32,
    /// Pictures with more pixels are refused; 0 refuses none.
    pub max_area: u64,
    /// Pictures with a larger ratio of sides are refused; 0 refuses none.
    pub max_aspect_ratio: f64,
    /// Format in the shards.
    pub encode_format: EncodeFormat,
    /// jpg: 1 to 100 (95), png: compression 0 to 9 (6), webp: 1 to 100 (95), above 100 lossless.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encode_quality: Option<u8>,
    /// Store a file of the right format as it came where nothing about it changes.
    pub skip_reencode: bool,
    /// Store every body as it came, undecoded and unchecked, without sizes.
    pub disable_all_reencoding: bool,
    /// Hash of the downloaded bytes: none, md5, sha256, sha512.
    pub compute_hash: HashKind,
    /// `[column, hash]`: rows whose bytes do not have the hash in that column are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify_hash: Option<(String, HashKind)>,
    /// Store EXIF tags as a JSON object.
    pub extract_exif: bool,
    /// Whose habits the pictures follow.
    pub compat: Compat,
}

impl Default for ImageConfig {
    fn default() -> Self {
        let (decode, resize) = (DecodeOptions::default(), ResizeOptions::default());
        Self {
            size: resize.size,
            resize_mode: resize.mode,
            only_if_bigger: resize.only_if_bigger,
            downscale: resize.downscale,
            upscale: resize.upscale,
            background: decode.background,
            exif_orientation: decode.exif_orientation,
            icc: decode.icc,
            max_pixels: decode.max_pixels,
            min_side: 0,
            max_area: 0,
            max_aspect_ratio: 0.0,
            encode_format: EncodeFormat::Jpg,
            encode_quality: None,
            skip_reencode: false,
            disable_all_reencoding: false,
            compute_hash: HashKind::default(),
            verify_hash: None,
            extract_exif: true,
            compat: Compat::None,
        }
    }
}

impl ImageConfig {
    /// The part about decoding.
    pub fn decode(&self) -> DecodeOptions {
        DecodeOptions {
            background: self.background(),
            max_pixels: self.max_pixels,
            exif_orientation: self.exif_orientation && !self.as_img2dataset(),
            icc: self.icc && !self.as_img2dataset(),
        }
    }

    /// The part about resizing.
    pub fn resize(&self) -> ResizeOptions {
        ResizeOptions {
            mode: self.resize_mode,
            size: self.size,
            only_if_bigger: self.only_if_bigger,
            upscale: self.upscale,
            downscale: self.downscale,
            antialias: !self.as_img2dataset(),
            background: self.background(),
            max_pixels: self.max_pixels,
        }
    }

    /// Whether img2dataset's habits are followed.
    pub(in crate::crawl) fn as_img2dataset(&self) -> bool {
        self.compat == Compat::Img2dataset
    }

    fn background(&self) -> [u8; 3] {
        if self.as_img2dataset() { [255; 3] } else { self.background }
    }

    /// What cannot work, as key and message.
    pub(super) fn problem(&self) -> Option<(&'static str, &'static str)> {
        let ratio = self.max_aspect_ratio;
        match &self.verify_hash {
            _ if self.size == 0 || self.size > 65_535 => Some(("image.size", "lies between 1 and 65535")),
            _ if ratio != 0.0 && !(1.0..1e9).contains(&ratio) => {
                Some(("image.max_aspect_ratio", "is at least 1, or 0 to refuse none"))
            }
            _ if self.always_too_large() => {
                Some(("image.size", "gives every picture more pixels than image.max_pixels"))
            }
            Some((_, kind)) if *kind != self.compute_hash || *kind == HashKind::None => {
                Some(("image.verify_hash", "names another hash than image.compute_hash"))
            }
            _ => self.encode().problem().map(|problem| ("image.encode_quality", problem)),
        }
    }

    /// Whether no picture can be resized within the limit. Where the size is only that of the longer side, or small
    /// pictures are left alone, some can.
    fn always_too_large(&self) -> bool {
        use ResizeMode::{Border, CenterCrop, KeepRatio, KeepRatioLargest, No};
        let square = u64::from(self.size) * u64::from(self.size);
        match self.resize_mode {
            Border | CenterCrop | KeepRatio => !self.only_if_bigger && square > self.max_pixels,
            KeepRatioLargest | No => false,
        }
    }

    /// The part about encoding.
    pub fn encode(&self) -> EncodeOptions {
        EncodeOptions { format: self.encode_format, quality: self.encode_quality }
    }
}
