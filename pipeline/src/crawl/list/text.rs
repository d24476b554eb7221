//! The text of a list: unpacked (gzip, zstd; told by its first bytes, not by its name) and as UTF-8 (a byte order mark
//! says when it is UTF-16).

use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;

use super::source::Source;
use super::utf16::Utf16;
use crate::{Error, Result};

/// Read ahead.
const BUFFER: usize = 64 << 10;
/// A longer line, record or value is no row of a link list.
pub(super) const LONGEST: u64 = 16 << 20;

type Bytes = Box<dyn Read + Send>;

/// An open text, read in order.
pub(super) struct Text {
    source: Source,
    inner: Bytes,
    base: u64,
    seekable: bool,
    packed: Option<&'static str>,
    /// Bytes taken from the file.
    taken: Arc<AtomicU64>,
}

impl Text {
    /// Opens a text at its beginning, or at a byte where a row of a [seekable](Self::seekable) text begins.
    pub(super) fn open(source: &Source, offset: Option<u64>) -> Result<Self> {
        let mut reader = source.open()?;
        let taken = Arc::new(AtomicU64::new(0));
        let (head, packed) = Self::begin(&mut reader, offset).map_err(|e| source.error(e))?;
        let raw = Counted { inner: reader, taken: Arc::clone(&taken) };
        taken.fetch_add(head.len() as u64, Ordering::Relaxed);
        let raw: Bytes = Box::new(Cursor::new(head).chain(raw));
        let mut text = Self { source: source.clone(), inner: raw, base: 0, seekable: true, packed, taken };
        match offset {
            Some(offset) => text.base = offset,
            None => text.decode()?,
        }
        Ok(text)
    }

    /// The first bytes, and how the file is packed.
    fn begin(
        reader: &mut (impl Read + Seek),
        offset: Option<u64>,
    ) -> io::Result<(Vec<u8>, Option<&'static str>)> {
        if let Some(offset) = offset {
            reader.seek(SeekFrom::Start(offset))?;
            return Ok((Vec::new(), None));
        }
        let head = first(reader, 4)?;
        let packed = match head.as_slice() {
            [0x1F, 0x8B, ..] => Some("gzip"),
            [0x28, 0xB5, 0x2F, 0xFD] => Some("zstd"),
            _ => None,
        };
        Ok((head, packed))
    }

    /// Puts the decoders on top.
    fn decode(&mut self) -> Result<()> {
        let raw = std::mem::replace(&mut self.inner, Box::new(io::empty()));
        self.inner = match self.packed {
            Some("gzip") => Box::new(MultiGzDecoder::new(raw)),
            Some(_) => Box::new(zstd::stream::read::Decoder::new(raw).map_err(|e| self.error(e))?),
            None => raw,
        };
        let mut head = first(&mut self.inner, 3).map_err(|e| self.error(e))?;
        let wide = match head.as_slice() {
            [0xFF, 0xFE, ..] => Some(false),
            [0xFE, 0xFF, ..] => Some(true),
            _ => None,
        };
        let mark = match head.as_slice() {
            _ if wide.is_some() => 2,
            [0xEF, 0xBB, 0xBF] => 3,
            _ => 0,
        };
        let rest = std::mem::replace(&mut self.inner, Box::new(io::empty()));
        let rest = Cursor::new(head.split_off(mark)).chain(rest);
        self.inner = match wide {
            Some(big) => Box::new(Utf16::new(rest, big)),
            None => Box::new(rest),
        };
        self.base = mark as u64;
        self.seekable = self.packed.is_none() && wide.is_none();
        Ok(())
    }

    /// The byte of the text at which it was opened, after a byte order mark.
    pub(super) fn base(&self) -> u64 {
        self.base
    }

    /// Whether the bytes of the text are those of the file.
    pub(super) fn seekable(&self) -> bool {
        self.seekable
    }

    /// What is wrong with the file, by its name.
    pub(super) fn wrong(&self, message: impl Into<String>) -> Error {
        Error::input(self.source.name(), message)
    }

    /// A failed read: of a packed file most often its own fault, which is told with the byte.
    pub(super) fn error(&self, error: io::Error) -> Error {
        let stored =
            |e: &io::Error| e.get_ref().and_then(|e| e.downcast_ref::<object_store::Error>()).is_some();
        match self.packed {
            Some(kind) if error.raw_os_error().is_none() && !stored(&error) => {
                let at = self.taken.load(Ordering::Relaxed);
                let message =
                    format!("damaged or cut short: its {kind} data cannot be read beyond byte {at}: {error}");
                self.wrong(message).with_hint("compare its size with the original")
            }
            _ => self.source.error(error),
        }
    }

    pub(super) fn buffered(self) -> BufReader<Self> {
        BufReader::with_capacity(BUFFER, self)
    }
}

impl Read for Text {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer)
    }
}

/// Up to `count` bytes.
fn first(reader: &mut impl Read, count: u64) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    Read::by_ref(reader).take(count).read_to_end(&mut head)?;
    Ok(head)
}

/// Counts what is read.
struct Counted<R> {
    inner: R,
    taken: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.taken.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}
