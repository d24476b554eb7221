//! Link lists in CSV and TSV: quoted fields may hold delimiters and newlines, short rows have empty cells.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::Field;
use csv::{ByteRecord, Position, Reader, ReaderBuilder};

use super::lines::text_field;
use super::records::{Maker, Records};
use super::source::Source;
use super::text::{LONGEST, Text};
use super::{Block, Columns, link};
use crate::{Error, Result};

/// How cells are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    pub(super) delimiter: u8,
    pub(super) quoting: bool,
}

/// The rows below the header.
pub(super) struct Cells {
    reader: Reader<Limited>,
    /// Names of the columns; empty when opened below the header.
    names: Vec<String>,
    base: u64,
    room: Arc<AtomicU64>,
}

/// Fails where a record becomes too long, so that a quote that nobody closes does not read the list into memory.
struct Limited {
    text: Text,
    room: Arc<AtomicU64>,
}

impl Read for Limited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = self.room.load(Ordering::Relaxed);
        if room == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let n = self.text.read(buffer)?;
        self.room.store(room.saturating_sub(n as u64), Ordering::Relaxed);
        Ok(n)
    }
}

impl Cells {
    /// Opens a list at its first row, below the header, or at a byte where a row begins.
    pub(super) fn open(source: &Source, dialect: Dialect, offset: Option<u64>) -> Result<Self> {
        let text = Text::open(source, offset)?;
        let (base, room) = (text.base(), Arc::new(AtomicU64::new(LONGEST)));
        let reader = ReaderBuilder::new()
            .delimiter(dialect.delimiter)
            .quoting(dialect.quoting)
            .flexible(true)
            .has_headers(false)
            .buffer_capacity(1 << 16)
            .from_reader(Limited { text, room: Arc::clone(&room) });
        let mut cells = Self { reader, names: Vec::new(), base, room };
        if offset.is_none()
            && let Some((_, header)) = cells.next()?
        {
            cells.names = header.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
        }
        Ok(cells)
    }

    pub(super) fn fields(&self) -> Vec<Field> {
        self.names.iter().map(|name| text_field(name)).collect()
    }

    fn broken(&self, begin: u64, error: csv::Error) -> Error {
        let text = &self.reader.get_ref().text;
        match error.into_kind() {
            csv::ErrorKind::Io(e)
                if e.kind() == io::ErrorKind::FileTooLarge && e.raw_os_error().is_none() =>
            {
                text.wrong(format!(
                    "the row that begins at byte {begin} is longer than 16 MiB: a quote is not closed"
                ))
                .with_hint("in a list whose quotes are ordinary characters: input.quoting = false")
            }
            csv::ErrorKind::Io(e) => text.error(e),
            other => text.wrong(format!("{other:?}")),
        }
    }
}

impl Records for Cells {
    type Record = ByteRecord;

    fn next(&mut self) -> Result<Option<(u64, ByteRecord)>> {
        self.room.store(LONGEST, Ordering::Relaxed);
        let begin = self.base + self.reader.position().byte();
        let mut record = ByteRecord::new();
        match self.reader.read_byte_record(&mut record) {
            Ok(false) => Ok(None),
            Ok(true) => {
                Ok(Some((record.position().map_or(begin, |at| self.base + Position::byte(at)), record)))
            }
            Err(e) => Err(self.broken(begin, e)),
        }
    }

    fn seekable(&self) -> bool {
        self.reader.get_ref().text.seekable()
    }
}

/// Makes rows of the cells below `names`.
pub(super) fn maker(names: &[String], columns: &Columns) -> Maker<ByteRecord> {
    let index = |name: &str| names.iter().position(|n| n == name);
    let url = index(&columns.url);
    let caption = columns.caption.as_deref().and_then(index);
    let extra: Vec<Option<usize>> = columns.extra.iter().map(|field| index(field.name())).collect();
    Box::new(move |records| Block {
        links: records.iter().map(|record| link(cell(record, url).as_deref())).collect(),
        captions: records.iter().map(|record| cell(record, caption)).collect(),
        extra: extra
            .iter()
            .map(|column| strings(records.iter().map(|record| cell(record, *column))))
            .collect(),
        stored: Vec::new(),
    })
}

/// The names in the header.
pub(super) fn header(source: &Source, dialect: Dialect) -> Result<Vec<String>> {
    Ok(Cells::open(source, dialect, None)?.names)
}

/// An absent or empty cell is null; what is no UTF-8 shows replacement characters.
fn cell(record: &ByteRecord, column: Option<usize>) -> Option<String> {
    let bytes = record.get(column?)?;
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned())
}

fn strings(values: impl Iterator<Item = Option<String>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}
