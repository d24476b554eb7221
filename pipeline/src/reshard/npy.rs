//! NumPy's `.npy` files of 128-bit uids, as DataComp publishes its subsets: a one-dimensional structured array of two
//! 64-bit unsigned integers, `[('f0', '<u8'), ('f1', '<u8')]`, the upper and the lower half.
//!
//! The format is that of NumPy's enhancement proposal 1 (`numpy.lib.format`): a magic string, a version, the length of the
//! header (two bytes in version 1, four in 2 and 3), a Python literal that describes the array, the array.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use crate::{Error, Result};

const MAGIC: &[u8] = b"\x93NUMPY";
/// A longer header is none: NumPy's own are 128 bytes.
const LONGEST_HEADER: usize = 1 << 20;
/// Bytes of a uid.
const UID: u64 = 16;

/// The uids of a file, in file order.
///
/// # Errors
/// [`Error::Input`] for another type of array, a damaged header, or a file that is cut short.
pub(super) fn uids(path: &Path) -> Result<Vec<u128>> {
    let io = |e| Error::io(path, e);
    let file = File::open(path).map_err(io)?;
    let bytes = file.metadata().map_err(io)?.len();
    read(BufReader::with_capacity(1 << 16, file), bytes).map_err(|failure| match failure {
        Failure::Io(e) => io(e),
        Failure::Wrong(message) => Error::input(path, message).with_hint(
            "wanted: np.save of a sorted array with dtype \"u8,u8\", the upper and the lower half of each uid",
        ),
    })
}

enum Failure {
    Io(std::io::Error),
    Wrong(String),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Self::Wrong("cut short".to_owned()),
            _ => Self::Io(error),
        }
    }
}

fn wrong<T>(message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Wrong(message.into()))
}

/// `bytes` is the size of the whole file: a header that promises more is not believed.
fn read(mut file: impl Read, bytes: u64) -> Result<Vec<u128>, Failure> {
    let mut start = [0; 8];
    file.read_exact(&mut start)?;
    if &start[..6] != MAGIC {
        return wrong("not a NumPy file");
    }
    let (length, prefix) = match start[6] {
        1 => (usize::from(u16::from_le_bytes(array(&mut file)?)), 10),
        2 | 3 => (usize::try_from(u32::from_le_bytes(array(&mut file)?)).unwrap_or(usize::MAX), 12),
        version => return wrong(format!("version {version} of NumPy's format is not known")),
    };
    if length > LONGEST_HEADER {
        return wrong("its header is damaged");
    }
    let mut header = vec![0; length];
    file.read_exact(&mut header)?;
    let (count, big_endian) = shape(&String::from_utf8_lossy(&header))?;
    let room = bytes.saturating_sub(prefix + length as u64) / UID;
    if count > room {
        return wrong(format!("cut short: it holds {room} of {count} uids"));
    }
    let half = if big_endian { u64::from_be_bytes } else { u64::from_le_bytes };
    let mut uids = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    for _ in 0..count {
        let (upper, lower) = (half(array(&mut file)?), half(array(&mut file)?));
        uids.push(u128::from(upper) << 64 | u128::from(lower));
    }
    Ok(uids)
}

fn array<const N: usize>(file: &mut impl Read) -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Length of the array and whether its numbers are big-endian, from a header such as
/// `{'descr': [('f0', '<u8'), ('f1', '<u8')], 'fortran_order': False, 'shape': (3,), }`.
fn shape(header: &str) -> Result<(u64, bool), Failure> {
    let words = words(header);
    let after = |key: &str| {
        let at = words.iter().position(|word| *word == key)?;
        words.get(at + 1..).filter(|rest| rest.first() == Some(&":"))
    };
    let (Some([_, descr @ ..]), Some([_, shape @ ..])) = (after("'descr'"), after("'shape'")) else {
        return wrong("its header is damaged");
    };
    let big_endian = match descr {
        ["[", "(", _, ",", first, ")", ",", "(", _, ",", second, ")", ..] if first == second => {
            match *first {
                "'<u8'" => false,
                "'>u8'" => true,
                _ => return wrong(format!("holds no uids: its type is {}", literal(descr))),
            }
        }
        _ => return wrong(format!("holds no uids: its type is {}", literal(descr))),
    };
    match shape {
        ["(", count, ",", ")", ..] => match count.parse() {
            Ok(count) => Ok((count, big_endian)),
            Err(_) => wrong("its header is damaged"),
        },
        _ => wrong("holds no list: the array has another number of dimensions than one"),
    }
}

/// Strings in their quotes, numbers and names, and single marks.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '\'' | '"' => rest[1..].find(first).map_or(rest.len(), |end| end + 2),
            c if c.is_alphanumeric() => rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        words.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    words
}

