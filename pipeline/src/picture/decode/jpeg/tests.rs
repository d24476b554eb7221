//! Reduced pictures against whole ones, over what encoders write.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use super::*;
use crate::picture::{
    Decoded, Interpolation, Picture, ResizeOptions, decode, decode_for, resize, resize_decoded,
};

/// Something like a photo: soft shapes, edges, and grain in three colours.
fn photo(width: u32, height: u32) -> Picture {
    let mut noise = 1_u32;
    let mut pixels = Vec::with_capacity(3 * width as usize * height as usize);
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        let (u, v) = (f64::from(x) / 40.0, f64::from(y) / 30.0);
        let edge = if (x / 37 + y / 53) % 3 == 0 { 40.0 } else { 0.0 };
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let grain = f64::from(noise >> 24) / 16.0 - 8.0;
        for phase in [0.0, 1.5, 3.0] {
            let value = 110.0 + 50.0 * (u + phase).sin() * (v - phase).cos() + edge + grain;
            pixels.push(value.clamp(0.0, 255.0) as u8);
        }
    }
    Picture::new(width, height, pixels).unwrap()
}

fn encoded(picture: &Picture, kind: ColorType, set: impl FnOnce(&mut Encoder<&mut Vec<u8>>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 90);
    set(&mut encoder);
    let samples: Vec<u8> = match kind {
        ColorType::Luma => picture.pixels().chunks(3).map(|p| p[1]).collect(),
        ColorType::Cmyk | ColorType::CmykAsYcck => {
            picture.pixels().chunks(3).flat_map(|p| [p[0], p[1], p[2], 200]).collect()
        }
        _ => picture.pixels().to_vec(),
    };
    let side = |n: u32| u16::try_from(n).unwrap();
    encoder.encode(&samples, side(picture.width()), side(picture.height()), kind).unwrap();
    bytes
}

/// The mean of each square, as far as there are pixels.
fn means(whole: &Samples, step: usize) -> Vec<f64> {
    let channels = whole.pixels.len() / (whole.width * whole.height);
    let (width, height) = (whole.width.div_ceil(step), whole.height.div_ceil(step));
    let mut means = Vec::new();
    for (y, x, channel) in
        (0..height).flat_map(|y| (0..width).flat_map(move |x| (0..channels).map(move |c| (y, x, c))))
    {
        let ys = y * step..((y + 1) * step).min(whole.height);
        let xs = x * step..((x + 1) * step).min(whole.width);
        let count = ys.len() * xs.len();
        let at = |y: usize, x: usize| f64::from(whole.pixels[channels * (y * whole.width + x) + channel]);
        let sum: f64 = ys.flat_map(|y| xs.clone().map(move |x| (y, x))).map(|(y, x)| at(y, x)).sum();
        means.push(sum / count as f64);
    }
    means
}

fn rms(pixels: &[u8], expected: &[f64]) -> f64 {
    assert_eq!(pixels.len(), expected.len());
    let squares: f64 = pixels.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum();
    (squares / expected.len() as f64).sqrt()
}

#[test]
fn reduced_pictures_are_the_means_of_whole_ones() {
    use SamplingFactor::{F_1_1, F_1_2, F_2_1, F_2_2, F_4_1};
    for (width, height) in [(150, 101), (16, 16), (9, 40), (1, 1)] {
        let picture = photo(width, height);
        for (kind, sampling, progressive, restart) in [
            (ColorType::Rgb, F_2_2, false, 0),
            (ColorType::Rgb, F_1_1, false, 3),
            (ColorType::Rgb, F_2_1, true, 0),
            (ColorType::Rgb, F_1_2, false, 0),
            (ColorType::Rgb, F_4_1, true, 5),
            (ColorType::Luma, F_1_1, false, 0),
            (ColorType::Luma, F_1_1, true, 2),
        ] {
            let bytes = encoded(&picture, kind, |encoder| {
                encoder.set_sampling_factor(sampling);
                encoder.set_progressive(progressive);
                encoder.set_restart_interval(restart);
            });
            let header = JpegHeader::read(&bytes).unwrap();
            let whole = whole(&bytes, header.colour).unwrap();
            for reduction in [1, 2, 4, 8] {
                let reduced = reduced::decode(&bytes, &header, reduction).unwrap();
                let distance = rms(&reduced.pixels, &means(&whole, reduction));
                // Between pixels of few samples `zune-jpeg` blends; at the edges the last block hangs over.
                assert!(distance < 6.0, "{kind:?} {sampling:?} 1/{reduction} {width}x{height}: {distance}");
            }
        }
    }
}

