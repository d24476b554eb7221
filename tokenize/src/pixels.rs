//! Pictures ↔ tensors: RGB bytes as channels-first floats in [-1, 1], as every codec of the family wants them.

use burn::tensor::{DType, Device, Tensor, TensorData};
use pipeline::picture::{Picture, ResizeMode, ResizeOptions, resize};
use pipeline::reason::Reason;

use crate::{Error, Result};

/// The square of `side` pixels that a codec sees: the shorter side scaled to it, the rest cut off evenly.
///
/// # Errors
/// Why the picture cannot be scaled.
pub fn square(picture: Picture, side: usize) -> std::result::Result<Picture, Reason> {
    let size = u32::try_from(side).unwrap_or(u32::MAX);
    resize(picture, &ResizeOptions { mode: ResizeMode::CenterCrop, size, ..ResizeOptions::default() })
}

/// # Shapes
/// `b` pictures of one size → `[b, 3, h, w]` in [-1, 1]
///
/// # Errors
/// The pictures have different sizes, or there are none.
pub fn to_tensor(pictures: &[Picture], device: &Device) -> Result<Tensor<4>> {
    let Some(first) = pictures.first() else {
        return Err(Error::Config {
            key: "pictures".to_owned(),
            why: "a batch needs at least one".to_owned(),
        });
    };
    let (width, height) = (first.width() as usize, first.height() as usize);
    let area = width * height;
    let mut values = vec![0.0f32; pictures.len() * 3 * area];
    for (picture, planes) in pictures.iter().zip(values.chunks_exact_mut(3 * area)) {
        if (picture.width(), picture.height()) != (first.width(), first.height()) {
            let why = format!(
                "{}x{} beside {width}x{height}: a batch has one size",
                picture.width(),
                picture.height()
            );
            return Err(Error::Config { key: "pictures".to_owned(), why });
        }
        for (i, pixel) in picture.pixels().chunks_exact(3).enumerate() {
            for (channel, value) in pixel.iter().enumerate() {
                planes[channel * area + i] = f32::from(*value) / 127.5 - 1.0;
            }
        }
    }
    Ok(Tensor::from_data(TensorData::new(values, [pictures.len(), 3, height, width]), device))
}

/// # Shapes
/// `[b, 3, h, w]` around [-1, 1] → `b` pictures, clamped and rounded
///
/// # Errors
/// The tensor cannot be read back from its device.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=255 before")]
pub fn to_pictures(tensor: Tensor<4>) -> Result<Vec<Picture>> {
    let [_, _, height, width] = tensor.dims();
    let area = height * width;
    let data = tensor.into_data().convert_dtype(DType::F32);
    let values = data.as_slice::<f32>().map_err(|error| Error::Config {
        key: "device".to_owned(),
        why: format!("the pixels cannot be read back: {error:?}"),
    })?;
    let pictures = values.chunks_exact(3 * area).filter_map(|planes| {
        let byte = |v: f32| ((v.clamp(-1.0, 1.0) + 1.0) * 127.5).round() as u8;
        let pixels = (0..area).flat_map(|i| [0, 1, 2].map(|c| byte(planes[c * area + i]))).collect();
        Picture::new(u32::try_from(width).ok()?, u32::try_from(height).ok()?, pixels)
    });
    Ok(pictures.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_is_the_identity() {
        let pixels: Vec<u8> = (0..=255).chain(0..=255).chain(0..=255).collect();
        let pictures = vec![Picture::new(16, 16, pixels).unwrap(), Picture::filled(16, 16, [0, 128, 255])];
        let tensor = to_tensor(&pictures, &Device::flex()).unwrap();
        assert_eq!(tensor.dims(), [2, 3, 16, 16]);
        assert_eq!(to_pictures(tensor).unwrap(), pictures);
    }

    #[test]
    fn sizes_that_differ_are_refused() {
        let pictures = [Picture::filled(2, 2, [0; 3]), Picture::filled(2, 3, [0; 3])];
        assert!(to_tensor(&pictures, &Device::flex()).is_err());
        assert!(to_tensor(&[], &Device::flex()).is_err());
    }
}
