//! A downloaded body to the image of its row: header checks, decode, resize, encode. Runs on the decoding threads.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::budget::Pixels;
use super::config::ImageConfig;
use crate::picture::{Geometry, Header, decode_for, encode, geometry, guarded, probe, resize_decoded};
use crate::reason::Reason;
use crate::unit::hex;

/// What a row gets when its download worked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Processed {
    pub(super) image: Bytes,
    pub(super) size: (u32, u32),
    pub(super) original_size: (u32, u32),
    pub(super) sha256: String,
}

/// Makes the image. Decoding is guarded for every caller; here a panic while resizing or encoding would end the crawl.
pub(super) fn process(body: &[u8], config: &ImageConfig, pixels: &Pixels) -> Result<Processed, Reason> {
    guarded(|| image_of(body, config, pixels))
}

fn image_of(body: &[u8], config: &ImageConfig, pixels: &Pixels) -> Result<Processed, Reason> {
    let header = probe(body, &config.decode())?;
    let (short, long) = (header.width.min(header.height), header.width.max(header.height));
    if short < config.min_side {
        return Err(Reason::TooSmall);
    }
    if config.max_aspect_ratio > 0.0 && f64::from(long) / f64::from(short) > config.max_aspect_ratio {
        return Err(Reason::AspectRatio);
    }
    // The header's sides are those before orientation; swapping them changes neither bytes nor pixels.
    let geometry = geometry(header.width, header.height, &config.resize());
    if geometry.passes(config.max_pixels) {
        return Err(Reason::TooManyPixels);
    }
    let _room = pixels.take(needed(&header, &geometry));
    let decoded = decode_for(body, &config.decode(), &config.resize())?;
    let original_size = decoded.full_size;
    let picture = resize_decoded(decoded, &config.resize())?;
    let image = encode(&picture, &config.encode())?;
    Ok(Processed {
        image: image.into(),
        size: (picture.width(), picture.height()),
        original_size,
        sha256: hex(&Sha256::digest(body)),
    })
}

/// Memory for the whole way of a picture: a single pixel is 3 bytes when decoded and 196,608 when resized to 256 × 256.
fn needed(header: &Header, geometry: &Geometry) -> u64 {
    header.decoded_bytes.saturating_add(geometry.bytes())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::picture::{EncodeOptions, Picture};

    fn run(width: u32, height: u32, config: &ImageConfig) -> Result<Processed, Reason> {
        let body = encode(&Picture::filled(width, height, [9, 8, 7]), &EncodeOptions::png()).unwrap();
        process(&body, config, &Pixels::new(1 << 20))
    }

    #[test]
    fn sizes_before_and_after_are_told() {
        let done = run(400, 300, &ImageConfig::default()).unwrap();
        assert_eq!((done.original_size, done.size), ((400, 300), (256, 256)));
        assert_eq!(run(1, 1, &ImageConfig::default()).unwrap().size, (256, 256));
    }

    #[test]
    fn room_is_taken_for_the_result_too() {
        let body = encode(&Picture::filled(1, 1, [9, 8, 7]), &EncodeOptions::png()).unwrap();
        let pixels = Pixels::new(1 << 20);
        let others = pixels.take((1 << 20) - 1000);
        std::thread::scope(|scope| {
            let one = scope.spawn(|| process(&body, &ImageConfig::default(), &pixels));
            std::thread::sleep(Duration::from_millis(20));
            assert!(!one.is_finished(), "384 KiB of pixels, 1,000 bytes left");
            drop(others);
            assert_eq!(one.join().unwrap().unwrap().size, (256, 256));
        });
    }

    #[test]
    fn what_would_become_too_large_is_refused_by_its_header() {
        let config = ImageConfig {
            resize_mode: crate::picture::ResizeMode::KeepRatio,
            max_pixels: 100_000,
            ..ImageConfig::default()
        };
        let mut body = encode(&Picture::filled(100, 1, [9, 8, 7]), &EncodeOptions::png()).unwrap();
        assert_eq!(process(&body, &config, &Pixels::new(1 << 20)), Err(Reason::TooManyPixels));
        // Not even decoded: the end of the file, its last chunk and a checksum, is missing.
        body.truncate(body.len() - 14);
        assert_eq!(process(&body, &config, &Pixels::new(1 << 20)), Err(Reason::TooManyPixels));
    }

    #[test]
    fn small_and_long_pictures_are_refused_on_request() {
        let config = ImageConfig { min_side: 10, max_aspect_ratio: 3.0, ..ImageConfig::default() };
        assert_eq!(run(100, 9, &config), Err(Reason::TooSmall));
        assert_eq!(run(100, 30, &config), Err(Reason::AspectRatio));
        assert!(run(90, 30, &config).is_ok());
    }
}
