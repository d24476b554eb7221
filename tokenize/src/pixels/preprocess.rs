//! What a codec does to a picture before its first layer. The published codecs differ in the filter, in how the square
//! is cut and in the range of the numbers; codes change with each of these, so they belong to the codec.

use burn::tensor::{Device, Tensor};
use pipeline::picture::{DecodeOptions, Interpolation, Picture, Resampling, decode, resample, scale};
use pipeline::reason::Reason;
use serde::{Deserialize, Serialize};

use super::Range;
use crate::Result;

/// Most pixels of a scaled picture before it is cut: a line of 100,000 × 1 has no square worth its memory.
const MAX_PIXELS: u64 = 89_478_485;

/// The way from a picture of any size to the square that the codec sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Preprocess {
    /// The side of the square that the codec was trained on, in pixels.
    pub size: usize,
    /// How a picture that is not square becomes one.
    pub crop: Crop,
    /// How pixels are mixed.
    pub filter: Filter,
    /// The numbers that stand for the bytes 0 to 255.
    pub range: Range,
}

/// How a picture becomes square.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Crop {
    /// The shorter side is scaled, the middle is kept; an odd margin has its larger half right and below.
    #[default]
    Center,
    /// The same, but half a pixel of margin is rounded to the even number, as torchvision's `center_crop` does.
    CenterEven,
    /// The sides are scaled apart from each other; nothing is lost but the proportions.
    Stretch,
}

/// How pixels are mixed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// The mean of what is covered, Lanczos for enlarging: img2dataset's, and Troika's for codecs of its own.
    #[default]
    Area,
    /// OpenCV's `INTER_LINEAR`, which looks at two pixels per axis, also when it reduces.
    Linear,
    /// Pillow's.
    Bilinear,
    /// Pillow's.
    Bicubic,
    /// Pillow's.
    Lanczos,
    /// Halved by means of 2 × 2 pixels while the shorter side is twice the target, the rest by Pillow's bicubic
    /// (`center_crop_arr` of guided-diffusion).
    HalvedBicubic,
}

impl Default for Preprocess {
    /// For codecs that were trained here.
    fn default() -> Self {
        Self { size: 256, crop: Crop::Center, filter: Filter::Area, range: Range::MinusOneOne }
    }
}

impl Preprocess {
    /// taming-transformers and latent-diffusion: `SmallestMaxSize` and `CenterCrop` of albumentations
    /// (`taming/data/base.py`).
    pub fn taming(size: usize) -> Self {
        Self { size, filter: Filter::Linear, ..Self::default() }
    }

    /// Sber's: Lanczos on the shorter side, then the middle (`rudalle`'s tests and `ImagePrompts`).
    pub fn rudalle(size: usize) -> Self {
        Self { size, crop: Crop::CenterEven, filter: Filter::Lanczos, ..Self::default() }
    }

    /// OpenAI's dVAE: Lanczos on the shorter side, then the middle, then `map_pixels` (`usage.ipynb`, `dall_e/utils.py`).
    pub fn openai(size: usize) -> Self {
        Self { range: Range::LogitLaplace, ..Self::rudalle(size) }
    }

    /// LlamaGen: `center_crop_arr` (`dataset/augmentation.py`).
    pub fn llamagen(size: usize) -> Self {
        Self { size, filter: Filter::HalvedBicubic, ..Self::default() }
    }

    /// ImageGPT: Pillow's bilinear to the very grid (Hugging Face's `ImageGPTImageProcessor`).
    pub fn imagegpt(size: usize) -> Self {
        Self { size, crop: Crop::Stretch, filter: Filter::Bilinear, ..Self::default() }
    }

    /// The square of `side` pixels that the codec sees.
    ///
    /// # Errors
    /// [`Reason::TooManyPixels`] for a picture that is so long and thin that scaling it would fill the memory.
    pub fn picture(&self, picture: Picture, side: usize) -> std::result::Result<Picture, Reason> {
        let side = u32::try_from(side).unwrap_or(u32::MAX).max(1);
        let picture = if self.filter == Filter::HalvedBicubic { halved(picture, side)? } else { picture };
        let size = match self.crop {
            Crop::Stretch => (side, side),
            Crop::Center | Crop::CenterEven => shorter_side(&picture, side),
        };
        if u64::from(size.0) * u64::from(size.1) > MAX_PIXELS {
            return Err(Reason::TooManyPixels);
        }
        let scaled = self.filter.scale(picture, size)?;
        let margin = |length: u32| match self.crop {
            Crop::CenterEven => (f64::from(length - side) / 2.0).round_ties_even() as u32,
            Crop::Center | Crop::Stretch => (length - side) / 2,
        };
        Ok(if size == (side, side) {
            scaled
        } else {
            scaled.crop(margin(size.0), margin(size.1), side, side)
        })
    }

    /// The same for an encoded picture of any format.
    ///
    /// # Errors
    /// Bytes that are no picture, and those of [`Self::picture`].
    pub fn bytes(&self, bytes: &[u8], side: usize) -> std::result::Result<Picture, Reason> {
        self.picture(decode(bytes, &DecodeOptions::default())?, side)
    }

