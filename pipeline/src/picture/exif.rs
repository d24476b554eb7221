//! EXIF as img2dataset stores it: a JSON object of the names and values that the Python package ExifRead 3.0 prints with
//! `details=False`.
//!
//! Differences: bytes are read as they are (the fork that img2dataset 1.47 installs, exifread-nocycle 3.0.1, reads every
//! single byte as 0, so that `EXIF ExifVersion` is always empty there); pointers to other directories (`Image
//! ExifOffset`, `Image GPSInfo`, `EXIF InteroperabilityOffset`) are left out; PNG's `eXIf` chunk is read too; text that
//! is no UTF-8 shows replacement characters instead of Python's `b'…'`; and text ends after 64 KiB.

use std::io::Cursor;

use exif::{Context, Error, Exif, Field, Reader, Value};
use serde_json::{Map, Value as Json};

use super::exif_tags::{Meaning, tag};

/// Longest text of one tag, in bytes.
const LONGEST: usize = 64 << 10;
/// XMP, maker notes and user comments, which ExifRead leaves out too.
const LEFT_OUT: [u16; 3] = [0x02BC, 0x927C, 0x9286];

/// The tags of a picture file; `{}` if it has none, `None` if they cannot be read.
///
/// Spelled like Python's `json.dumps`: ASCII, with a space after commas and colons.
///
/// ```
/// assert_eq!(pipeline::picture::exif_json(b"GIF89a").as_deref(), Some("{}"));
/// ```
pub fn exif_json(bytes: &[u8]) -> Option<String> {
    let exif = match read(bytes) {
        Ok(exif) => exif,
        Err(Error::NotFound(_)) => return Some("{}".to_owned()),
        Err(_) => return None,
    };
    let mut tags = Map::new();
    // The directory of the camera comes last there, though it is found first.
    for camera in [false, true] {
        let is_camera = |field: &&Field| matches!(field.tag.context(), Context::Exif | Context::Interop);
        for field in exif.fields().filter(|field| is_camera(field) == camera) {
            if !LEFT_OUT.contains(&field.tag.number()) {
                tags.extend(entry(field));
            }
        }
    }
    Some(dumps(&tags))
}

/// The EXIF block of a file, damaged entries left out.
fn read(bytes: &[u8]) -> Result<Exif, Error> {
    let mut reader = Reader::new();
    reader.continue_on_error(true);
    let container = || reader.read_from_container(&mut Cursor::new(bytes));
    let exif = match bytes {
        [0xFF, 0xD8, ..] => reader.read_raw(jpeg_block(bytes).ok_or(Error::NotFound("JPEG"))?.to_vec()),
        [b'I', b'I', ..] | [b'M', b'M', ..] | [b'R', b'I', b'F', b'F', ..] => container(),
        // A damaged PNG file rarely had any.
        [0x89, b'P', b'N', b'G', ..] => container().map_err(|error| match error {
            partial @ Error::PartialResult(_) => partial,
            _ => Error::NotFound("PNG"),
        }),
        _ => Err(Error::NotFound("file")),
    };
    exif.or_else(|error| error.distill_partial_result(drop))
}

/// What follows `Exif\0\0` in the first such segment before the first scan: the scans, most of a file, are not searched.
fn jpeg_block(bytes: &[u8]) -> Option<&[u8]> {
    let mut at = 2;
    while let Some(&[0xFF, marker, high, low]) = bytes.get(at..at + 4) {
        match marker {
            0xDA | 0xD9 => return None,
            0xFF => at += 1,
            0x01 | 0xD0..=0xD8 => at += 2,
            _ => {
                let end = at + 2 + usize::from(u16::from_be_bytes([high, low]));
                let segment = bytes.get(at + 4..end);
                if marker == 0xE1
                    && let Some(block) = segment.and_then(|segment| segment.strip_prefix(b"Exif\0\0"))
                {
                    return Some(block);
                }
                at = end;
            }
        }
    }
    None
}

