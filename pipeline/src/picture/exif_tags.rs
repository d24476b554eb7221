//! ExifRead's names of EXIF tags, and what their numbers mean (`exif-tags.tsv`: directory, tag in hex, name, then `text`
//! for bytes that are characters, or `number=meaning` for each number that has a name).

use std::collections::HashMap;
use std::sync::LazyLock;

use exif::Context;

/// How the values of a tag are spelled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Meaning {
    /// As numbers.
    Plain,
    /// As characters.
    Text,
    /// By the names of the numbers.
    Names(&'static [(i64, &'static str)]),
}

struct Tag {
    name: &'static str,
    text: bool,
    names: Vec<(i64, &'static str)>,
}

/// Directory and number.
type Key = (&'static str, u16);

static TAGS: LazyLock<HashMap<Key, Tag>> =
    LazyLock::new(|| include_str!("exif-tags.tsv").lines().filter_map(row).collect());

fn row(line: &'static str) -> Option<(Key, Tag)> {
    let mut cells = line.split('\t');
    let (directory, number, name) = (cells.next()?, cells.next()?, cells.next()?);
    let mut text = false;
    let mut names = Vec::new();
    for cell in cells {
        match cell.split_once('=') {
            Some((value, name)) => names.push((value.parse().ok()?, name)),
            None => text = cell == "text",
        }
    }
    Some(((directory, u16::from_str_radix(number, 16).ok()?), Tag { name, text, names }))
}

/// The name of a tag and the meaning of its values; `None` for one that ExifRead does not know.
pub(super) fn tag(context: Context, number: u16) -> Option<(&'static str, Meaning)> {
    let directory = match context {
        Context::Gps => "gps",
        Context::Interop => "interop",
        _ => "image",
    };
    let Tag { name, text, names } = TAGS.get(&(directory, number))?;
    let meaning = match (text, names.as_slice()) {
        (true, _) => Meaning::Text,
        (false, []) => Meaning::Plain,
        (false, names) => Meaning::Names(names),
    };
    Some((name, meaning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read() {
        assert_eq!(TAGS.len(), include_str!("exif-tags.tsv").lines().count());
        let (name, meaning) = tag(Context::Tiff, 0x0112).unwrap();
        let Meaning::Names(names) = meaning else { panic!("{meaning:?}") };
        assert_eq!((name, names.len(), names[5]), ("Orientation", 8, (6, "Rotated 90 CW")));
        assert_eq!(tag(Context::Exif, 0x9000), Some(("ExifVersion", Meaning::Text)));
        assert_eq!(tag(Context::Gps, 2), Some(("GPSLatitude", Meaning::Plain)));
        assert_eq!(tag(Context::Tiff, 2), None);
    }
}
