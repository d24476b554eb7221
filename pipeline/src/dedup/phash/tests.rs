use super::*;
use crate::picture::{DecodeOptions, decode};

/// As murmur's finaliser mixes bits; `golden.tsv` was made with the same.
fn mix(mut v: u32) -> u32 {
    for _ in 0..2 {
        v = (v ^ (v >> 16)).wrapping_mul(0x045d_9f3b);
    }
    v ^ (v >> 16)
}

fn low(v: u32) -> u8 {
    v.to_le_bytes()[0]
}

fn pixel(kind: &str, (x, y): (u32, u32), (width, height): (u32, u32), seed: u32) -> [u8; 3] {
    let noise =
        |cell: u32| [0, 1, 2].map(|c| low(mix(seed.wrapping_mul(0x9e37_79b9).wrapping_add(3 * cell + c))));
    match kind {
        "flat" => [37, 91, 13].map(|factor| low(seed * factor)),
        "across" => [low(x * 255 / (width - 1).max(1)); 3],
        "down" => [0, low(y * 255 / (height - 1).max(1)), 128],
        "diagonal" => [low((x + y) * seed); 3],
        "checks" => [low((x / seed + y / seed) % 2 * 255); 3],
        "noise" => noise(y * width + x),
        "square" => {
            let inside = |at, side| (side / 4..3 * side / 4).contains(&at);
            if inside(x, width) && inside(y, height) { [255, 0, 0] } else { [0, 0, 255] }
        }
        "waves" => [low(x * x / seed + y * y / seed), low(x * y / seed), low(x * 3 + y * 5)],
        "blocks" => noise(y * 7 / height * 7 + x * 7 / width),
        other => panic!("no picture called {other}"),
    }
}

#[test]
fn generated_pictures_have_the_hash_of_imagehash() {
    let mut cases = 0;
    for line in include_str!("golden.tsv").lines().filter(|line| !line.starts_with(['#', 'k'])) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [kind, seed, width, height, expected] = cells[..] else { panic!("{line}") };
        let [seed, width, height] = [seed, width, height].map(|number| number.parse::<u32>().unwrap());
        let points = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let pixels = points.flat_map(|at| pixel(kind, at, (width, height), seed)).collect();
        let picture = Picture::new(width, height, pixels).unwrap();
        assert_eq!(PHash::of(&picture).to_string(), expected, "{line}");
        cases += 1;
    }
    assert!(cases >= 60, "{cases}");
}

/// By `imagehash.phash(PIL.Image.open(file))`, of the same versions.
#[test]
fn files_have_the_hash_of_imagehash() {
    for (bytes, expected) in [
        (&include_bytes!("testdata/blocks-grey.jpg")[..], "dfcd481c430dea1d"),
        (&include_bytes!("testdata/blocks-palette.png")[..], "8649bdd91aa555e2"),
        (&include_bytes!("testdata/blocks-progressive.jpg")[..], "da7159410d45ca7f"),
        (&include_bytes!("testdata/blocks.jpg")[..], "c10d3e156912e77b"),
        (&include_bytes!("testdata/blocks.webp")[..], "8a7d750581aa936f"),
        (include_bytes!("../../../../tests/pipeline/pictures/rgb.jpg"), "9166009900660099"),
        (include_bytes!("../../../../tests/pipeline/pictures/animated.gif"), "9166009900660099"),
    ] {
        let picture = decode(bytes, &DecodeOptions::default()).unwrap();
        assert_eq!(PHash::of(&picture).to_string(), expected);
    }
}

#[test]
fn hashes_are_read_as_they_are_shown() {
    let hash = PHash(0x0123_4567_89ab_cdef);
    assert_eq!(hash.to_string().parse(), Ok(hash));
    assert_eq!(hash.distance(PHash(hash.0 ^ 0x8000_0000_0000_0101)), 3);
    for wrong in ["", "123", "+123456789abcdef", "0123456789abcdeg", "00123456789abcdef"] {
        assert!(wrong.parse::<PHash>().is_err(), "{wrong}");
    }
}
