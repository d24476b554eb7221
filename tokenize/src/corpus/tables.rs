//! Text columns of CSV, TSV and Parquet files.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};
use csv::ByteRecord;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{Batch, Batches};
use crate::{Error, Result};

/// The column that holds the text where none is named.
const DEFAULT_COLUMN: &str = "caption";

/// The text columns of a table of delimited values with a header.
pub(super) fn delimited(
    path: &Path,
    reader: Box<dyn Read + Send>,
    delimiter: u8,
    columns: &[String],
) -> Result<Batches> {
    let mut rows = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(reader);
    let header = rows.byte_headers().map_err(|e| Error::table(path, e))?;
    let names: Vec<String> = header.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    let chosen = choose(path, &names, columns)?;
    Ok(Box::new(Delimited { path: path.to_owned(), rows, chosen, ended: false }))
}

struct Delimited {
    path: PathBuf,
    rows: csv::Reader<Box<dyn Read + Send>>,
    chosen: Vec<usize>,
    ended: bool,
}

impl Delimited {
    /// Reads rows until the batch is full; whether there may be more.
    fn fill(&mut self, batch: &mut Batch) -> Result<bool> {
        let mut row = ByteRecord::new();
        while !batch.is_full() {
            if !self.rows.read_byte_record(&mut row).map_err(|e| Error::table(&self.path, e))? {
                return Ok(false);
            }
            let line = row.position().map_or(0, csv::Position::line);
            for field in self.chosen.iter().filter_map(|&column| row.get(column)) {
                batch.push_bytes(field, || format!("{}:{line}", self.path.display()));
            }
        }
        Ok(true)
    }
}

impl Iterator for Delimited {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let mut batch = Batch::default();
        let more = self.fill(&mut batch);
        self.ended = !matches!(more, Ok(true));
        Some(more.map(|_| batch))
    }
}

/// The text columns of a Parquet file.
pub(super) fn parquet(path: &Path, columns: &[String]) -> Result<Batches> {
    let file = File::open(path).map_err(Error::io(path))?;
    let damaged = |e: parquet::errors::ParquetError| Error::Table {
        path: path.to_owned(),
        why: format!("not a readable Parquet file: {e}"),
        cure: Some("the file may be cut short: compare its size with the original".to_owned()),
    };
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(damaged)?;
    let names = string_columns(builder.schema());
    let chosen: Vec<String> = choose(path, &names, columns)?.into_iter().map(|i| names[i].clone()).collect();
    let mask = ProjectionMask::columns(builder.parquet_schema(), chosen.iter().map(String::as_str));
    let batches = builder.with_projection(mask).build().map_err(damaged)?;
    let path = path.to_owned();
    let texts = move |batch: std::result::Result<RecordBatch, _>| {
        batch.and_then(|batch| texts_of(&batch)).map_err(|error| Error::table(&path, error))
    };
    Ok(Box::new(batches.map(texts)))
}

fn string_columns(schema: &Schema) -> Vec<String> {
    let strings = schema.fields().iter().filter(|field| {
        matches!(field.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
    });
    strings.map(|field| field.name().clone()).collect()
}

fn texts_of(rows: &RecordBatch) -> std::result::Result<Batch, arrow::error::ArrowError> {
    let mut batch = Batch::default();
    for column in rows.columns() {
        let column = cast(column, &DataType::Utf8)?;
        column.as_string::<i32>().iter().flatten().for_each(|text| batch.push(text));
    }
    Ok(batch)
}

/// Indices of the text columns: the wanted ones, else `caption`, else the only one.
fn choose(path: &Path, names: &[String], wanted: &[String]) -> Result<Vec<usize>> {
    let fault = |why: String| Error::Table {
        path: path.to_owned(),
        why,
        cure: Some(format!("text columns here: {}", names.join(", "))),
    };
    let position = |name: &str| names.iter().position(|n| n == name);
    if !wanted.is_empty() {
        let find = |name: &String| position(name).ok_or_else(|| fault(format!("no text column {name:?}")));
        return wanted.iter().map(find).collect();
    }
    match (position(DEFAULT_COLUMN), names.len()) {
        (Some(index), _) => Ok(vec![index]),
        (None, 1) => Ok(vec![0]),
        (None, _) => Err(fault("which column holds the text? Name it with --columns".to_owned())),
    }
}
