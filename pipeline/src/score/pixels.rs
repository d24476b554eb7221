//! Pictures as models want them.

use super::config::{Channels, ImageInput, Layout, Resize};
use crate::picture::{DecodeOptions, EncodeOptions, Picture, decode, encode, resample};
use crate::reason::Reason;

/// A picture file as `3 · size · size` numbers in the order of the layout.
///
/// # Errors
/// The reason why there is no picture in the bytes.
pub(super) fn tensor(bytes: &[u8], input: &ImageInput) -> Result<Vec<f32>, Reason> {
    let picture = decode(bytes, &DecodeOptions::default())?;
    let scaled = scaled((picture.width(), picture.height()), input);
    // A line of 100,000 × 1 pixels becomes one of 22,400,000 × 224.
    if u64::from(scaled.0) * u64::from(scaled.1) > DecodeOptions::default().max_pixels {
        return Err(Reason::TooManyPixels);
    }
    let picture = resample(picture, scaled, input.filter)?;
    let picture = match input.jpeg_quality {
        0 => picture,
        quality => stored(&picture, quality)?,
    };
    let square =
        picture.crop(middle(scaled.0, input.size), middle(scaled.1, input.size), input.size, input.size);
    Ok(numbers(&square, input))
}

/// The size before cropping. torchvision and Hugging Face cut off the fraction of the longer side.
fn scaled((width, height): (u32, u32), input: &ImageInput) -> (u32, u32) {
    let side = if input.resize_to == 0 { input.size } else { input.resize_to };
    let longer = |long: u32, short: u32| {
        u32::try_from(u64::from(side) * u64::from(long) / u64::from(short.max(1))).unwrap_or(u32::MAX)
    };
    match input.resize {
        Resize::Stretch => (side, side),
        Resize::ShorterSide if width <= height => (side, longer(height, width)),
        Resize::ShorterSide => (longer(width, height), side),
    }
}

/// Where a crop begins: half of what is left over, rounded half to even, as torchvision's `CenterCrop` has it.
fn middle(whole: u32, part: u32) -> u32 {
    let rest = whole.saturating_sub(part);
    if rest % 4 == 3 { rest / 2 + 1 } else { rest / 2 }
}

/// The picture after it was stored as a JPEG.
fn stored(picture: &Picture, quality: u8) -> Result<Picture, Reason> {
    let options = EncodeOptions { quality: Some(quality), ..EncodeOptions::default() };
    decode(&encode(picture, &options)?, &DecodeOptions::default())
}

fn numbers(square: &Picture, input: &ImageInput) -> Vec<f32> {
    let channel = |index: usize| match input.channels {
        Channels::Rgb => index,
        Channels::Bgr => 2 - index,
    };
    let value = |pixel: &[u8], index: usize| {
        (f32::from(pixel[channel(index)]) * input.scale - input.mean[index]) / input.std[index]
    };
    let pixels = square.pixels().chunks_exact(3);
    match input.layout {
        Layout::Nhwc => pixels.flat_map(|pixel| (0..3).map(move |index| value(pixel, index))).collect(),
        Layout::Nchw => (0..3)
            .flat_map(|index| square.pixels().chunks_exact(3).map(move |pixel| value(pixel, index)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> ImageInput {
        ImageInput {
            size: 2,
            resize_to: 2,
            scale: 1.0,
            mean: [0.0; 3],
            std: [1.0; 3],
            ..ImageInput::default()
        }
    }

    /// Two by two pixels: 1, 2, 3 and so on.
    fn png() -> Vec<u8> {
        encode(&Picture::new(2, 2, (1..=12).collect()).unwrap(), &EncodeOptions::png()).unwrap()
    }

    #[test]
    fn channels_and_axes_are_in_the_order_that_is_asked_for() {
        let nhwc = ImageInput { layout: Layout::Nhwc, ..plain() };
        let numbers = |input: &ImageInput| tensor(&png(), input).unwrap();
        assert_eq!(numbers(&nhwc), (1..=12_u8).map(f32::from).collect::<Vec<_>>());
        assert_eq!(numbers(&plain()), [1_u8, 4, 7, 10, 2, 5, 8, 11, 3, 6, 9, 12].map(f32::from));
        let bgr = ImageInput { channels: Channels::Bgr, mean: [3.0, 2.0, 1.0], ..nhwc };
        assert_eq!(numbers(&bgr), [0_u8, 0, 0, 3, 3, 3, 6, 6, 6, 9, 9, 9].map(f32::from));
        let halves = ImageInput { scale: 0.5, std: [0.5, 1.0, 2.0], ..plain() };
        assert_eq!(numbers(&halves)[..5], [1.0, 4.0, 7.0, 10.0, 1.0]);
    }

    #[test]
    fn sizes_are_torchvisions() {
        let input = |resize| ImageInput { size: 224, resize_to: 224, resize, ..plain() };
        let shorter = |size| scaled(size, &input(Resize::ShorterSide));
        assert_eq!(
            [shorter((401, 267)), shorter((267, 401)), shorter((224, 224))],
            [(336, 224), (224, 336), (224, 224)]
        );
        assert_eq!(scaled((401, 267), &input(Resize::Stretch)), (224, 224));
        assert_eq!([336, 337, 338, 339, 224].map(|side| middle(side, 224)), [56, 56, 57, 58, 0]);
        assert_eq!([225, 227].map(|side| middle(side, 224)), [0, 2]);
    }

    #[test]
    fn what_is_no_picture_has_its_reason() {
        assert_eq!(tensor(b"<html>", &plain()), Err(Reason::NotImage));
        let line = encode(&Picture::filled(60_000, 1, [9; 3]), &EncodeOptions::png()).unwrap();
        let input = ImageInput { size: 224, resize_to: 224, ..plain() };
        assert_eq!(tensor(&line, &input), Err(Reason::TooManyPixels));
    }

    #[test]
    fn a_jpeg_in_between_changes_pixels_a_little() {
        let whole = tensor(&png(), &plain()).unwrap();
        let stored = tensor(&png(), &ImageInput { jpeg_quality: 75, ..plain() }).unwrap();
        assert_ne!(whole, stored);
        assert!(whole.iter().zip(&stored).all(|(a, b)| (a - b).abs() < 12.0), "{stored:?}");
    }
}