    /// # Shapes
    /// `b` squares of one size → `[b, 3, side, side]` in the codec's range
    ///
    /// # Errors
    /// The pictures have different sizes, or there are none.
    pub fn to_tensor(&self, pictures: &[Picture], device: &Device) -> Result<Tensor<4>> {
        self.range.to_tensor(pictures, device)
    }

    /// # Shapes
    /// `[b, 3, h, w]` around the codec's range → `b` pictures, clamped and rounded
    ///
    /// # Errors
    /// The tensor cannot be read back from its device.
    pub fn to_pictures(&self, tensor: Tensor<4>) -> Result<Vec<Picture>> {
        self.range.to_pictures(tensor)
    }
}

/// Width and height with the shorter one `side`; half a pixel goes to the even number, as in Python.
fn shorter_side(picture: &Picture, side: u32) -> (u32, u32) {
    let (width, height) = (picture.width(), picture.height());
    let ratio = f64::from(side) / f64::from(width.min(height));
    let scale = |length: u32| ((f64::from(length) * ratio).round_ties_even() as u32).max(side);
    (scale(width), scale(height))
}

/// Halved while the shorter side is at least twice the target; a last odd column or row spreads over the others, as
/// the published code resizes by whole pixels.
fn halved(mut picture: Picture, side: u32) -> std::result::Result<Picture, Reason> {
    while picture.width().min(picture.height()) / 2 >= side {
        let half = (picture.width() / 2, picture.height() / 2);
        picture = resample(picture, half, Resampling::Box)?;
    }
    Ok(picture)
}

impl Filter {
    fn scale(self, picture: Picture, size: (u32, u32)) -> std::result::Result<Picture, Reason> {
        let shrinks = picture.width().min(picture.height()) > size.0.min(size.1);
        match self {
            _ if size == (picture.width(), picture.height()) => Ok(picture),
            Self::Area if shrinks => scale(picture.into(), size, Interpolation::Area, true),
            Self::Area => scale(picture.into(), size, Interpolation::Lanczos, true),
            Self::Linear => scale(picture.into(), size, Interpolation::Linear, false),
            Self::Bilinear => resample(picture, size, Resampling::Bilinear),
            Self::Bicubic | Self::HalvedBicubic => resample(picture, size, Resampling::Bicubic),
            Self::Lanczos => resample(picture, size, Resampling::Lanczos),
        }
    }
}

#[cfg(test)]
mod tests {
    use pipeline::picture::{ResizeMode, ResizeOptions, resize};

    use super::*;

    fn noise(width: u32, height: u32) -> Picture {
        let byte = |i: u32| (i.wrapping_mul(i).wrapping_mul(37) ^ (i * 11)).to_le_bytes()[0];
        Picture::new(width, height, (0..width * height * 3).map(byte).collect()).unwrap()
    }

    #[test]
    fn the_default_is_what_img2dataset_does() {
        for (width, height, side) in [(40, 30, 16), (9, 31, 16), (16, 16, 16), (17, 33, 16)] {
            let options =
                ResizeOptions { mode: ResizeMode::CenterCrop, size: side, ..ResizeOptions::default() };
            let theirs = resize(noise(width, height), &options).unwrap();
            let ours = Preprocess::default().picture(noise(width, height), side as usize).unwrap();
            assert_eq!(ours, theirs, "{width}x{height}");
        }
    }

    /// `resample` and OpenCV's fixed-point numbers may each be one off.
    #[test]
    fn pixels_are_within_one_of_the_published_code() {
        let mut cases = 0;
        for line in include_str!("published.csv").lines().filter(|line| !line.starts_with('#')) {
            let [codec, side, bytes] = line.split(',').collect::<Vec<_>>().try_into().unwrap();
            let side = side.parse().unwrap();
            let preprocess = match codec {
                "taming" => Preprocess::taming(side),
                "openai" => Preprocess::openai(side),
                "llamagen" => Preprocess::llamagen(side),
                "imagegpt" => Preprocess::imagegpt(side),
                other => panic!("{other}"),
            };
            let found = preprocess.picture(noise(37, 22), side).unwrap().into_pixels();
            let expected: Vec<u8> = bytes.split(' ').map(|byte| byte.parse().unwrap()).collect();
            let most = found.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            assert!(found.len() == expected.len() && most <= 1, "{codec}: {most}");
            cases += 1;
        }
        assert_eq!(cases, 4);
    }
    #[test]
    fn a_line_is_refused_before_it_fills_the_memory() {
        let line = Picture::filled(60_000, 1, [1; 3]);
        let refused = Preprocess::default().picture(line.clone(), 256);
        assert_eq!(refused, Err(Reason::TooManyPixels));
        assert_eq!(Preprocess::imagegpt(32).picture(line, 32).unwrap(), Picture::filled(32, 32, [1; 3]));
    }

    #[test]
    fn it_is_stored_as_readable_json_and_what_is_missing_is_the_default() {
        let text = serde_json::to_string(&Preprocess::openai(256)).unwrap();
        let expected = r#"{"size":256,"crop":"center_even","filter":"lanczos","range":"logit_laplace"}"#;
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<Preprocess>(&text).unwrap(), Preprocess::openai(256));
        assert_eq!(serde_json::from_str::<Preprocess>("{}").unwrap(), Preprocess::default());
        assert!(serde_json::from_str::<Preprocess>(r#"{"colour":"red"}"#).is_err());
    }
}
