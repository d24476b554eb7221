//! Link lists with one row per line: JSON objects, or plain URLs (which are lines, never CSV: URLs hold commas).

use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{DataType, Field};

use super::records::Records;
use super::source::Source;
use super::text::{LONGEST, Text};
use super::{Block, Columns, link};
use crate::Result;

pub(super) fn text_field(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

/// Line after line; blank ones are no rows.
pub(super) struct Lines {
    text: BufReader<Text>,
    /// Where the next line begins.
    at: u64,
    line: Vec<u8>,
}

impl Lines {
    pub(super) fn open(source: &Source, offset: Option<u64>) -> Result<Self> {
        let text = Text::open(source, offset)?;
        Ok(Self { at: text.base(), text: text.buffered(), line: Vec::new() })
    }
}

impl Records for Lines {
    type Record = String;

    fn next(&mut self) -> Result<Option<(u64, String)>> {
        loop {
            self.line.clear();
            let read = Read::by_ref(&mut self.text).take(LONGEST).read_until(b'\n', &mut self.line);
            let n = read.map_err(|e| self.text.get_ref().error(e))? as u64;
            let begin = self.at;
            self.at += n;
            if n == 0 {
                return Ok(None);
            }
            if n == LONGEST {
                let message = format!("the line at byte {begin} is longer than 16 MiB");
                return Err(self.text.get_ref().wrong(message));
            }
            let text = String::from_utf8_lossy(&self.line);
            let text = text.trim_start_matches('\u{feff}').trim();
            if !text.is_empty() {
                return Ok(Some((begin, text.to_owned())));
            }
        }
    }

    fn seekable(&self) -> bool {
        self.text.get_ref().seekable()
    }
}

/// Rows of plain URLs; every additional column repeats them.
pub(super) fn block_of_urls(rows: Vec<String>, columns: &Columns) -> Block {
    Block {
        captions: vec![None; rows.len()],
        extra: columns.extra.iter().map(|_| Arc::new(StringArray::from(rows.clone())) as ArrayRef).collect(),
        links: rows.iter().map(|url| link(Some(url))).collect(),
        stored: Vec::new(),
    }
}
