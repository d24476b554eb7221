//! How often each text occurs, exactly, by a 64-bit hash: 8 bytes a row on disk, and little in memory however many rows
//! there are.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};

use crate::{Error, Result};

/// Files over which the hashes are spread: one of them at a time is sorted in memory, 125 MB at a billion rows.
const FILES: usize = 64;

/// Hashes on their way to disk, in files that have no name, so that a kill leaves nothing.
pub(crate) struct Tally {
    files: Vec<Mutex<BufWriter<File>>>,
}

impl Tally {
    pub(crate) fn new() -> Result<Self> {
        let file = || tempfile::tempfile().map(|file| Mutex::new(BufWriter::with_capacity(1 << 15, file)));
        let files = (0..FILES).map(|_| file()).collect::<io::Result<_>>();
        Ok(Self { files: files.map_err(unwritable)? })
    }

    /// Adds the hashes of some rows.
    pub(crate) fn add(&self, hashes: impl Iterator<Item = u64>) -> Result<()> {
        let mut spread: Vec<Vec<u8>> = vec![Vec::new(); FILES];
        for hash in hashes {
            spread[hash as usize % FILES].extend(hash.to_le_bytes());
        }
        for (file, bytes) in self.files.iter().zip(spread) {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.write_all(&bytes).map_err(unwritable)?;
        }
        Ok(())
    }

    /// Calls `each` with every hash once and how often it was added, in an order that does not depend on that of the
    /// rows.
    pub(crate) fn close(self, mut each: impl FnMut(u64, u64)) -> Result<()> {
        for file in self.files {
            let hashes = sorted(file.into_inner().unwrap_or_else(PoisonError::into_inner))?;
            hashes.chunk_by(|a, b| a == b).for_each(|run| each(run[0], run.len() as u64));
        }
        Ok(())
    }
}

fn sorted(file: BufWriter<File>) -> Result<Vec<u64>> {
    let read = || {
        let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0))?;
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes: Vec<u8> = read().map_err(unwritable)?;
    let mut hashes: Vec<u64> = bytes.as_chunks().0.iter().map(|hash| u64::from_le_bytes(*hash)).collect();
    hashes.sort_unstable();
    Ok(hashes)
}

fn unwritable(error: io::Error) -> Error {
    Error::io(std::env::temp_dir(), error)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn counts_are_exact_whatever_the_threads() {
        let tally = Tally::new().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                // Of each hash n there are 3 * n.
                scope.spawn(|| (0..200_u64).for_each(|n| tally.add((0..n).map(|_| n)).unwrap()));
            }
        });
        let mut counts = BTreeMap::new();
        tally.close(|hash, count| assert_eq!(counts.insert(hash, count), None)).unwrap();
        assert_eq!(counts, (1..200).map(|n| (n, 3 * n)).collect());
    }
}
