//! A downloaded body to the image of its row: hash, header checks, decode, resize, blur, encode. Runs on the decoding
//! threads.

use bytes::Bytes;

use super::asks::Asks;
use super::budget::Pixels;
use super::config::ImageConfig;
use crate::picture::{
    EncodeFormat, Geometry, Header, Source, blur, decode_for, encode, encode_grey, exif_json, geometry,
    guarded, probe, resize_with,
};
use crate::reason::Reason;

/// What a row gets when its download worked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Processed {
    pub(super) image: Bytes,
    /// Unknown where bodies are stored undecoded.
    pub(super) size: Option<(u32, u32)>,
    pub(super) original_size: Option<(u32, u32)>,
    pub(super) hash: Option<String>,
    pub(super) exif: Option<String>,
}

/// Makes the image. Decoding is guarded for every caller; here a panic while resizing or encoding would end the crawl.
pub(super) fn process(
    body: &Bytes,
    config: &ImageConfig,
    asks: &Asks,
    pixels: &Pixels,
) -> Result<Processed, Reason> {
    let hash = config.compute_hash.digest(body);
    if config.verify_hash.is_some()
        && !hash.as_ref().is_some_and(|hash| hash.eq_ignore_ascii_case(&asks.hash))
    {
        return Err(Reason::HashMismatch);
    }
    let done = match config.disable_all_reencoding {
        true => Processed::of(body.clone()),
        false => guarded(|| image_of(body, config, asks, pixels))?,
    };
    // EXIF that makes the reader panic is as good as unreadable.
    let exif = config.extract_exif.then(|| guarded(|| Ok(exif_json(body))).ok().flatten()).flatten();
    Ok(Processed { hash, exif, ..done })
}

impl Processed {
    fn of(image: Bytes) -> Self {
        Self { image, size: None, original_size: None, hash: None, exif: None }
    }
}

fn image_of(body: &Bytes, config: &ImageConfig, asks: &Asks, pixels: &Pixels) -> Result<Processed, Reason> {
    let header = probe(body, &config.decode())?;
    check_sides(&header, config)?;
    if asks.bad_boxes {
        return Err(Reason::BlurBoxes);
    }
    // The header's sides are those before orientation; swapping them changes neither bytes nor pixels.
    let geometry = geometry(header.width, header.height, &config.resize());
    if geometry.passes(config.max_pixels) {
        return Err(Reason::TooManyPixels);
    }
    let _room = pixels.take(needed(&header, &geometry, config, asks));
    let decoded = decode_for(body, &config.decode(), &config.resize())?;
    let original_size = Some(decoded.full_size);
    let unchanged = config.skip_reencode && geometry.is_identity() && asks.boxes.is_empty();
    if unchanged && stays(body, config) {
        return Ok(Processed { size: original_size, original_size, ..Processed::of(body.clone()) });
    }
    let picture = resize_with(decoded, &config.resize(), |scaled| blur(scaled, &asks.boxes))?;
    let grey = config.as_img2dataset() && Source::of(body).is_ok_and(|source| source.grey);
    let image = if grey { encode_grey } else { encode }(&picture, &config.encode())?;
    let size = Some((picture.width(), picture.height()));
    Ok(Processed { size, original_size, ..Processed::of(image.into()) })
}

/// img2dataset's checks in its order.
fn check_sides(header: &Header, config: &ImageConfig) -> Result<(), Reason> {
    let (short, long) = (header.width.min(header.height), header.width.max(header.height));
    let area = u64::from(short) * u64::from(long);
    match config.max_aspect_ratio {
        _ if short < config.min_side => Err(Reason::TooSmall),
        _ if config.max_area > 0 && area > config.max_area => Err(Reason::TooLargeArea),
        most if most > 0.0 && f64::from(long) / f64::from(short) > most => Err(Reason::AspectRatio),
        _ => Ok(()),
    }
}

