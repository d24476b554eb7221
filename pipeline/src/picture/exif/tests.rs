use super::*;

/// A little-endian TIFF block with one directory of `(tag, type, count, value or offset)` and data behind it.
fn block(entries: &[(u16, u16, u32, u32)], data: &[u8]) -> Vec<u8> {
    let mut out = b"II*\0\x08\0\0\0".to_vec();
    out.extend(u16::try_from(entries.len()).unwrap().to_le_bytes());
    for (tag, kind, count, value) in entries {
        out.extend(tag.to_le_bytes());
        out.extend(kind.to_le_bytes());
        out.extend(count.to_le_bytes());
        out.extend(value.to_le_bytes());
    }
    out.extend([0; 4]);
    out.extend(data);
    out
}

/// Where the data of a block with `entries` entries begins.
fn data_at(entries: u32) -> u32 {
    8 + 2 + 12 * entries + 4
}

fn jpeg(block: &[u8]) -> Vec<u8> {
    let mut out = vec![0xFF, 0xD8, 0xFF, 0xE1];
    out.extend(u16::try_from(block.len() + 8).unwrap().to_be_bytes());
    out.extend(b"Exif\0\0");
    out.extend(block);
    out.extend([0xFF, 0xDA, 0, 2]);
    out
}

#[test]
fn names_and_values_are_exifreads() {
    let data = [b"Cam\xC3\xA9ra\0\0".as_slice(), &72_u32.to_le_bytes(), &1_u32.to_le_bytes()].concat();
    let entries = [
        (0x010F, 2, 8, data_at(4)),
        (0x0112, 3, 1, 6),
        (0x011A, 5, 1, data_at(4) + 9),
        (0xC000, 3, 2, 7 | 8 << 16),
    ];
    let json = exif_json(&jpeg(&block(&entries, &data))).unwrap();
    insta::assert_snapshot!(json, @r#"{"Image Make": "Cam\u00e9ra", "Image Orientation": "Rotated 90 CW", "Image XResolution": "72", "Image Tag 0xC000": "[7, 8]"}"#);
}

#[test]
fn directories_below_have_their_own_names() {
    // The directory of the camera with version and exposure time, then that of the place.
    let camera = data_at(2);
    let place = camera + 2 + 24 + 4 + 8;
    let mut data = block(&[(0x9000, 7, 4, u32::from_le_bytes(*b"0232")), (0x829A, 5, 1, camera + 30)], &[])
        [8..]
        .to_vec();
    data.extend([10_u32.to_le_bytes(), 600_u32.to_le_bytes()].concat());
    data.extend(&block(&[(1, 2, 2, u32::from_le_bytes(*b"N\0\0\0"))], &[])[8..]);
    let json = exif_json(&jpeg(&block(&[(0x8769, 4, 1, camera), (0x8825, 4, 1, place)], &data))).unwrap();
    insta::assert_snapshot!(json, @r#"{"GPS GPSLatitudeRef": "N", "EXIF ExifVersion": "0232", "EXIF ExposureTime": "1/60"}"#);
}

#[test]
fn none_is_empty_and_damage_is_null() {
    assert_eq!(exif_json(b"GIF89a").as_deref(), Some("{}"));
    assert_eq!(exif_json(&[0xFF, 0xD8, 0xFF, 0xD9]).as_deref(), Some("{}"));
    assert_eq!(exif_json(&jpeg(b"not a TIFF block")), None);
    // An entry that points beyond the block is left out.
    let json = exif_json(&jpeg(&block(&[(0x0112, 3, 1, 1), (0x010F, 2, 99, 5000)], &[]))).unwrap();
    assert_eq!(json, r#"{"Image Orientation": "Horizontal (normal)"}"#);
}

#[test]
fn fractions_are_pythons() {
    assert_eq!(fraction(10, 600), "1/60");
    assert_eq!(fraction(-4, 2), "-2");
    assert_eq!(fraction(3, -9), "-1/3");
    assert_eq!(fraction(5, 0), "5/0");
    assert_eq!(fraction(0, 7), "0");
}

#[test]
fn long_lists_are_cut_and_longer_ones_left_out() {
    let items = |count: u16| items(&Value::Short(vec![7; count.into()])).unwrap();
    assert_eq!(numbers(&items(50), Meaning::Plain).matches('7').count(), 50);
    assert!(numbers(&items(51), Meaning::Plain).ends_with("7, 7, ... ]"));
    assert_eq!(numbers(&items(51), Meaning::Plain).matches('7').count(), 20);
    assert_eq!(numbers(&items(1000), Meaning::Plain), "[]");
}

proptest::proptest! {
    #[test]
    fn damaged_blocks_never_panic(at in 0_usize..80, byte: u8, cut in 0_usize..80) {
        let mut bytes = jpeg(&block(&[(0x8769, 4, 1, 26), (0x0112, 3, 1, 6), (0x011A, 5, 1, 40)], &[1; 30]));
        let length = bytes.len();
        bytes[at % length] = byte;
        bytes.truncate(length - cut % length);
        let _either = exif_json(&bytes);
    }
}