/// The first literal of `words`, for a message.
fn literal(words: &[&str]) -> String {
    let (mut depth, mut text) = (0_usize, String::new());
    for word in words {
        match *word {
            "[" | "(" => depth += 1,
            "]" | ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        text += word;
        if depth == 0 {
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const UIDS: [u128; 3] =
        [0x0123_4567_89ab_cdef_0011_2233_4455_6677, 7, 0xffff_ffff_ffff_ffff_0000_0000_0000_0001];

    /// What `np.save` writes of `UIDS`: the header is padded so that the array begins at a multiple of 64 bytes.
    fn saved(version: u8, descr: &str, shape: &str, half: fn(u64) -> [u8; 8]) -> Vec<u8> {
        let mut header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}");
        let prefix = if version == 1 { 10 } else { 12 };
        header += &" ".repeat(63 - (prefix + header.len()) % 64);
        header.push('\n');
        let mut file = [MAGIC, &[version, 0]].concat();
        match version {
            1 => file.extend(u16::try_from(header.len()).unwrap().to_le_bytes()),
            _ => file.extend(u32::try_from(header.len()).unwrap().to_le_bytes()),
        }
        file.extend(header.bytes());
        for uid in UIDS {
            file.extend(half((uid >> 64) as u64));
            file.extend(half(uid as u64));
        }
        file
    }

    const DESCR: &str = "[('f0', '<u8'), ('f1', '<u8')]";

    fn parsed(file: &[u8]) -> Result<Vec<u128>, String> {
        read(file, file.len() as u64).map_err(|failure| match failure {
            Failure::Io(e) => e.to_string(),
            Failure::Wrong(message) => message,
        })
    }

    #[test]
    fn every_version_and_byte_order_is_read() {
        for version in [1, 2, 3] {
            assert_eq!(parsed(&saved(version, DESCR, "(3,)", u64::to_le_bytes)).unwrap(), UIDS);
        }
        let swapped = saved(1, "[('hi', '>u8'), ('lo', '>u8')]", "(3,)", u64::to_be_bytes);
        assert_eq!(parsed(&swapped).unwrap(), UIDS);
    }

    /// The bytes that NumPy 1.26 saved of one uid.
    #[test]
    fn a_file_of_numpy_is_read() {
        let mut file = b"\x93NUMPY\x01\x00v\x00{'descr': [('f0', '<u8'), ('f1', '<u8')], \
            'fortran_order': False, 'shape': (1,), }"
            .to_vec();
        file.resize(127, b' ');
        file.push(b'\n');
        file.extend([2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(parsed(&file).unwrap(), [(2 << 64) + 1]);
    }

    proptest::proptest! {
        /// A damaged file is an error or other uids, and no more of them than it has room for.
        #[test]
        fn any_bytes_are_read_without_harm(
            mut file in proptest::collection::vec(proptest::num::u8::ANY, 0..200), at in 0_usize..300, byte: u8,
        ) {
            drop(parsed(&file));
            file = saved(1, DESCR, "(3,)", u64::to_le_bytes);
            let place = at % file.len();
            file[place] = byte;
            if let Ok(uids) = parsed(&file) {
                proptest::prop_assert!(uids.len() <= file.len() / 16);
            }
        }
    }

    #[test]
    fn other_arrays_and_damaged_files_are_told_apart() {
        let fault = |descr: &str, shape: &str| parsed(&saved(1, descr, shape, u64::to_le_bytes)).unwrap_err();
        assert_eq!(fault("'<f4'", "(12,)"), "holds no uids: its type is '<f4'");
        assert_eq!(
            fault("[('a', '<u8'), ('b', '<i8')]", "(3,)"),
            "holds no uids: its type is [('a','<u8'),('b','<i8')]"
        );
        assert!(fault(DESCR, "(3, 1)").starts_with("holds no list"));
        assert_eq!(fault(DESCR, "(4,)"), "cut short: it holds 3 of 4 uids");
        assert_eq!(
            fault(DESCR, "(18446744073709551615,)"),
            "cut short: it holds 3 of 18446744073709551615 uids"
        );
        assert_eq!(
            fault(DESCR, "(-1,)"),
            "holds no list: the array has another number of dimensions than one"
        );
        assert_eq!(parsed(b"uid,text\n1,a\n").unwrap_err(), "not a NumPy file");
        assert_eq!(parsed(b"\x93NUMPY\x01").unwrap_err(), "cut short");
        assert_eq!(
            parsed(b"\x93NUMPY\x09\x00\x00\x00").unwrap_err(),
            "version 9 of NumPy's format is not known"
        );
        assert_eq!(parsed(b"\x93NUMPY\x02\x00\xff\xff\xff\x7f").unwrap_err(), "its header is damaged");
        assert_eq!(parsed(b"\x93NUMPY\x01\x00\x02\x00{}").unwrap_err(), "its header is damaged");
    }
}
