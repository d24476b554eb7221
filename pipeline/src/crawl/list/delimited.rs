//! Link lists in CSV and TSV: quoted fields may hold delimiters and newlines, short rows have empty cells.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::Field;
use csv::{ByteRecord, Position, Reader, ReaderBuilder};

use super::lines::text_field;
use super::{BLOCK, Block, Columns, link, open};
use crate::unit::Unit;
use crate::{Error, Result};

fn reader(path: &Path, delimiter: u8) -> Result<Reader<File>> {
    let file = open(path)?;
    Ok(ReaderBuilder::new().delimiter(delimiter).flexible(true).buffer_capacity(1 << 16).from_reader(file))
}

fn broken(path: &Path, error: csv::Error) -> Error {
    match error.into_kind() {
        csv::ErrorKind::Io(e) => Error::io(path, e),
        other => Error::input(path, format!("{other:?}")),
    }
}

fn header(path: &Path, reader: &mut Reader<File>) -> Result<Vec<String>> {
    let header = reader.byte_headers().map_err(|e| broken(path, e))?;
    Ok(header.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect())
}

pub(super) fn fields(path: &Path, delimiter: u8) -> Result<Vec<Field>> {
    Ok(header(path, &mut reader(path, delimiter)?)?.iter().map(|name| text_field(name)).collect())
}

pub(super) fn scan(path: &Path, delimiter: u8, rows_per_unit: u64) -> Result<(u64, Vec<u64>)> {
    let mut reader = reader(path, delimiter)?;
    let (mut rows, mut offsets, mut record) = (0_u64, Vec::new(), ByteRecord::new());
    while reader.read_byte_record(&mut record).map_err(|e| broken(path, e))? {
        if rows.is_multiple_of(rows_per_unit) {
            offsets.extend(record.position().map(Position::byte));
        }
        rows += 1;
    }
    Ok((rows, offsets))
}

pub(super) fn read(
    path: &Path,
    delimiter: u8,
    columns: &Columns,
    unit: &Unit,
    each: &mut dyn FnMut(Block) -> bool,
) -> Result<()> {
    let mut reader = reader(path, delimiter)?;
    let names = header(path, &mut reader)?;
    let mut start = Position::new();
    start.set_byte(unit.offset.unwrap_or(0));
    reader.seek(start).map_err(|e| broken(path, e))?;
    let index = |name: &str| names.iter().position(|n| n == name);
    let url = index(&columns.url);
    let caption = columns.caption.as_deref().and_then(index);
    let extra: Vec<Option<usize>> = columns.extra.iter().map(|field| index(field.name())).collect();
    let mut left = unit.rows;
    while left > 0 {
        let mut records = Vec::with_capacity(BLOCK);
        while left > 0 && records.len() < BLOCK {
            let mut record = ByteRecord::new();
            if !reader.read_byte_record(&mut record).map_err(|e| broken(path, e))? {
                return Err(Error::input(path, "the list has become shorter since the plan was made"));
            }
            records.push(record);
            left -= 1;
        }
        let block = Block {
            links: records.iter().map(|record| link(cell(record, url).as_deref())).collect(),
            captions: records.iter().map(|record| cell(record, caption)).collect(),
            extra: extra
                .iter()
                .map(|column| strings(records.iter().map(|record| cell(record, *column))))
                .collect(),
        };
        if !each(block) {
            break;
        }
    }
    Ok(())
}

/// An absent or empty cell is null; what is no UTF-8 shows replacement characters.
fn cell(record: &ByteRecord, column: Option<usize>) -> Option<String> {
    let bytes = record.get(column?)?;
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned())
}

fn strings(values: impl Iterator<Item = Option<String>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}
