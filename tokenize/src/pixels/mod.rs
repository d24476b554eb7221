//! Pictures ↔ tensors: RGB bytes as channels-first floats, and [`Preprocess`], the way from a picture to a codec's input.

mod preprocess;

use burn::tensor::{DType, Device, Tensor, TensorData};
use pipeline::picture::Picture;
use pipeline::reason::Reason;
use serde::{Deserialize, Serialize};

pub use preprocess::{Crop, Filter, Preprocess};

use crate::{Error, Result};

/// The numbers that stand for the bytes 0 to 255.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Range {
    /// -1 to 1.
    #[default]
    MinusOneOne,
    /// 0 to 1.
    ZeroOne,
    /// 0.1 to 0.9: the logit-Laplace distribution of DALL·E (Ramesh et al. 2021, appendix A.3) ends before 0 and 1.
    LogitLaplace,
}

/// The square of `side` pixels that a codec of Troika's own sees ([`Preprocess::default`]).
///
/// # Errors
/// Why the picture cannot be scaled.
pub fn square(picture: Picture, side: usize) -> std::result::Result<Picture, Reason> {
    Preprocess::default().picture(picture, side)
}

/// # Shapes
/// `b` pictures of one size → `[b, 3, h, w]` in [-1, 1]
///
/// # Errors
/// Those of [`Range::to_tensor`].
pub fn to_tensor(pictures: &[Picture], device: &Device) -> Result<Tensor<4>> {
    Range::MinusOneOne.to_tensor(pictures, device)
}

/// # Shapes
/// `[b, 3, h, w]` around [-1, 1] → `b` pictures, clamped and rounded
///
/// # Errors
/// Those of [`Range::to_pictures`].
pub fn to_pictures(tensor: Tensor<4>) -> Result<Vec<Picture>> {
    Range::MinusOneOne.to_pictures(tensor)
}

impl Range {
    /// The numbers of black and white.
    pub fn ends(self) -> (f32, f32) {
        match self {
            Self::MinusOneOne => (-1.0, 1.0),
            Self::ZeroOne => (0.0, 1.0),
            Self::LogitLaplace => (0.1, 0.9),
        }
    }

    /// The number of a byte.
    pub fn number(self, byte: u8) -> f32 {
        match self {
            Self::MinusOneOne => f32::from(byte) / 127.5 - 1.0,
            Self::ZeroOne => f32::from(byte) / 255.0,
            Self::LogitLaplace => f32::from(byte) / 255.0 * 0.8 + 0.1,
        }
    }

    /// The byte nearest to a number; what is outside the range is cut, and NaN is black.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=255 before")]
    pub fn byte(self, number: f32) -> u8 {
        let (black, white) = self.ends();
        ((number.clamp(black, white) - black) * (255.0 / (white - black))).round() as u8
    }

    /// # Shapes
    /// `b` pictures of one size → `[b, 3, h, w]` in this range
    ///
    /// # Errors
    /// The pictures have different sizes, or there are none.
    pub fn to_tensor(self, pictures: &[Picture], device: &Device) -> Result<Tensor<4>> {
        let Some(first) = pictures.first() else { return Err(refuse("a batch needs at least one")) };
        let (width, height) = (first.width() as usize, first.height() as usize);
        let area = width * height;
        let numbers: Vec<f32> = (0..=u8::MAX).map(|byte| self.number(byte)).collect();
        let mut values = vec![0.0f32; pictures.len() * 3 * area];
        for (picture, planes) in pictures.iter().zip(values.chunks_exact_mut(3 * area)) {
            let size = (picture.width(), picture.height());
            if size != (first.width(), first.height()) {
                let why = format!("{}x{} beside {width}x{height}: a batch has one size", size.0, size.1);
                return Err(refuse(&why));
            }
            for (i, pixel) in picture.pixels().chunks_exact(3).enumerate() {
                for (channel, byte) in pixel.iter().enumerate() {
                    planes[channel * area + i] = numbers[usize::from(*byte)];
                }
            }
        }
        Ok(Tensor::from_data(TensorData::new(values, [pictures.len(), 3, height, width]), device))
    }

    /// # Shapes
    /// `[b, 3, h, w]` around this range → `b` pictures, clamped and rounded
    ///
    /// # Errors
    /// The tensor cannot be read back from its device.
    pub fn to_pictures(self, tensor: Tensor<4>) -> Result<Vec<Picture>> {
        let [_, _, height, width] = tensor.dims();
        let area = height * width;
        let data = tensor.into_data().convert_dtype(DType::F32);
        let values = data.as_slice::<f32>().map_err(|error| Error::Config {
            key: "device".to_owned(),
            why: format!("the pixels cannot be read back: {error:?}"),
        })?;
        let pictures = values.chunks_exact(3 * area).filter_map(|planes| {
            let pixels = (0..area).flat_map(|i| [0, 1, 2].map(|c| self.byte(planes[c * area + i]))).collect();
            Picture::new(u32::try_from(width).ok()?, u32::try_from(height).ok()?, pixels)
        });
        Ok(pictures.collect())
    }
}

fn refuse(why: &str) -> Error {
    Error::Config { key: "pictures".to_owned(), why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_is_the_identity() {
        let pixels: Vec<u8> = (0..=255).chain(0..=255).chain(0..=255).collect();
        let pictures = vec![Picture::new(16, 16, pixels).unwrap(), Picture::filled(16, 16, [0, 128, 255])];
        for range in [Range::MinusOneOne, Range::ZeroOne, Range::LogitLaplace] {
            let tensor = range.to_tensor(&pictures, &Device::flex()).unwrap();
            assert_eq!(tensor.dims(), [2, 3, 16, 16]);
            assert_eq!(range.to_pictures(tensor).unwrap(), pictures, "{range:?}");
            let (black, white) = range.ends();
            assert!((range.number(0) - black).abs() < 1e-7 && (range.number(255) - white).abs() < 1e-7);
            assert_eq!([f32::NEG_INFINITY, f32::NAN, 7.0].map(|v| range.byte(v)), [0, 0, 255]);
        }
    }

    #[test]
    fn sizes_that_differ_are_refused() {
        let pictures = [Picture::filled(2, 2, [0; 3]), Picture::filled(2, 3, [0; 3])];
        assert!(to_tensor(&pictures, &Device::flex()).is_err());
        assert!(to_tensor(&[], &Device::flex()).is_err());
    }
}
