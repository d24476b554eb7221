//! Link lists in Parquet, streamed by row group.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{BLOCK, Block, Columns, link, open};
use crate::pairs::RowRange;
use crate::unit::Unit;
use crate::{Error, Result};

/// Rows decoded at a time.
const BATCH: usize = 32 * BLOCK;

type Builder = ParquetRecordBatchReaderBuilder<std::fs::File>;

fn builder(path: &Path) -> Result<Builder> {
    Builder::try_new(open(path)?).map_err(|e| broken(path, &e))
}

fn broken(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::Parquet { path: path.display().to_string(), message: error.to_string() }
}

pub(super) fn fields(path: &Path) -> Result<Vec<Field>> {
    Ok(builder(path)?.schema().fields().iter().map(|field| nullable(field)).collect())
}

/// Rows of a shard may lack what rows of the list never do.
fn nullable(field: &Field) -> Field {
    Field::new(field.name(), field.data_type().clone(), true)
}

pub(super) fn rows(path: &Path) -> Result<u64> {
    Ok(builder(path)?.metadata().file_metadata().num_rows().cast_unsigned())
}

pub(super) fn read(
    path: &Path,
    columns: &Columns,
    unit: &Unit,
    each: &mut dyn FnMut(Block) -> bool,
) -> Result<()> {
    let builder = builder(path)?;
    let wanted: Vec<&str> = std::iter::once(columns.url.as_str())
        .chain(columns.caption.as_deref())
        .chain(columns.extra.iter().map(|field| field.name().as_str()))
        .collect();
    let fields = builder.schema().fields();
    let roots: Vec<usize> =
        (0..fields.len()).filter(|i| wanted.contains(&fields[*i].name().as_str())).collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    let range = RowRange::of(builder.metadata(), unit.start, unit.rows);
    let reader = range.apply(builder).with_projection(mask).with_batch_size(BATCH);
    // A batch may end at a row group; blocks of equal size keep the bytes of a shard independent of the list's groups.
    let mut rest: Option<RecordBatch> = None;
    for batch in reader.build().map_err(|e| broken(path, &e))? {
        let batch = batch.map_err(|e| broken(path, &e))?;
        let mut all = match rest.take() {
            Some(rest) => arrow::compute::concat_batches(&batch.schema(), [&rest, &batch])
                .map_err(|e| broken(path, &e))?,
            None => batch,
        };
        while all.num_rows() >= BLOCK {
            if !each(block(path, &all.slice(0, BLOCK), columns)?) {
                return Ok(());
            }
            all = all.slice(BLOCK, all.num_rows() - BLOCK);
        }
        rest = Some(all).filter(|batch| batch.num_rows() > 0);
    }
    if let Some(last) = rest {
        each(block(path, &last, columns)?);
    }
    Ok(())
}

fn block(path: &Path, batch: &RecordBatch, columns: &Columns) -> Result<Block> {
    let column = |name: &str| {
        let missing = || Error::input(path, format!("no column `{name}`"));
        batch.column_by_name(name).ok_or_else(missing)
    };
    let text = |name: &str| -> Result<ArrayRef> {
        cast(column(name)?, &DataType::Utf8)
            .map_err(|e| Error::input(path, format!("column `{name}` is no text: {e}")))
    };
    let value = |array: &ArrayRef, row: usize| {
        array.as_string_opt::<i32>().filter(|a| a.is_valid(row)).map(|a| a.value(row).to_owned())
    };
    let urls = text(&columns.url)?;
    let captions = columns.caption.as_deref().map(text).transpose()?;
    let rows = 0..batch.num_rows();
    Ok(Block {
        links: rows.clone().map(|row| link(value(&urls, row).as_deref())).collect(),
        captions: rows.map(|row| captions.as_ref().and_then(|captions| value(captions, row))).collect(),
        extra: columns
            .extra
            .iter()
            .map(|field| column(field.name()).map(Arc::clone))
            .collect::<Result<_>>()?,
    })
}
