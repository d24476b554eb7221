//! The failed rows of an earlier output, img2dataset's or our own, as a link list.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, new_null_array};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Field, Schema};
use sha2::{Digest, Sha256};

use super::lines::text_field;
use super::retry::{RetryFailed, reason_of};
use super::source::Source;
use super::table::{self, BATCH, Batches, Table};
use super::{Columns, InputConfig};
use crate::pairs::{is_reserved, shards};
use crate::reason::{Reason, Status};
use crate::store::Store;
use crate::unit::hex;
use crate::{Error, Result};

/// The column that holds the key which a row had, in the output of the retry.
const SOURCE_KEY: &str = "source_key";

/// The Parquet files of an earlier output and what is wanted of them. With tars or files beside them they hold the same
/// rows without the images.
#[derive(Debug)]
pub(super) struct Earlier {
    parts: Vec<Source>,
    retry: RetryFailed,
}

impl Earlier {
    /// The output in a folder or bucket, or a single Parquet file of one.
    pub(super) fn find(location: &str, retry: &RetryFailed) -> Result<Self> {
        let parts = match Path::new(location).is_file() {
            true => vec![Source::File(location.into())],
            false => {
                let store = Store::open(location)?;
                let named = shards(&store)?.into_iter().filter(|shard| shard.name.ends_with(".parquet"));
                named.map(|shard| Source::of(&store, &shard.name)).collect::<Result<_>>()?
            }
        };
        match parts.is_empty() {
            true => Err(Error::input(location, "no output of a crawl: there is no Parquet file in it")
                .with_hint("name the folder that the earlier crawl wrote")),
            false => Ok(Self { parts, retry: retry.clone() }),
        }
    }

    /// Those of the first file.
    pub(super) fn fields(&self) -> Result<Vec<Field>> {
        self.parts.first().map_or_else(|| Ok(Vec::new()), table::fields)
    }

    /// What is carried over: url, caption, and the additional columns, all of them where none are named.
    pub(super) fn columns(&self, input: &InputConfig, fields: &[Field]) -> Columns {
        let has = |name: &str| fields.iter().any(|field| field.name() == name);
        let image = table::image_column(fields, None);
        let wanted = |field: &&Field| match input.columns.is_empty() {
            true => !is_reserved(field.name()) && image.as_ref() != Some(field.name()),
            false => input.columns.contains(field.name()),
        };
        let mut extra: Vec<Field> =
            fields.iter().filter(wanted).filter(|field| field.name() != SOURCE_KEY).cloned().collect();
        extra.push(text_field(SOURCE_KEY));
        let caption = has("caption").then(|| "caption".to_owned());
        Columns { url: "url".to_owned(), caption, extra, image: None }
    }

    pub(super) fn count(&self) -> Result<u64> {
        let mut rows = 0;
        for part in &self.parts {
            for batch in table::batches(part, &["status", "reason", "error_message"], 0, BATCH)? {
                rows += wanted(part, &batch?, &self.retry)?.true_count() as u64;
            }
        }
        Ok(rows)
    }

    /// Size and digest of all files.
    pub(super) fn digest(&self) -> Result<(u64, String)> {
        let (mut hash, mut bytes) = (Sha256::new(), 0);
        for part in &self.parts {
            hash.update(part.digest()?);
            bytes += part.bytes()?;
        }
        Ok((bytes, hex(&hash.finalize())))
    }

    /// The wanted rows, from the first.
    pub(super) fn open(&self, columns: &Columns) -> Result<Table> {
        let first = self.parts.first().ok_or(Error::Lost { what: "the earlier output" })?;
        let (parts, retry, wanted) = (self.parts.clone(), self.retry.clone(), columns.clone());
        let batches = parts.into_iter().flat_map(move |part| {
            failed(&part, &wanted, &retry).unwrap_or_else(|e| Box::new(std::iter::once(Err(e))))
        });
        Ok(Table::over(first, columns, Box::new(batches)))
    }
}

/// The wanted rows of one file, with the columns and types of the first.
fn failed(part: &Source, columns: &Columns, retry: &RetryFailed) -> Result<Batches> {
    let mut fields = vec![text_field(&columns.url)];
    fields.extend(columns.caption.as_deref().map(text_field));
    fields.extend(columns.extra.iter().cloned());
    let mut names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
    names.extend(["key", "status", "reason", "error_message"]);
    let batches = table::batches(part, &names, 0, BATCH)?;
    let (part, retry, schema) = (part.clone(), retry.clone(), Arc::new(Schema::new(fields)));
    Ok(Box::new(batches.map(move |batch| {
        let batch = batch?;
        let mask = wanted(&part, &batch, &retry)?;
        let rows = filter_record_batch(&batch, &mask).map_err(|e| table::broken(&part, &e))?;
        let cells = schema.fields().iter().map(|field| column(&part, &rows, field)).collect::<Result<_>>()?;
        RecordBatch::try_new(Arc::clone(&schema), cells).map_err(|e| table::broken(&part, &e))
    })))
}

fn column(part: &Source, rows: &RecordBatch, field: &Field) -> Result<ArrayRef> {
    let found = match field.name().as_str() {
        SOURCE_KEY => rows.column_by_name(SOURCE_KEY).or_else(|| rows.column_by_name("key")),
        name => rows.column_by_name(name),
    };
    match found {
        Some(column) => cast(column, field.data_type()).map_err(|e| {
            Error::input(
                part.name(),
                format!("column `{}` has another type than in the first file: {e}", field.name()),
            )
        }),
        None => Ok(new_null_array(field.data_type(), rows.num_rows())),
    }
}

/// Which rows are to be fetched again.
fn wanted(part: &Source, batch: &RecordBatch, retry: &RetryFailed) -> Result<BooleanArray> {
    let text = |name: &str| {
        let column = batch.column_by_name(name).map(|column| cast(column, &DataType::Utf8));
        column.transpose().map_err(|e| table::broken(part, &e))
    };
    let foreign = || Error::input(part.name(), "no column `status`: not the output of a crawl");
    let statuses = text("status")?.ok_or_else(foreign)?;
    let (reasons, messages) = (text("reason")?, text("error_message")?);
    let of = |column: &Option<ArrayRef>, row| column.as_ref().and_then(|column| table::value(column, row));
    let statuses = statuses.as_string::<i32>();
    let want = |row: usize| {
        // A status that nobody knows is one of a failure.
        let status: Status = statuses.value(row).parse().unwrap_or(Status::FailedToDownload);
        let reason: Option<Reason> = of(&reasons, row).and_then(|code| code.parse().ok());
        retry.wants(status, reason.or_else(|| reason_of(&of(&messages, row)?)))
    };
    Ok((0..statuses.len()).map(|row| Some(want(row))).collect())
}
