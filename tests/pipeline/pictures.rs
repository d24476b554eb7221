//! Stored in every way, the picture stays the same: `pictures/make.py` tells how the files were made.

use pipeline::picture::{DecodeOptions, Picture, decode};

/// Red and green over blue and grey.
const SQUARES: [[u8; 3]; 4] = [[200, 30, 30], [30, 160, 60], [40, 60, 200], [128, 128, 128]];

/// The middle of each square.
fn seen(picture: &Picture) -> [[u8; 3]; 4] {
    assert_eq!((picture.width(), picture.height()), (16, 16));
    [(4, 4), (12, 4), (4, 12), (12, 12)].map(|(x, y)| picture.pixel(x, y).unwrap())
}

fn assert_seen(name: &str, bytes: &[u8], options: &DecodeOptions, expected: [[u8; 3]; 4], tolerance: u8) {
    let seen = seen(&decode(bytes, options).unwrap());
    let far = seen.iter().flatten().zip(expected.iter().flatten()).any(|(a, b)| a.abs_diff(*b) > tolerance);
    assert!(!far, "{name}: {seen:?} instead of {expected:?}");
}

macro_rules! pictures {
    ($($name:literal)*) => { [$(($name, include_bytes!(concat!("pictures/", $name)).as_slice())),*] };
}

#[test]
fn ways_to_store_a_picture() {
    let files = pictures!["progressive-restarts.jpg" "rgb.jpg" "inks.jpg" "inks.tif" "palette.bmp"
        "animated.gif" "animated.webp" "lying.webp"];
    for (name, bytes) in files {
        assert_seen(name, bytes, &DecodeOptions::default(), SQUARES, 3);
    }
}

#[test]
fn profiles_say_what_the_colours_are() {
    // Red and green are exchanged in the file, and again in its profile. The profile's curve is a plain power, which
    // sRGB's is not in the shadows: these are the numbers of Little CMS.
    let raw = SQUARES.map(|[r, g, b]| [g, r, b]);
    let expected = [[201, 24, 24], [24, 161, 57], [35, 57, 201], [129; 3]];
    for (name, bytes) in pictures!["profile.jpg" "profile.png" "profile.webp" "profile.tif"] {
        assert_seen(name, bytes, &DecodeOptions::default(), expected, 3);
        assert_seen(name, bytes, &DecodeOptions { icc: false, ..DecodeOptions::default() }, raw, 3);
    }
}

#[test]
fn profiles_of_inks() {
    // Only black is seen: none, all, half (L* of 50), none.
    let expected = [[255; 3], [0; 3], [118; 3], [255; 3]];
    for (name, bytes) in pictures!["inks-profile.jpg" "inks-profile.tif"] {
        assert_seen(name, bytes, &DecodeOptions::default(), expected, 3);
    }
}

#[test]
fn transparent_entries_of_a_palette_show_the_background() {
    let [(name, bytes)] = pictures!["palette-transparent.png"];
    let [red, green, blue, _] = SQUARES;
    let options = DecodeOptions { background: [9, 8, 7], ..DecodeOptions::default() };
    assert_seen(name, bytes, &options, [red, green, blue, [9, 8, 7]], 0);
}

#[test]
fn sixteen_bits_keep_their_range() {
    let [(name, bytes)] = pictures!["grey16.png"];
    assert_seen(name, bytes, &DecodeOptions::default(), [[32; 3], [128; 3], [192; 3], [255; 3]], 1);
}
