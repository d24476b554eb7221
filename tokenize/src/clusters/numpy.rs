//! Arrays of numpy's `.npy` format (numpy `lib/format.py`), as far as a palette needs them.

use super::Colour;

/// First bytes of an array that numpy saved.
const MAGIC: &[u8] = b"\x93NUMPY";

/// The rows of a `[colours, 3]` array of little-endian f32 or f64 in C order; `None` for anything else.
pub(super) fn read(bytes: &[u8]) -> Option<Vec<Colour>> {
    let (header, data) = split(bytes)?;
    let header: String = String::from_utf8_lossy(header).split_whitespace().collect();
    let numbers: Vec<f64> = if header.contains("'descr':'<f4'") {
        data.as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect()
    } else if header.contains("'descr':'<f8'") {
        data.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()
    } else {
        return None;
    };
    let (rows, rest) = numbers.as_chunks::<3>();
    let shape = format!("'shape':({},3)", rows.len());
    let fits = rest.is_empty() && header.contains("'fortran_order':False") && header.contains(&shape);
    fits.then(|| rows.to_vec())
}

/// Header and numbers. The header's length has two bytes in version 1 of the format, four later.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let ([version, _], rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk()?;
    match version {
        1 => {
            let (length, rest) = rest.split_first_chunk()?;
            rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))
        }
        2 | 3 => {
            let (length, rest) = rest.split_first_chunk()?;
            rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
        }
        _ => None,
    }
}

/// `rows` × 3 little-endian f32 in version 1.0; the header is padded so that they begin at a multiple of 64.
pub(super) fn write(rows: usize, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, 3), }}");
    let before = MAGIC.len() + 4;
    let length = (before + header.len() + 1).next_multiple_of(64) - before;
    let header = format!("{header:<width$}\n", width = length - 1);
    let length = u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes();
    [MAGIC, &[1, 0], &length, header.as_bytes(), data].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, numbers: &[f64]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00v\x00".to_vec();
        bytes.extend(format!("{header:<117}\n").bytes());
        bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        bytes
    }

    #[test]
    fn numpys_own_header_is_read_and_everything_else_refused() {
        let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }";
        let numbers = [-1.0, 0.0, 0.5, 1.0, 0.25, -0.125];
        assert_eq!(read(&file(header, &numbers)).unwrap(), [[-1.0, 0.0, 0.5], [1.0, 0.25, -0.125]]);
        for damaged in [
            file(header, &numbers[..5]),
            file(&header.replace("False", "True"), &numbers),
            file(&header.replace("<f8", "<i8"), &numbers),
            file(&header.replace("(2, 3)", "(6,)"), &numbers),
            b"\x93NUMPY\x01".to_vec(),
            b"\x93NUMPY\x01\x00\xff\xff{}".to_vec(),
            b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}".to_vec(),
            b"\x93NUMPY\x09\x00\x02\x00{}".to_vec(),
            Vec::new(),
        ] {
            assert_eq!(read(&damaged), None);
        }
    }

    #[test]
    fn what_is_written_begins_at_a_multiple_of_64_and_is_read_back() {
        let bytes = write(1, &[0.5f32, -1.0, 0.25].map(f32::to_le_bytes).concat());
        assert_eq!((bytes.len() - 12) % 64, 0);
        assert_eq!(read(&bytes).unwrap(), [[0.5, -1.0, 0.25]]);
    }
}
