//! Reference statistics as `pytorch-fid --save-stats` writes them: a `.npz` of `mu` `[d]` and `sigma` `[d, d]`.

use std::io::{Cursor, Read, Write};
use std::path::Path;

use faer::Mat;
use pipeline::atomic;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::frechet::Gaussian;
use crate::{Error, Result};

/// First bytes of an array that numpy saved.
const MAGIC: &[u8] = b"\x93NUMPY";
/// Bytes that one array may unpack to: 2048 × 2048 doubles are 34 million.
const LIMIT: u64 = 1 << 30;

/// Reads `mu` and `sigma`.
///
/// # Errors
/// The file cannot be read, is no `.npz`, or lacks an array of reals of the right shape, which is named.
pub fn read(path: &Path) -> Result<Gaussian> {
    let fault = |why: String| {
        Error::data(path, why)
            .with_hint("FID statistics are a .npz of `mu` and `sigma`, as `--write-stats` writes them")
    };
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let mut archive =
        ZipArchive::new(Cursor::new(bytes)).map_err(|error| fault(format!("no .npz: {error}")))?;
    let mut array = |name: &str| {
        let entry = archive.by_name(&format!("{name}.npy"));
        let mut unpacked = Vec::new();
        let entry = entry.map_err(|_| fault(format!("no array `{name}`")))?;
        entry.take(LIMIT).read_to_end(&mut unpacked).map_err(|error| fault(format!("`{name}`: {error}")))?;
        parse(&unpacked).ok_or_else(|| fault(format!("`{name}` is no array of f32 or f64 of numpy's")))
    };
    let ((shape, mean), (square, spread)) = (array("mu")?, array("sigma")?);
    let n = mean.len();
    if n == 0 || shape != [n] || square != [n, n] || spread.len() != n * n {
        return Err(fault(format!("`mu` is {shape:?} and `sigma` {square:?}, not [d] and [d, d]")));
    }
    if mean.iter().chain(&spread).any(|value| !value.is_finite()) {
        return Err(fault("not all numbers are finite".to_owned()));
    }
    Ok(Gaussian { mean, covariance: Mat::from_fn(n, n, |row, column| spread[row * n + column]) })
}

/// Writes `mu` and `sigma`, and beside them in the archive how they came about as `protocol.json`. The same input gives
/// the same bytes.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, gaussian: &Gaussian, protocol: &serde_json::Value) -> Result<()> {
    let fault = |error: zip::result::ZipError| Error::data(path, error.to_string());
    let n = gaussian.mean.len();
    let spread = (0..n * n).map(|at| gaussian.covariance[(at / n, at % n)]);
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    // The time of writing would make other bytes of the same numbers.
    let options = options.last_modified_time(zip::DateTime::default());
    let members = [
        ("mu.npy", npy(&format!("({n},)"), gaussian.mean.iter().copied())),
        ("sigma.npy", npy(&format!("({n}, {n})"), spread)),
        ("protocol.json", protocol.to_string().into_bytes()),
    ];
    for (name, bytes) in members {
        archive.start_file(name, options).map_err(fault)?;
        archive.write_all(&bytes).map_err(Error::io(path))?;
    }
    Ok(atomic::write(path, archive.finish().map_err(fault)?.into_inner())?)
}

/// Little-endian doubles in version 1.0 of the format.
fn npy(shape: &str, values: impl Iterator<Item = f64>) -> Vec<u8> {
    let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}");
    let before = MAGIC.len() + 4;
    let length = (before + header.len() + 1).next_multiple_of(64) - before;
    let header = format!("{header:<width$}\n", width = length - 1);
    let length = u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes();
    let mut bytes = [MAGIC, &[1, 0], &length, header.as_bytes()].concat();
    bytes.extend(values.flat_map(f64::to_le_bytes));
    bytes
}

/// Shape and numbers of an array of f32 or f64, rows first. Column order is taken too where there is one axis or the
/// matrix is a covariance, which is its own transpose.
fn parse(bytes: &[u8]) -> Option<(Vec<usize>, Vec<f64>)> {
    let ([version, _], rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk()?;
    let (header, data) = match version {
        1 => {
            let (length, rest) = rest.split_first_chunk()?;
            rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?
        }
        2 | 3 => {
            let (length, rest) = rest.split_first_chunk()?;
            rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?
        }
        _ => return None,
    };
    let header: String = String::from_utf8_lossy(header).split_whitespace().collect();
    let (_, shape) = header.split_once("'shape':(")?;
    let shape = shape.split(')').next()?.split(',').filter(|side| !side.is_empty());
    let shape = shape.map(|side| side.parse().ok()).collect::<Option<Vec<usize>>>()?;
    let values: Vec<f64> = if header.contains("'descr':'<f8'") {
        data.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()
    } else if header.contains("'descr':'<f4'") {
        data.as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect()
    } else {
        return None;
    };
    let size = shape.iter().try_fold(1usize, |size, side| size.checked_mul(*side))?;
    (size == values.len()).then_some((shape, values))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaussian() -> Gaussian {
        Gaussian {
            mean: vec![0.5, -1.0],
            covariance: Mat::from_fn(2, 2, |i, j| if i == j { 2.0 + i as f64 } else { 0.25 }),
        }
    }

    #[test]
    fn what_is_written_comes_back_and_the_same_input_gives_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let paths = ["a.npz", "b.npz"].map(|name| dir.path().join(name));
        for path in &paths {
            write(path, &gaussian(), &serde_json::json!({"side": 299})).unwrap();
        }
        let back = read(&paths[0]).unwrap();
        assert_eq!(back.mean, gaussian().mean);
        assert_eq!(back.covariance, gaussian().covariance);
        assert_eq!(std::fs::read(&paths[0]).unwrap(), std::fs::read(&paths[1]).unwrap());
    }

    #[test]
    fn damaged_statistics_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.npz");
        let fault = |bytes: &[u8]| {
            atomic::write(&path, bytes).unwrap();
            read(&path).unwrap_err().to_string()
        };
        assert!(fault(b"PK").contains("s.npz: no .npz"));
        let archive = |members: &[(&str, Vec<u8>)]| {
            let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
            for (name, bytes) in members {
                archive.start_file(*name, SimpleFileOptions::default()).unwrap();
                archive.write_all(bytes).unwrap();
            }
            archive.finish().unwrap().into_inner()
        };
        let mu = ("mu.npy", npy("(2,)", [0.0, 1.0].into_iter()));
        assert!(fault(&archive(std::slice::from_ref(&mu))).ends_with("no array `sigma`"));
        let wrong = ("sigma.npy", npy("(4,)", [0.0; 4].into_iter()));
        assert!(fault(&archive(&[mu.clone(), wrong])).ends_with("`sigma` [4], not [d] and [d, d]"));
        let short = ("sigma.npy", npy("(2, 2)", [0.0; 3].into_iter()));
        assert!(fault(&archive(&[mu.clone(), short])).contains("`sigma` is no array"));
        let endless = ("sigma.npy", npy("(2, 2)", [f64::NAN; 4].into_iter()));
        assert!(fault(&archive(&[mu, endless])).ends_with("not all numbers are finite"));
    }
}
