//! Link lists in JSON: an array of objects of any length, or objects one after the other, by line or not. Only the
//! value at hand is in memory.

use std::io::{BufRead, BufReader};
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::Field;
use serde_json::{Map, Value};

use super::lines::text_field;
use super::records::Records;
use super::source::Source;
use super::text::{LONGEST, Text};
use super::{Block, Columns, Link, link};
use crate::reason::Reason;
use crate::{Error, Result};

/// Rows that are looked at for the names of the columns.
const LOOKED_AT: usize = 1000;

/// The values of a JSON text, cut apart by brackets and quotes without being understood.
pub(super) struct Values {
    text: BufReader<Text>,
    at: u64,
    /// Whether anything was read, and whether that was the bracket of an array.
    begun: bool,
    open_array: bool,
}

/// Where in a value a byte lies.
#[derive(Default)]
struct Place {
    depth: u32,
    in_string: bool,
    escaped: bool,
    begun: bool,
}

/// What a byte means for the value that it comes after.
enum Step {
    Inside,
    /// The value ends with this byte.
    Last,
    /// The value ended before it.
    Beyond,
}

impl Place {
    fn step(&mut self, byte: u8) -> Step {
        let first = !std::mem::replace(&mut self.begun, true);
        if self.in_string {
            match (self.escaped, byte) {
                (true, _) => self.escaped = false,
                (false, b'\\') => self.escaped = true,
                (false, b'"') => {
                    self.in_string = false;
                    return if self.depth == 0 { Step::Last } else { Step::Inside };
                }
                _ => {}
            }
            return Step::Inside;
        }
        match byte {
            b'"' if first || self.depth > 0 => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' if self.depth > 0 => {
                self.depth -= 1;
                return if self.depth == 0 { Step::Last } else { Step::Inside };
            }
            b'}' | b']' | b',' | b'"' | b' ' | b'\t' | b'\r' | b'\n' if self.depth == 0 && !first => {
                return Step::Beyond;
            }
            _ => {}
        }
        Step::Inside
    }
}

impl Values {
    pub(super) fn open(source: &Source, offset: Option<u64>) -> Result<Self> {
        let text = Text::open(source, offset)?;
        Ok(Self { at: text.base(), text: text.buffered(), begun: offset.is_some(), open_array: false })
    }

    /// Passes what stands between values; `false` at the end.
    fn advance(&mut self) -> Result<bool> {
        loop {
            let Some(byte) = self.peek()? else {
                let message = format!("cut short: it ends at byte {} inside its array", self.at);
                return if self.open_array { Err(self.text.get_ref().wrong(message)) } else { Ok(false) };
            };
            match byte {
                b'[' if !self.begun => self.open_array = true,
                b' ' | b'\t' | b'\r' | b'\n' | b',' => {}
                b']' if self.begun => self.open_array = false,
                _ => {
                    self.begun = true;
                    return Ok(true);
                }
            }
            self.begun |= byte == b'[';
            self.pass(1);
        }
    }

    fn peek(&mut self) -> Result<Option<u8>> {
        let filled = self.text.fill_buf().map(|bytes| bytes.first().copied());
        filled.map_err(|e| self.text.get_ref().error(e))
    }

    fn pass(&mut self, bytes: usize) {
        self.text.consume(bytes);
        self.at += bytes as u64;
    }
}

impl Records for Values {
    type Record = String;

    fn next(&mut self) -> Result<Option<(u64, String)>> {
        if !self.advance()? {
            return Ok(None);
        }
        let (begin, mut place, mut value) = (self.at, Place::default(), Vec::new());
        loop {
            let piece = match self.text.fill_buf() {
                Ok(piece) => piece,
                Err(e) => return Err(self.text.get_ref().error(e)),
            };
            let ended = piece.is_empty();
            let end = piece.iter().enumerate().find_map(|(i, byte)| match place.step(*byte) {
                Step::Inside => None,
                Step::Last => Some(i + 1),
                Step::Beyond => Some(i),
            });
            let n = end.unwrap_or(piece.len());
            value.extend_from_slice(&piece[..n]);
            self.pass(n);
            if ended && (place.depth > 0 || place.in_string) {
                let message = format!("cut short: it ends inside the value that begins at byte {begin}");
                return Err(self.text.get_ref().wrong(message));
            }
            if end.is_some() || ended {
                return Ok(Some((begin, String::from_utf8_lossy(&value).into_owned())));
            }
            if value.len() as u64 > LONGEST {
                let message = format!("the value that begins at byte {begin} is longer than 16 MiB");
                return Err(self
                    .text
                    .get_ref()
                    .wrong(message)
                    .with_hint("a list is an array of objects, one per row"));
            }
        }
    }

    fn seekable(&self) -> bool {
        self.text.get_ref().seekable()
    }
}

/// The keys of the first objects, in order; `url_col` where the rows are bare strings.
pub(super) fn fields(
    source: &Source,
    mut records: impl Records<Record = String>,
    url_col: &str,
) -> Result<Vec<Field>> {
    let mut names: Vec<String> = Vec::new();
    for row in 0..LOOKED_AT {
        let Some((_, text)) = records.next()? else { break };
        let keys = match serde_json::from_str::<Value>(&text) {
            Ok(Value::Object(object)) => object.into_iter().map(|(key, _)| key).collect(),
            Ok(Value::String(_)) => vec![url_col.to_owned()],
            _ if row == 0 => return Err(Error::input(source.name(), "the first row is no JSON object")),
            _ => continue,
        };
        for key in keys {
            if !names.contains(&key) {
                names.push(key);
            }
        }
    }
    Ok(names.iter().map(|name| text_field(name)).collect())
}

/// A row of JSON: an object, or a bare URL.
enum Row {
    Object(Map<String, Value>),
    Url(String),
    Invalid,
}

pub(super) fn block(rows: Vec<String>, columns: &Columns) -> Block {
    let rows: Vec<Row> = rows
        .iter()
        .map(|text| match serde_json::from_str(text) {
            Ok(Value::Object(object)) => Row::Object(object),
            Ok(Value::String(url)) => Row::Url(url),
            _ => Row::Invalid,
        })
        .collect();
    let cell = |row: &Row, name: &str| match row {
        Row::Object(object) => as_text(object.get(name)?),
        Row::Url(url) => (name == columns.url).then(|| url.clone()),
        Row::Invalid => None,
    };
    let cells = |name: &str| rows.iter().map(|row| cell(row, name)).collect::<Vec<_>>();
    Block {
        links: rows.iter().map(|row| link_of(row, cell(row, &columns.url))).collect(),
        captions: columns.caption.as_deref().map_or_else(|| vec![None; rows.len()], cells),
        extra: columns
            .extra
            .iter()
            .map(|f| Arc::new(StringArray::from(cells(f.name()))) as ArrayRef)
            .collect(),
        stored: Vec::new(),
    }
}

fn link_of(row: &Row, url: Option<String>) -> Link {
    match row {
        Row::Invalid => Err(Reason::RowInvalid),
        Row::Object(_) | Row::Url(_) => link(url.as_deref()),
    }
}

/// Strings as they are, null as none, the rest as JSON.
pub(super) fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
