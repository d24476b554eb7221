//! Link lists with one row per line: JSON objects, or plain URLs (which are lines, never CSV: URLs hold commas).

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{DataType, Field};
use serde_json::{Map, Value};

use super::{BLOCK, Block, Columns, Link, link, open};
use crate::reason::Reason;
use crate::unit::Unit;
use crate::{Error, Result};

/// A longer line is no row of a link list.
const LONGEST: u64 = 16 << 20;

pub(super) fn text_field(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

/// Reads line after line; blank ones are no rows.
struct Lines<'a> {
    path: &'a Path,
    file: BufReader<File>,
    /// Where the next line begins.
    at: u64,
    line: Vec<u8>,
}

impl<'a> Lines<'a> {
    fn open(path: &'a Path, at: u64) -> Result<Self> {
        let mut file = open(path)?;
        file.seek(SeekFrom::Start(at)).map_err(|e| Error::io(path, e))?;
        Ok(Self { path, file: BufReader::with_capacity(1 << 16, file), at, line: Vec::new() })
    }

    /// The byte at which the next row begins, and its text; `None` at the end of the file.
    fn next(&mut self) -> Result<Option<(u64, String)>> {
        loop {
            self.line.clear();
            let limited = Read::by_ref(&mut self.file).take(LONGEST);
            let n =
                { limited }.read_until(b'\n', &mut self.line).map_err(|e| Error::io(self.path, e))? as u64;
            let begin = self.at;
            self.at += n;
            if n == 0 {
                return Ok(None);
            }
            if n == LONGEST {
                return Err(Error::input(
                    self.path,
                    format!("the line at byte {begin} is longer than 16 MiB"),
                ));
            }
            let text = String::from_utf8_lossy(&self.line);
            let text = text.trim_start_matches('\u{feff}').trim();
            if !text.is_empty() {
                return Ok(Some((begin, text.to_owned())));
            }
        }
    }

    /// Up to `count` rows.
    fn take(&mut self, count: u64) -> Result<Vec<String>> {
        let mut rows = Vec::with_capacity(BLOCK);
        while (rows.len() as u64) < count && rows.len() < BLOCK {
            match self.next()? {
                Some((_, text)) => rows.push(text),
                None => {
                    return Err(Error::input(
                        self.path,
                        "the list has become shorter since the plan was made",
                    ));
                }
            }
        }
        Ok(rows)
    }
}

pub(super) fn scan(path: &Path, rows_per_unit: u64) -> Result<(u64, Vec<u64>)> {
    let mut lines = Lines::open(path, 0)?;
    let (mut rows, mut offsets) = (0_u64, Vec::new());
    while let Some((begin, _)) = lines.next()? {
        if rows.is_multiple_of(rows_per_unit) {
            offsets.push(begin);
        }
        rows += 1;
    }
    Ok((rows, offsets))
}

/// The keys of the first object.
pub(super) fn json_fields(path: &Path) -> Result<Vec<Field>> {
    let first = Lines::open(path, 0)?.next()?;
    let Some((_, text)) = first else { return Ok(Vec::new()) };
    match parse(&text) {
        Some(object) => Ok(object.keys().map(|name| text_field(name)).collect()),
        None => Err(Error::input(path, "the first line is no JSON object")),
    }
}

fn parse(line: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(line).ok()
}

pub(super) fn read_text(
    path: &Path,
    columns: &Columns,
    unit: &Unit,
    each: &mut dyn FnMut(Block) -> bool,
) -> Result<()> {
    let of_urls = |rows: Vec<String>| Block {
        captions: vec![None; rows.len()],
        extra: columns.extra.iter().map(|_| Arc::new(StringArray::from(rows.clone())) as ArrayRef).collect(),
        links: rows.iter().map(|url| link(Some(url))).collect(),
    };
    blocks(path, unit, &of_urls, each)
}

pub(super) fn read_json(
    path: &Path,
    columns: &Columns,
    unit: &Unit,
    each: &mut dyn FnMut(Block) -> bool,
) -> Result<()> {
    let of_objects = |rows: Vec<String>| {
        let objects: Vec<Option<Map<String, Value>>> = rows.iter().map(|row| parse(row)).collect();
        let cells =
            |name: &str| objects.iter().map(|object| cell(object.as_ref()?.get(name)?)).collect::<Vec<_>>();
        let links = objects.iter().zip(cells(&columns.url));
        Block {
            links: links.map(|(object, url)| json_link(object.as_ref(), url)).collect(),
            captions: columns.caption.as_deref().map_or_else(|| vec![None; rows.len()], cells),
            extra: columns
                .extra
                .iter()
                .map(|f| Arc::new(StringArray::from(cells(f.name()))) as ArrayRef)
                .collect(),
        }
    };
    blocks(path, unit, &of_objects, each)
}

fn json_link(object: Option<&Map<String, Value>>, url: Option<String>) -> Link {
    match object {
        Some(_) => link(url.as_deref()),
        None => Err(Reason::RowInvalid),
    }
}

/// A value as text: strings as they are, null as none, the rest as JSON.
fn cell(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn blocks(
    path: &Path,
    unit: &Unit,
    block: &dyn Fn(Vec<String>) -> Block,
    each: &mut dyn FnMut(Block) -> bool,
) -> Result<()> {
    let mut lines = Lines::open(path, unit.offset.unwrap_or(0))?;
    let mut left = unit.rows;
    while left > 0 {
        let rows = lines.take(left)?;
        left -= rows.len() as u64;
        if !each(block(rows)) {
            break;
        }
    }
    Ok(())
}
