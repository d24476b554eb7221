//! Room on disk for rows on their way into another order: a file without a name, which vanishes with the process however
//! that ends.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::{Error, Result};

/// A piece of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) length: u64,
}

/// The file; threads take turns.
#[derive(Debug)]
pub(super) struct Spool {
    tail: Mutex<(File, u64)>,
    folder: PathBuf,
}

impl Spool {
    /// Makes the file in a folder.
    pub(super) fn create(folder: &Path) -> Result<Self> {
        let file = tempfile::tempfile_in(folder).map_err(|e| Error::io(folder, e))?;
        Ok(Self { tail: Mutex::new((file, 0)), folder: folder.to_owned() })
    }

    /// Writes bytes behind what is there and says where they begin.
    pub(super) fn append(&self, bytes: &[u8]) -> Result<u64> {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, end) = &mut *tail;
        let start = *end;
        let written = file.seek(SeekFrom::Start(start)).and_then(|_| file.write_all(bytes));
        written.map_err(|e| Error::io(&self.folder, e))?;
        *end += bytes.len() as u64;
        Ok(start)
    }

    /// Reads a piece.
    pub(super) fn read(&self, span: Span) -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(span.length).unwrap_or(0)];
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let file = &mut tail.0;
        let read = file.seek(SeekFrom::Start(span.start)).and_then(|_| file.read_exact(&mut bytes));
        read.map_err(|e| Error::io(&self.folder, e))?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_is_read_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::create(folder.path()).unwrap();
        let starts: Vec<u64> = (0..100_u8).map(|n| spool.append(&vec![n; usize::from(n)]).unwrap()).collect();
        for n in [99, 0, 50_u8] {
            let span = Span { start: starts[usize::from(n)], length: u64::from(n) };
            assert_eq!(spool.read(span).unwrap(), vec![n; usize::from(n)]);
        }
        assert!(spool.read(Span { start: starts[99], length: 100 }).is_err());
        drop(spool);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
