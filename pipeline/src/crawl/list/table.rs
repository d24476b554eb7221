//! Link lists in Parquet, streamed by page: of a row group only the columns that are asked for, from the row that is
//! asked for. A column of image bytes makes downloads unnecessary.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::PageIndexPolicy;

use super::records::Rows;
use super::source::{Reader, Source};
use super::{BLOCK, Block, Columns, link};
use crate::crawl::local::Stored;
use crate::pairs::{RowRange, is_reserved};
use crate::picture::EncodeFormat;
use crate::{Error, Result};

/// Rows decoded at a time.
pub(super) const BATCH: usize = 32 * BLOCK;

type Builder = ParquetRecordBatchReaderBuilder<Reader>;

/// Batches of rows, in order.
pub(super) type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// `index`: with the places of the pages, so that rows before the wanted one are passed by page.
pub(super) fn builder(source: &Source, index: bool) -> Result<Builder> {
    let policy = if index { PageIndexPolicy::Optional } else { PageIndexPolicy::Skip };
    let options = ArrowReaderOptions::new().with_offset_index_policy(policy);
    Builder::try_new_with_options(source.open()?, options).map_err(|e| broken(source, &e))
}

pub(super) fn broken(source: &Source, error: &dyn std::fmt::Display) -> Error {
    Error::Parquet { path: source.name(), message: error.to_string() }
}

pub(super) fn fields(source: &Source) -> Result<Vec<Field>> {
    Ok(builder(source, false)?.schema().fields().iter().map(|field| nullable(field)).collect())
}

/// Rows of a shard may lack what rows of the list never do.
fn nullable(field: &Field) -> Field {
    Field::new(field.name(), field.data_type().clone(), true)
}

/// Whether it is a link table of `pipeline extract`, or of a stage after it.
pub(super) fn is_links(source: &Source) -> Result<bool> {
    let builder = builder(source, false)?;
    Ok(builder
        .schema()
        .metadata()
        .get("troika.format")
        .is_some_and(|format| format == crate::extract::FORMAT))
}

/// What is carried along of a link table if no columns are named: all that is known of a link, as far as shards have no
/// column of that name.
pub(super) fn carried(fields: &[Field], url: &str, caption: Option<&str>) -> Vec<Field> {
    let carried = |field: &&Field| {
        field.name() != url && Some(field.name().as_str()) != caption && !is_reserved(field.name())
    };
    fields.iter().filter(carried).cloned().collect()
}

pub(super) fn rows(source: &Source) -> Result<u64> {
    Ok(builder(source, false)?.metadata().file_metadata().num_rows().cast_unsigned())
}

/// The column of image bytes: the one that is asked for, or one named after a format of shards, or Hugging Face's
/// `image`, a struct whose `bytes` they are. An empty name asks for none.
pub(super) fn image_column(fields: &[Field], wanted: Option<&str>) -> Option<String> {
    let named = |field: &&Field| match wanted {
        Some(name) => field.name() == name,
        None => {
            let format = EncodeFormat::ALL.iter().any(|format| format.name() == field.name());
            format && is_binary(field.data_type())
                || field.name() == "image" && child(field.data_type()).is_some()
        }
    };
    let holds = |field: &&Field| is_binary(field.data_type()) || child(field.data_type()).is_some();
    fields.iter().rev().find(|field| named(field) && holds(field)).map(|field| field.name().clone())
}