#[test]
fn inks_come_out_as_they_went_in() {
    let picture = photo(40, 24);
    for kind in [ColorType::Cmyk, ColorType::CmykAsYcck] {
        for progressive in [false, true] {
            let bytes = encoded(&picture, kind, |encoder| encoder.set_progressive(progressive));
            let header = JpegHeader::read(&bytes).unwrap();
            let samples = reduced::decode(&bytes, &header, 1).unwrap();
            let expected: Vec<f64> =
                picture.pixels().chunks(3).flat_map(|p| [p[0], p[1], p[2], 200]).map(f64::from).collect();
            assert!(rms(&samples.pixels, &expected) < 6.0, "{kind:?}");
        }
    }
}

#[test]
fn what_is_made_of_a_reduced_picture_can_hardly_be_told_from_the_rest() {
    let picture = photo(523, 389);
    let options = DecodeOptions::default();
    for sampling in [SamplingFactor::F_2_2, SamplingFactor::F_1_1] {
        let bytes = encoded(&picture, ColorType::Rgb, |encoder| encoder.set_sampling_factor(sampling));
        for (size, divisor) in [(126, 2), (60, 4), (30, 8)] {
            for downscale in [Interpolation::Area, Interpolation::Lanczos, Interpolation::Linear] {
                let to = ResizeOptions { size, downscale, ..ResizeOptions::default() };
                let reduced = decode_for(&bytes, &options, &to).unwrap();
                assert_eq!((reduced.full_size, reduced.reduction), ((523, 389), divisor));
                let reduced = resize_decoded(reduced, &to).unwrap();
                let whole = resize(decode(&bytes, &options).unwrap(), &to).unwrap();
                let whole: Vec<f64> = whole.pixels().iter().map(|value| f64::from(*value)).collect();
                let decibels = 20.0 * (255.0 / rms(reduced.pixels(), &whole)).log10();
                assert!(decibels > 40.0, "{sampling:?} 1/{divisor} {downscale:?}: {decibels} dB");
            }
        }
    }
}

#[test]
fn a_picture_on_its_side_is_reduced_by_its_upright_size() {
    let mut bytes = encoded(&photo(512, 1024), ColorType::Rgb, |_| {});
    let exif = b"\xFF\xE1\0\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    bytes.splice(2..2, exif.iter().copied());
    let to = ResizeOptions::default();
    let decoded = decode_for(&bytes, &DecodeOptions::default(), &to).unwrap();
    let Decoded { picture, full_size, reduction } = &decoded;
    assert_eq!((*full_size, *reduction), ((1024, 512), 2));
    assert_eq!((picture.width(), picture.height()), (512, 256));
    let resized = resize_decoded(decoded, &to).unwrap();
    assert_eq!((resized.width(), resized.height()), (256, 256));
}

#[test]
fn the_header_tells_what_a_progressive_file_needs() {
    let picture = photo(64, 64);
    let needed = |progressive| {
        let bytes = encoded(&picture, ColorType::Luma, |encoder| encoder.set_progressive(progressive));
        probe(&bytes, &DecodeOptions::default()).unwrap().decoded_bytes
    };
    assert_eq!(needed(true) - needed(false), 64 * 64 * 2);
}

#[test]
fn a_file_of_endless_scans_is_refused() {
    let bytes = encoded(&photo(16, 16), ColorType::Luma, |encoder| encoder.set_progressive(true));
    let scan = bytes.windows(2).rposition(|pair| pair == [0xFF, 0xDA]).unwrap();
    let (start, end) = (&bytes[..scan], &bytes[bytes.len() - 2..]);
    let bomb = [start, &bytes[scan..bytes.len() - 2].repeat(101), end].concat();
    assert_eq!(decode(&bomb, &DecodeOptions::default()), Err(Reason::Decode));
}

proptest::proptest! {
    #[test]
    fn damage_never_panics(at in 2_usize..1200, byte: u8, cut in 0_usize..400, progressive: bool, inks: bool) {
        let kind = if inks { ColorType::CmykAsYcck } else { ColorType::Rgb };
        let mut bytes = encoded(&photo(24, 17), kind, |encoder| {
            encoder.set_progressive(progressive);
            encoder.set_restart_interval(2);
        });
        let n = bytes.len();
        bytes[at % n] = byte;
        bytes.truncate(n - cut % n);
        if let Ok(header) = JpegHeader::read(&bytes) && header.frame.blocks() < 10_000 {
            for reduction in [1, 2, 8] {
                let _either = reduced::decode(&bytes, &header, reduction);
            }
        }
    }
}