/// Whether a file of unchanged size may be stored as it came: it has the format, and decoding changed nothing in it.
fn stays(body: &[u8], config: &ImageConfig) -> bool {
    let turned = |source: &Source| source.turned && config.decode().exif_orientation;
    let icc = |source: &Source| source.icc && config.decode().icc;
    Source::of(body).is_ok_and(|source| {
        source.format == Some(config.encode_format) && !source.alpha && !turned(&source) && !icc(&source)
    })
}

/// Memory for the whole way of a picture: a single pixel is 3 bytes when decoded and 196,608 when resized to 256 × 256.
fn needed(header: &Header, geometry: &Geometry, config: &ImageConfig, asks: &Asks) -> u64 {
    let pixels = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
    // Four floats per blurred pixel; libwebp's tables take about as much per encoded one.
    let blurred = if asks.boxes.is_empty() { 0 } else { 16 * pixels(geometry.scaled) };
    let tables = if config.encode_format == EncodeFormat::Webp { 16 * pixels(geometry.output) } else { 0 };
    [geometry.bytes(), blurred, tables].into_iter().fold(header.decoded_bytes, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::config::Compat;
    use super::*;
    use crate::pairs::HashKind;
    use crate::picture::{BlurBox, EncodeOptions, Picture, decode};

    fn plain(width: u32, height: u32) -> Bytes {
        encode(&Picture::filled(width, height, [9, 8, 7]), &EncodeOptions::png()).unwrap().into()
    }

    fn run(width: u32, height: u32, config: &ImageConfig) -> Result<Processed, Reason> {
        done(&plain(width, height), config, &Asks::default())
    }

    #[test]
    fn sizes_before_and_after_are_told() {
        let done = run(400, 300, &ImageConfig::default()).unwrap();
        assert_eq!((done.original_size, done.size), (Some((400, 300)), Some((256, 256))));
        assert_eq!(run(1, 1, &ImageConfig::default()).unwrap().size, Some((256, 256)));
    }

    #[test]
    fn room_is_taken_for_the_result_too() {
        let body = plain(1, 1);
        let pixels = Pixels::new(1 << 20);
        let others = pixels.take((1 << 20) - 1000);
        std::thread::scope(|scope| {
            let one = scope.spawn(|| process(&body, &ImageConfig::default(), &Asks::default(), &pixels));
            std::thread::sleep(Duration::from_millis(20));
            assert!(!one.is_finished(), "384 KiB of pixels, 1,000 bytes left");
            drop(others);
            assert_eq!(one.join().unwrap().unwrap().size, Some((256, 256)));
        });
    }

    #[test]
    fn what_would_become_too_large_is_refused_by_its_header() {
        let config = ImageConfig {
            resize_mode: crate::picture::ResizeMode::KeepRatio,
            max_pixels: 100_000,
            ..ImageConfig::default()
        };
        let mut body = plain(100, 1);
        assert_eq!(done(&body, &config, &Asks::default()), Err(Reason::TooManyPixels));
        // Not even decoded: the end of the file, its last chunk and a checksum, is missing.
        body.truncate(body.len() - 14);
        assert_eq!(done(&body, &config, &Asks::default()), Err(Reason::TooManyPixels));
    }

    #[test]
    fn small_large_and_long_pictures_are_refused_on_request() {
        let config =
            ImageConfig { min_side: 10, max_area: 4000, max_aspect_ratio: 3.0, ..ImageConfig::default() };
        assert_eq!(run(100, 9, &config), Err(Reason::TooSmall));
        assert_eq!(run(401, 10, &config), Err(Reason::TooLargeArea));
        assert_eq!(run(100, 30, &config), Err(Reason::AspectRatio));
        assert!(run(90, 30, &config).is_ok());
    }

    fn done(body: &[u8], config: &ImageConfig, asks: &Asks) -> Result<Processed, Reason> {
        process(&Bytes::copy_from_slice(body), config, asks, &Pixels::new(1 << 20))
    }

    fn asks(sides: &[[f64; 4]]) -> Asks {
        let boxes = sides.iter().filter_map(|sides| BlurBox::new(*sides)).collect();
        Asks { boxes, ..Asks::default() }
    }

    #[test]
    fn files_are_stored_as_they_came_where_nothing_changes() {
        let skip = ImageConfig { size: 64, skip_reencode: true, ..ImageConfig::default() };
        let jpg = |side| encode(&Picture::filled(side, side, [9, 8, 7]), &EncodeOptions::default()).unwrap();
        let stored = done(&jpg(64), &skip, &Asks::default()).unwrap();
        assert_eq!((stored.image.to_vec(), stored.size), (jpg(64), Some((64, 64))));
        assert_ne!(done(&jpg(65), &skip, &Asks::default()).unwrap().image, jpg(65), "resized");
        let png = encode(&Picture::filled(64, 64, [9, 8, 7]), &EncodeOptions::png()).unwrap();
        assert_ne!(done(&png, &skip, &Asks::default()).unwrap().image, png, "another format");
        let blurred = done(&jpg(64), &skip, &asks(&[[0.0, 0.0, 1.0, 1.0]])).unwrap();
        assert_eq!(blurred.size, Some((64, 64)));
        let damaged = &jpg(64)[..200];
        assert!(done(damaged, &skip, &Asks::default()).is_err(), "but not undecodable");
    }

    #[test]
    fn all_bodies_are_stored_as_they_came_on_request() {
        let raw = ImageConfig { disable_all_reencoding: true, ..ImageConfig::default() };
        let stored = done(b"<html>", &raw, &Asks::default()).unwrap();
        assert_eq!(
            (stored.image.as_ref(), stored.size, stored.original_size),
            (b"<html>".as_slice(), None, None)
        );
        assert_eq!(stored.hash, HashKind::Sha256.digest(b"<html>"));
        assert_eq!(stored.exif.as_deref(), Some("{}"));
    }

    #[test]
    fn bytes_with_another_hash_are_refused_before_they_are_decoded() {
        let verify = Some(("sha".to_owned(), HashKind::Md5));
        let config =
            ImageConfig { compute_hash: HashKind::Md5, verify_hash: verify, ..ImageConfig::default() };
        let png = encode(&Picture::filled(2, 2, [9, 8, 7]), &EncodeOptions::png()).unwrap();
        let hash = HashKind::Md5.digest(&png).unwrap();
        let asking = |hash: &str| Asks { hash: hash.to_owned(), ..Asks::default() };
        assert_eq!(done(&png, &config, &asking(&hash.to_uppercase())).unwrap().hash, Some(hash.clone()));
        assert_eq!(done(b"<html>", &config, &asking(&hash)), Err(Reason::HashMismatch));
        assert_eq!(done(&png, &config, &Asks::default()), Err(Reason::HashMismatch));
    }

    #[test]
    fn boxes_are_blurred_before_the_border_is_drawn() {
        let sharp = |x: u32| if x.is_multiple_of(2) { [0; 3] } else { [200; 3] };
        let picture = Picture::new(64, 32, (0..64 * 32).flat_map(sharp).collect()).unwrap();
        let png = encode(&picture, &EncodeOptions::png()).unwrap();
        let config = ImageConfig { size: 64, encode_format: EncodeFormat::Png, ..ImageConfig::default() };
        let all = done(&png, &config, &asks(&[[0.0, 0.0, 1.0, 1.0]])).unwrap();
        let all = decode(&all.image, &config.decode()).unwrap();
        assert_eq!(all.pixel(32, 32), Some([100; 3]));
        assert_eq!(all.pixel(32, 15), Some([255; 3]), "the border stays white");
        let bad = Asks { bad_boxes: true, ..Asks::default() };
        assert_eq!(done(&png, &config, &bad), Err(Reason::BlurBoxes));
    }

    #[test]
    fn grey_stays_grey_as_in_img2dataset() {
        let grey =
            crate::picture::encode_grey(&Picture::filled(8, 8, [50; 3]), &EncodeOptions::png()).unwrap();
        let channels = |compat| {
            let config = ImageConfig { compat, ..ImageConfig::default() };
            Source::of(&done(&grey, &config, &Asks::default()).unwrap().image).unwrap().grey
        };
        assert_eq!((channels(Compat::Img2dataset), channels(Compat::None)), (true, false));
    }
}
