//! Single files of a store: written so that they appear whole, read in any order.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use bytes::{Buf, Bytes};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use super::Store;
use crate::Result;
use crate::atomic::AtomicFile;

/// Files of a bucket up to this size are fetched whole: one request instead of several.
pub(super) const WHOLE: u64 = 8 << 20;
/// What is fetched at a time of a larger one that is read from front to back.
const AHEAD: u64 = 8 << 20;

/// A file in the making inside a store; dropped without [`StoreWriter::commit`] it leaves nothing.
#[derive(Debug)]
pub struct StoreWriter {
    pub(super) file: AtomicFile,
    pub(super) store: Store,
    pub(super) name: String,
}

impl StoreWriter {
    /// Makes the file visible under its name.
    pub fn commit(self) -> Result<()> {
        match self.store.folder {
            Some(_) => self.file.commit(),
            None => self.store.upload(&self.name, self.file),
        }
    }
}

impl Write for StoreWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.file.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A file of a store, open for reading in any order.
#[derive(Debug)]
pub enum StoreReader {
    /// On disk.
    File(File),
    /// Fetched whole.
    Bytes(Bytes),
    /// In a bucket, fetched range by range.
    Remote(RemoteFile),
}

/// A large file of a bucket.
#[derive(Clone, Debug)]
pub struct RemoteFile {
    pub(super) store: Store,
    pub(super) name: String,
    pub(super) bytes: u64,
}

impl RemoteFile {
    fn range(&self, start: u64, length: u64) -> io::Result<Bytes> {
        let end = start.saturating_add(length).min(self.bytes);
        self.store.get_range(&self.name, start..end).map_err(io::Error::other)
    }
}

/// Reads a [`RemoteFile`] from a position to its end.
struct FrontToBack {
    file: RemoteFile,
    position: u64,
    ahead: Bytes,
}

impl Read for FrontToBack {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.ahead.is_empty() && self.position < self.file.bytes {
            self.ahead = self.file.range(self.position, AHEAD)?;
            self.position += self.ahead.len() as u64;
        }
        let n = buf.len().min(self.ahead.len());
        self.ahead.copy_to_slice(&mut buf[..n]);
        Ok(n)
    }
}

impl StoreReader {
    /// Reads from any position on.
    pub fn cursor(&self) -> StoreCursor<'_> {
        StoreCursor { file: self, position: 0, open: None }
    }
}

/// A [`StoreReader`] with a position.
pub struct StoreCursor<'a> {
    file: &'a StoreReader,
    position: u64,
    open: Option<Box<dyn Read + Send>>,
}

impl Read for StoreCursor<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(self.file.get_read(self.position).map_err(io::Error::other)?),
        };
        let n = open.read(buf)?;
        self.position += n as u64;
        Ok(n)
    }
}

impl Seek for StoreCursor<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let moved = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => self.file.len().checked_add_signed(offset),
        };
        self.position = moved.ok_or(io::ErrorKind::InvalidInput)?;
        self.open = None;
        Ok(self.position)
    }
}

impl Length for StoreReader {
    fn len(&self) -> u64 {
        match self {
            Self::File(file) => Length::len(file),
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Remote(file) => file.bytes,
        }
    }
}

impl ChunkReader for StoreReader {
    type T = Box<dyn Read + Send>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(match self {
            Self::File(file) => Box::new(file.get_read(start)?),
            Self::Bytes(bytes) => Box::new(bytes.get_read(start)?),
            Self::Remote(file) => {
                Box::new(FrontToBack { file: file.clone(), position: start, ahead: Bytes::new() })
            }
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        match self {
            Self::File(file) => file.get_bytes(start, length),
            Self::Bytes(bytes) => bytes.get_bytes(start, length),
            Self::Remote(file) => file.range(start, length as u64).map_err(ParquetError::from),
        }
    }
}
