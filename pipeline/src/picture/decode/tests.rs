//! Files of every format, whole, cut and damaged.

use std::io::{Cursor, Write};

use image::{ImageBuffer, Luma, LumaA, Rgb, Rgba};

use super::super::{EncodeOptions, encode};
use super::*;

fn options() -> DecodeOptions {
    DecodeOptions::default()
}

fn bytes_of(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    image.into().write_to(&mut out, format).unwrap();
    out.into_inner()
}

fn gradient() -> Picture {
    Picture::new(8, 4, (0..96_u8).map(|i| i * 2).collect()).unwrap()
}

#[test]
fn every_lossless_format_gives_the_same_pixels() {
    let raw = ImageBuffer::<Rgb<u8>, _>::from_raw(8, 4, gradient().into_pixels()).unwrap();
    for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP] {
        let bytes = bytes_of(raw.clone(), format);
        assert_eq!(decode(&bytes, &options()).unwrap(), gradient(), "{format:?}");
    }
}

#[test]
fn a_gif_gives_its_first_frame() {
    let image = ImageBuffer::from_pixel(3, 2, Rgba([0, 255, 0, 255_u8]));
    let picture = decode(&bytes_of(image, ImageFormat::Gif), &options()).unwrap();
    assert_eq!(picture, Picture::filled(3, 2, [0, 255, 0]));
}

#[test]
fn one_pixel_is_a_picture() {
    let png = encode(&Picture::filled(1, 1, [1, 2, 3]), &EncodeOptions::png()).unwrap();
    assert_eq!(decode(&png, &options()).unwrap().pixels(), [1, 2, 3]);
}

#[test]
fn transparency_shows_the_configured_colour() {
    let mut image = ImageBuffer::from_pixel(2, 1, Rgba([200, 0, 0, 0_u8]));
    image.put_pixel(1, 0, Rgba([255, 0, 0, 128]));
    let png = bytes_of(image, ImageFormat::Png);
    let over = |background| decode(&png, &DecodeOptions { background, ..options() }).unwrap();
    assert_eq!(over([255; 3]).pixels(), [255, 255, 255, 255, 127, 127]);
    assert_eq!(over([0, 0, 100]).pixels(), [0, 0, 100, 128, 0, 50]);
}

#[test]
fn sixteen_bits_and_grey_are_scaled_not_cut() {
    let image = ImageBuffer::from_pixel(1, 1, Rgb([0x8000_u16, 0x00FF, 0xFFFF]));
    let picture = decode(&bytes_of(image, ImageFormat::Png), &options()).unwrap();
    assert_eq!(picture.pixels(), [128, 1, 255]);
    let image = ImageBuffer::from_pixel(1, 1, LumaA([0_u8, 128]));
    let picture = decode(&bytes_of(image, ImageFormat::Png), &options()).unwrap();
    assert_eq!(picture.pixels(), [127; 3]);
    let image = ImageBuffer::from_pixel(1, 1, Luma([77_u8]));
    assert_eq!(decode(&bytes_of(image, ImageFormat::Jpeg), &options()).unwrap().pixels(), [77; 3]);
}

/// A JPEG with an EXIF block that holds the orientation tag alone (TIFF 6.0, tag 0x0112).
fn oriented(orientation: u8) -> Vec<u8> {
    let mut left_red = Picture::filled(16, 8, [255, 0, 0]);
    left_red.paste(&Picture::filled(8, 8, [0, 0, 255]), 8, 0);
    let jpeg = encode(&left_red, &EncodeOptions::default()).unwrap();
    let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    let mut bytes = jpeg[..2].to_vec();
    bytes.write_all(&[0xFF, 0xE1]).unwrap();
    bytes.write_all(&u16::try_from(exif.len() + 2).unwrap().to_be_bytes()).unwrap();
    bytes.write_all(&exif).unwrap();
    bytes.write_all(&jpeg[2..]).unwrap();
    bytes
}

#[test]
fn exif_orientation_turns_the_picture_upright() {
    let turned = decode(&oriented(6), &options()).unwrap();
    assert_eq!((turned.width(), turned.height()), (8, 16));
    assert!(turned.pixel(4, 2).unwrap()[0] > 200, "red, once left, is on top");
    let left = decode(&oriented(6), &DecodeOptions { exif_orientation: false, ..options() }).unwrap();
    assert_eq!((left.width(), left.height()), (16, 8));
}

#[test]
fn the_header_alone_stops_a_bomb() {
    let mut png = encode(&Picture::filled(1, 1, [0; 3]), &EncodeOptions::png()).unwrap();
    // The IHDR of 50,000 × 50,000 pixels, with its checksum.
    png[16..24].copy_from_slice(&[0, 0, 0xC3, 0x50, 0, 0, 0xC3, 0x50]);
    let crc = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(probe(&png, &options()), Err(Reason::TooManyPixels));
    assert_eq!(decode(&png, &options()), Err(Reason::TooManyPixels));
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { 0xEDB8_8320 ^ (c >> 1) } else { c >> 1 })
    })
}

#[test]
fn cut_files_are_truncated_wherever_they_are_cut() {
    let noise: Vec<u8> =
        (0..64 * 64 * 3_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24).to_le_bytes()[0]).collect();
    let picture = Picture::new(64, 64, noise).unwrap();
    for format in [EncodeOptions::default(), EncodeOptions::png(), EncodeOptions::webp()] {
        let bytes = encode(&picture, &format).unwrap();
        for part in [4, 6, 9] {
            let cut = &bytes[..bytes.len() * part / 10];
            let why = decode(cut, &options()).unwrap_err();
            assert!(matches!(why, Reason::Truncated | Reason::Decode), "{format:?} {part}: {why}");
        }
    }
    let jpeg = encode(&picture, &EncodeOptions::default()).unwrap();
    assert_eq!(decode(&jpeg[..jpeg.len() - 40], &options()), Err(Reason::Truncated));
}

proptest::proptest! {
    #[test]
    fn damaged_files_never_panic(at in 0_usize..400, byte: u8, cut in 0_usize..400) {
        for encoding in [EncodeOptions::default(), EncodeOptions::png(), EncodeOptions::webp()] {
            let mut bytes = encode(&gradient(), &encoding).unwrap();
            let n = bytes.len();
            bytes[at % n] = byte;
            bytes.truncate(n - cut % n);
            // Inside the guard of `decode`, which would hide a panic.
            let _either = decoded(&bytes, &options(), None);
        }
    }
}