fn is_binary(kind: &DataType) -> bool {
    matches!(kind, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

/// Where `bytes` lies in a struct.
fn child(kind: &DataType) -> Option<usize> {
    let DataType::Struct(fields) = kind else { return None };
    fields.iter().position(|field| field.name() == "bytes" && is_binary(field.data_type()))
}

/// The columns `names` from row `start` on.
pub(super) fn batches(source: &Source, names: &[&str], start: u64, batch: usize) -> Result<Batches> {
    let builder = builder(source, start > 0)?;
    let fields = builder.schema().fields();
    let roots: Vec<usize> =
        (0..fields.len()).filter(|i| names.contains(&fields[*i].name().as_str())).collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    let rows = builder.metadata().file_metadata().num_rows().cast_unsigned();
    let range = RowRange::of(builder.metadata(), start, rows.saturating_sub(start));
    let reader = range.apply(builder).with_projection(mask).with_batch_size(batch).build();
    let reader = reader.map_err(|e| broken(source, &e))?;
    let source = source.clone();
    Ok(Box::new(reader.map(move |batch| batch.map_err(|e| broken(&source, &e)))))
}

/// Rows out of batches.
pub(super) struct Table {
    pub(super) source: Source,
    pub(super) columns: Columns,
    pub(super) batches: Batches,
    /// Rows that were read and not handed on.
    rest: Option<RecordBatch>,
}

impl Table {
    /// A Parquet file from row `start` on.
    pub(super) fn open(source: &Source, columns: &Columns, start: u64) -> Result<Self> {
        let names: Vec<&str> = std::iter::once(columns.url.as_str())
            .chain(columns.caption.as_deref())
            .chain(columns.image.as_deref())
            .chain(columns.extra.iter().map(|field| field.name().as_str()))
            .collect();
        let batch = if columns.image.is_some() { BLOCK } else { BATCH };
        Ok(Self::over(source, columns, batches(source, &names, start, batch)?))
    }

    /// Any batches; `source` is for messages.
    pub(super) fn over(source: &Source, columns: &Columns, batches: Batches) -> Self {
        Self { source: source.clone(), columns: columns.clone(), batches, rest: None }
    }

    /// Exactly `most` rows, or all that are left. A batch may end at a row group; blocks of equal size keep the bytes of
    /// a shard independent of the list's groups.
    fn take(&mut self, most: usize) -> Result<Option<RecordBatch>> {
        while self.rest.as_ref().is_none_or(|rest| rest.num_rows() < most) {
            let Some(batch) = self.batches.next().transpose()? else { break };
            self.rest = Some(match self.rest.take().filter(|rest| rest.num_rows() > 0) {
                Some(rest) => {
                    concat_batches(&batch.schema(), [&rest, &batch]).map_err(|e| broken(&self.source, &e))?
                }
                None => batch,
            });
        }
        let Some(rest) = self.rest.take().filter(|rest| rest.num_rows() > 0) else { return Ok(None) };
        let count = most.min(rest.num_rows());
        self.rest = Some(rest.slice(count, rest.num_rows() - count));
        Ok(Some(rest.slice(0, count)))
    }
}

impl Rows for Table {
    fn block(&mut self, most: usize) -> Result<Option<Block>> {
        self.take(most)?.map(|batch| block(&self.source, &batch, &self.columns)).transpose()
    }

    fn skip(&mut self, mut rows: u64) -> Result<()> {
        while rows > 0 {
            let most = usize::try_from(rows).unwrap_or(BATCH).min(BATCH);
            let Some(batch) = self.take(most)? else { break };
            rows -= batch.num_rows() as u64;
        }
        Ok(())
    }
}

fn block(source: &Source, batch: &RecordBatch, columns: &Columns) -> Result<Block> {
    let column = |name: &str| {
        let missing = || Error::input(source.name(), format!("no column `{name}`"));
        batch.column_by_name(name).ok_or_else(missing)
    };
    let text = |name: &str| as_text(source, name, column(name)?);
    let stored = match &columns.image {
        Some(name) => images(source, column(name)?)?,
        None => Vec::new(),
    };
    let urls = match batch.column_by_name(&columns.url) {
        None if columns.image.is_some() => None,
        _ => Some(text(&columns.url)?),
    };
    let captions = columns.caption.as_deref().map(text).transpose()?;
    let rows = 0..batch.num_rows();
    let url = |row| urls.as_ref().and_then(|urls| value(urls, row));
    let links = rows.clone().map(|row| match stored.is_empty() {
        true => link(url(row).as_deref()),
        false => Ok(url(row).unwrap_or_default()),
    });
    Ok(Block {
        links: links.collect(),
        captions: rows.map(|row| captions.as_ref().and_then(|captions| value(captions, row))).collect(),
        extra: columns
            .extra
            .iter()
            .map(|field| column(field.name()).map(Arc::clone))
            .collect::<Result<_>>()?,
        stored,
    })
}

fn as_text(source: &Source, name: &str, column: &ArrayRef) -> Result<ArrayRef> {
    cast(column, &DataType::Utf8)
        .map_err(|e| Error::input(source.name(), format!("column `{name}` is no text: {e}")))
}

pub(super) fn value(array: &ArrayRef, row: usize) -> Option<String> {
    array.as_string_opt::<i32>().filter(|a| a.is_valid(row)).map(|a| a.value(row).to_owned())
}

fn images(source: &Source, column: &ArrayRef) -> Result<Vec<Stored>> {
    let inner = match child(column.data_type()).zip(column.as_struct_opt()) {
        Some((place, parts)) => parts.column(place),
        None => column,
    };
    let binary = cast(inner, &DataType::Binary).map_err(|e| broken(source, &e))?;
    let Some(binary) = binary.as_binary_opt::<i32>() else { return Ok(Vec::new()) };
    let image = |row| match binary.is_valid(row) && column.is_valid(row) {
        true => Stored::Bytes(Bytes::copy_from_slice(binary.value(row))),
        false => Stored::Missing,
    };
    Ok((0..binary.len()).map(image).collect())
}
