//! Link lists: Parquet, CSV, TSV, JSON lines and plain text, a block of rows in memory at a time.
//!
//! A list is scanned once for the plan (row count, and for text files the byte at which each unit begins), then read
//! unit by unit from there.

mod delimited;
mod lines;
mod table;

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::ArrayRef;
use arrow::datatypes::Field;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::config::InputConfig;
use crate::reason::Reason;
use crate::settings::suggest;
use crate::unit::Unit;
use crate::{Error, Result};

/// Rows that are handed on, and later written, together: few, as all their pictures are in memory before they are.
pub(super) const BLOCK: usize = 32;

/// What a list file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ListFormat {
    /// Parquet.
    Parquet,
    /// Comma-separated, with a header line; fields may hold quoted commas and newlines.
    Csv,
    /// Tab-separated, otherwise like CSV.
    Tsv,
    /// One JSON object per line.
    Jsonl,
    /// One URL per line, nothing else (a comma is part of the URL).
    Txt,
}

impl ListFormat {
    /// By the ending of the file name.
    pub fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match ending.as_str() {
            "parquet" => Self::Parquet,
            "csv" => Self::Csv,
            "tsv" => Self::Tsv,
            "jsonl" | "ndjson" => Self::Jsonl,
            "txt" => Self::Txt,
            _ => return None,
        })
    }
}

/// A URL of the list, or why the row has none.
pub(super) type Link = Result<String, Reason>;

/// Consecutive rows of a list.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) links: Vec<Link>,
    pub(super) captions: Vec<Option<String>>,
    /// The additional columns, as long as `links`.
    pub(super) extra: Vec<ArrayRef>,
}

/// Which columns are read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Columns {
    pub(super) url: String,
    pub(super) caption: Option<String>,
    /// Additional columns with the types that they have in the list.
    pub(super) extra: Vec<Field>,
}

/// One list file.
#[derive(Clone, Debug)]
pub(super) struct ListFile {
    pub(super) path: PathBuf,
    pub(super) format: ListFormat,
}

impl ListFile {
    /// The list files that the config names, folders opened up; all must exist.
    pub(super) fn find(input: &InputConfig) -> Result<Vec<Self>> {
        let mut found = Vec::new();
        for name in &input.urls {
            let path = PathBuf::from(name);
            let metadata = std::fs::metadata(&path).map_err(|e| Error::io(&path, e))?;
            if metadata.is_dir() {
                found.extend(inside(&path, input.format)?);
            } else {
                let format = input.format.or_else(|| ListFormat::of(&path));
                let unknown = || {
                    Error::input(&path, "cannot tell the format of this link list from its name")
                        .with_hint("set input.format to parquet, csv, tsv, jsonl or txt")
                };
                found.push(Self { format: format.ok_or_else(unknown)?, path });
            }
        }
        Ok(found)
    }

    /// Which columns the config asks for, with their types here.
    ///
    /// # Errors
    /// [`Error::Input`] when one is not there, with those that are.
    pub(super) fn columns(&self, input: &InputConfig) -> Result<Columns> {
        let fields = match self.format {
            ListFormat::Parquet => table::fields(&self.path)?,
            ListFormat::Csv => delimited::fields(&self.path, b',')?,
            ListFormat::Tsv => delimited::fields(&self.path, b'\t')?,
            ListFormat::Jsonl => lines::json_fields(&self.path)?,
            ListFormat::Txt => vec![lines::text_field(&input.url_col)],
        };
        let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
        // A list without a header or a first line has no rows either; the plan says so.
        let find = |name: &str, key: &str| match fields.iter().find(|field| field.name() == name) {
            Some(field) => Ok(field.clone()),
            None if names.is_empty() => Ok(lines::text_field(name)),
            None => {
                let message = format!("no column `{name}`; there are: {}", names.join(", "));
                let cure = match suggest(name, &names) {
                    Some(near) => format!("did you mean {key} = \"{near}\"?"),
                    None => format!("set {key}"),
                };
                Err(Error::input(&self.path, message).with_hint(cure))
            }
        };
        let url = find(&input.url_col, "input.url_col")?.name().clone();
        let caption = match &input.caption_col {
            Some(name) => Some(find(name, "input.caption_col")?.name().clone()),
            None => names.contains(&"caption").then(|| "caption".to_owned()),
        };
        let extra = input.columns.iter().map(|name| find(name, "input.columns")).collect::<Result<_>>()?;
        Ok(Columns { url, caption, extra })
    }

    /// Rows, and the bytes at which the units begin (none for Parquet).
    pub(super) fn scan(&self, rows_per_unit: u64) -> Result<(u64, Vec<u64>)> {
        match self.format {
            ListFormat::Parquet => Ok((table::rows(&self.path)?, Vec::new())),
            ListFormat::Csv => delimited::scan(&self.path, b',', rows_per_unit),
            ListFormat::Tsv => delimited::scan(&self.path, b'\t', rows_per_unit),
            ListFormat::Jsonl | ListFormat::Txt => lines::scan(&self.path, rows_per_unit),
        }
    }

    /// Hands the rows of a unit to `each`, block by block, until it says `false`.
    pub(super) fn read(
        &self,
        columns: &Columns,
        unit: &Unit,
        each: &mut dyn FnMut(Block) -> bool,
    ) -> Result<()> {
        match self.format {
            ListFormat::Parquet => table::read(&self.path, columns, unit, each),
            ListFormat::Csv => delimited::read(&self.path, b',', columns, unit, each),
            ListFormat::Tsv => delimited::read(&self.path, b'\t', columns, unit, each),
            ListFormat::Jsonl => lines::read_json(&self.path, columns, unit, each),
            ListFormat::Txt => lines::read_text(&self.path, columns, unit, each),
        }
    }
}

fn inside(folder: &Path, format: Option<ListFormat>) -> Result<Vec<ListFile>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
        let path = entry.map_err(|e| Error::io(folder, e))?.path();
        if let Some(found) = ListFormat::of(&path)
            && format.is_none_or(|wanted| wanted == found)
        {
            files.push(ListFile { path, format: found });
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    match files.is_empty() {
        true => Err(Error::input(folder, "no link lists in this folder (parquet, csv, tsv, jsonl, txt)")),
        false => Ok(files),
    }
}

/// A URL cell: empty is missing.
fn link(url: Option<&str>) -> Link {
    match url.map(str::trim) {
        None | Some("") => Err(Reason::UrlMissing),
        Some(url) => Ok(url.to_owned()),
    }
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|e| Error::io(path, e))
}

#[cfg(test)]
mod tests;
