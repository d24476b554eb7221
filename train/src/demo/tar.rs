//! Reading a plain ustar archive: names and contents of its files. The demo's pictures lie in one, so that the
//! repository carries one file instead of 1,369.

use std::ops::Range;
use std::path::Path;

use crate::{Error, Result};

const BLOCK: usize = 512;

/// One file of the archive: its name and where its bytes lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) place: Range<usize>,
}

/// The regular files of the archive `bytes`, in order; `path` is for the error.
///
/// # Errors
/// A header whose check sum is wrong, or an archive that ends inside a file.
pub(super) fn members(path: &Path, bytes: &[u8]) -> Result<Vec<Member>> {
    let damaged = |at: usize| Error::data(path, format!("damaged tar archive at byte {at}"));
    let (mut members, mut at) = (Vec::new(), 0);
    while let Some(header) = bytes.get(at..at + BLOCK) {
        if header.iter().all(|byte| *byte == 0) {
            return Ok(members);
        }
        let size = checked_size(header).ok_or_else(|| damaged(at))?;
        let start = at + BLOCK;
        let end = start.checked_add(size).filter(|end| *end <= bytes.len()).ok_or_else(|| damaged(at))?;
        if matches!(header[156], b'0' | 0) {
            members.push(Member { name: text(&header[..100]), place: start..end });
        }
        at = start + size.div_ceil(BLOCK) * BLOCK;
    }
    Err(damaged(at))
}

/// The size in a header whose check sum is right: the sum of its bytes, those of the sum itself taken as spaces.
fn checked_size(header: &[u8]) -> Option<usize> {
    let blank = |i: usize| (148..156).contains(&i);
    let sum: usize =
        header.iter().enumerate().map(|(i, byte)| if blank(i) { 32 } else { usize::from(*byte) }).sum();
    (octal(&header[148..156])? == sum).then(|| octal(&header[124..136])).flatten()
}

fn octal(field: &[u8]) -> Option<usize> {
    usize::from_str_radix(text(field).trim(), 8).ok()
}

/// Up to the first zero byte.
fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A member as GNU tar writes it.
    fn member(name: &str, content: &[u8]) -> Vec<u8> {
        let mut header = vec![0u8; BLOCK];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        header[148..156].fill(b' ');
        header[156] = b'0';
        let sum: usize = header.iter().map(|byte| usize::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        let padding = vec![0; content.len().div_ceil(BLOCK) * BLOCK - content.len()];
        [header, content.to_vec(), padding].concat()
    }

    fn archive() -> Vec<u8> {
        [member("a.png", b"first"), member("b.png", &[7; 600]), vec![0; 2 * BLOCK]].concat()
    }

    #[test]
    fn files_come_out_as_they_went_in() {
        let bytes = archive();
        let members = members(Path::new("x.tar"), &bytes).unwrap();
        let names: Vec<_> = members.iter().map(|member| member.name.as_str()).collect();
        assert_eq!(names, ["a.png", "b.png"]);
        assert_eq!(bytes[members[0].place.clone()], *b"first");
        assert_eq!(bytes[members[1].place.clone()], [7; 600]);
    }

    #[test]
    fn damage_is_named_with_its_place() {
        let fault = |bytes: &[u8]| members(Path::new("x.tar"), bytes).unwrap_err().to_string();
        let mut flipped = archive();
        flipped[BLOCK * 2] ^= 1;
        assert_eq!(fault(&flipped), "x.tar: damaged tar archive at byte 1024");
        assert_eq!(fault(&archive()[..BLOCK + 2]), "x.tar: damaged tar archive at byte 0");
        assert_eq!(fault(&archive()[..2 * BLOCK]), "x.tar: damaged tar archive at byte 1024");
    }
}