/// ExifRead's name and text of a tag; `None` for types that it does not know.
fn entry(field: &Field) -> Option<(String, Json)> {
    let (context, number) = (field.tag.context(), field.tag.number());
    let directory = match (context, field.ifd_num.index()) {
        (Context::Tiff, 0) => "Image".to_owned(),
        (Context::Tiff, 1) => "Thumbnail".to_owned(),
        (Context::Tiff, n) => format!("IFD {n}"),
        (Context::Exif, _) => "EXIF".to_owned(),
        (Context::Gps, _) => "GPS".to_owned(),
        (Context::Interop, _) => "Interoperability".to_owned(),
        _ => return None,
    };
    let (name, meaning) = match tag(context, number) {
        Some((name, meaning)) => (name.to_owned(), meaning),
        None => (format!("Tag 0x{number:04X}"), Meaning::Plain),
    };
    let text = match &field.value {
        Value::Ascii(texts) => ascii(texts.first().map_or(&[], Vec::as_slice)),
        value => numbers(&items(value)?, meaning),
    };
    Some((format!("{directory} {name}"), text.trim().into()))
}

fn ascii(text: &[u8]) -> String {
    String::from_utf8_lossy(&text[..text.len().min(LONGEST)]).into_owned()
}

/// The values as Python's `repr` spells them; none where there are so many that ExifRead gives up.
fn items(value: &Value) -> Option<Vec<String>> {
    fn all<T>(values: &[T], text: impl Fn(&T) -> String) -> Option<Vec<String>> {
        Some(if values.len() < 1000 { values.iter().map(text).collect() } else { Vec::new() })
    }
    match value {
        Value::Byte(v) | Value::Undefined(v, _) => all(v, u8::to_string),
        Value::SByte(v) => all(v, i8::to_string),
        Value::Short(v) => all(v, u16::to_string),
        Value::SShort(v) => all(v, i16::to_string),
        Value::Long(v) => all(v, u32::to_string),
        Value::SLong(v) => all(v, i32::to_string),
        Value::Rational(v) => all(v, |r| fraction(r.num.into(), r.denom.into())),
        Value::SRational(v) => all(v, |r| fraction(r.num.into(), r.denom.into())),
        // A tuple of one, as `struct.unpack` gives it.
        Value::Float(v) => all(v, |x| format!("({:?},)", f64::from(*x))),
        Value::Double(v) => all(v, |x| format!("({x:?},)")),
        Value::Ascii(_) | Value::Unknown(..) => None,
    }
}

/// In lowest terms, as Python's `Fraction`; a denominator of 0 stays.
fn fraction(numerator: i64, denominator: i64) -> String {
    let (mut a, mut b) = (numerator.abs(), denominator.abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let divisor = match denominator {
        0 => 1,
        negative if negative < 0 => -a,
        _ => a,
    };
    match (numerator / divisor, denominator / divisor) {
        (whole, 1) => whole.to_string(),
        (above, below) => format!("{above}/{below}"),
    }
}

fn numbers(items: &[String], meaning: Meaning) -> String {
    match meaning {
        Meaning::Names(names) => {
            let name = |item: &String| names.iter().find(|(value, _)| value.to_string() == *item);
            items.iter().map(|item| name(item).map_or(item.as_str(), |(_, name)| name)).collect()
        }
        Meaning::Text => characters(items),
        Meaning::Plain => match items {
            [one] => one.clone(),
            many if many.len() > 50 => format!("[{}, ... ]", many[..20].join(", ")),
            many => format!("[{}]", many.join(", ")),
        },
    }
}

/// Bytes that are characters; if none can be printed, their numbers.
fn characters(items: &[String]) -> String {
    let codes = items.iter().filter_map(|item| item.parse::<u8>().ok());
    let text: String = codes.filter(|code| *code >= 32).map(char::from).collect();
    match text.is_empty() {
        true if items.iter().all(|item| item == "0") => String::new(),
        true => items.concat(),
        false => text.trim_matches([' ', '\0']).to_owned(),
    }
}

/// Python's `json.dumps`.
fn dumps(tags: &Map<String, Json>) -> String {
    let quoted = |text: &str| {
        let mut out = String::with_capacity(text.len() + 2);
        for character in Json::from(text).to_string().chars() {
            match character {
                ' '..='~' => out.push(character),
                _ => {
                    let mut units = [0; 2];
                    out.extend(
                        character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")),
                    );
                }
            }
        }
        out
    };
    let pair = |(name, value): (&String, &Json)| {
        format!("{}: {}", quoted(name), quoted(value.as_str().unwrap_or_default()))
    };
    format!("{{{}}}", tags.iter().map(pair).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests;
