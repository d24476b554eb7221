//! A downloaded body to the image of its row: header checks, decode, resize, encode. Runs on the decoding threads.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::budget::Pixels;
use super::config::ImageConfig;
use crate::picture::{decode, encode, probe, resize};
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

/// Makes the image; a decoder that panics on hostile bytes is a damaged file, not the end of the crawl.
pub(super) fn process(body: &[u8], config: &ImageConfig, pixels: &Pixels) -> Result<Processed, Reason> {
    catch_unwind(AssertUnwindSafe(|| image_of(body, config, pixels))).unwrap_or(Err(Reason::Decode))
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
    let _room = pixels.take(header.decoded_bytes);
    let picture = decode(body, &config.decode())?;
    let original_size = (picture.width(), picture.height());
    let picture = resize(picture, &config.resize())?;
    let image = encode(&picture, &config.encode())?;
    Ok(Processed {
        image: image.into(),
        size: (picture.width(), picture.height()),
        original_size,
        sha256: hex(&Sha256::digest(body)),
    })
}

#[cfg(test)]
mod tests {
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
    fn small_and_long_pictures_are_refused_on_request() {
        let config = ImageConfig { min_side: 10, max_aspect_ratio: 3.0, ..ImageConfig::default() };
        assert_eq!(run(100, 9, &config), Err(Reason::TooSmall));
        assert_eq!(run(100, 30, &config), Err(Reason::AspectRatio));
        assert!(run(90, 30, &config).is_ok());
    }
}
