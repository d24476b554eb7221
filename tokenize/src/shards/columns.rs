//! The columns of a pair shard that are captions or passed through, read beside its pictures with their own types.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use pipeline::pairs::RowRange;

use super::ShardsConfig;
use crate::tokens::{Column, REASON, VIEW, Value};
use crate::{Error, Result};

/// Rows decoded at a time.
const BATCH: usize = 256;

/// What a row of the pairs says besides its picture.
pub(super) struct Texts {
    /// The captions that are not empty, in the order of the columns.
    pub(super) captions: Vec<String>,
    /// The columns passed through; nulls are absent.
    pub(super) extra: BTreeMap<String, Value>,
}

/// Checks that a shard has the wanted columns, and gives those that are passed through.
///
/// # Errors
/// A column that is not there, a caption that is no text, a type that is not passed through.
pub(super) fn check(path: &Path, schema: &Schema, config: &ShardsConfig) -> Result<Vec<Column>> {
    let field = |key: &str, name: &str| {
        schema.field_with_name(name).map_err(|_| {
            let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            refuse(path, format!("no column {name:?} (wanted by {key})"))(format!(
                "columns here: {}",
                names.join(", ")
            ))
        })
    };
    for name in &config.captions {
        let kind = field("captions", name)?.data_type();
        if !is_text(kind) && !inner(kind).is_some_and(is_text) {
            let why = format!("captions: column {name:?} is of type {kind}");
            return Err(refuse(path, why)("captions are strings or lists of strings".to_owned()));
        }
    }
    let passed = config.columns.iter().map(|name| {
        let column = Column::of(field("columns", name)?);
        column.map_err(|why| refuse(path, format!("columns: {why}"))("leave the column out".to_owned()))
    });
    passed.collect()
}

fn refuse(path: &Path, why: String) -> impl FnOnce(String) -> Error {
    let path = path.to_owned();
    move |cure| Error::Table { path, why, cure: Some(cure) }
}

fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

fn inner(kind: &DataType) -> Option<&DataType> {
    match kind {
        DataType::List(field) | DataType::LargeList(field) => Some(field.data_type()),
        _ => None,
    }
}

/// The columns of a run's token shards after the format's own.
pub(super) fn written(config: &ShardsConfig, passed: &[Column]) -> Vec<Column> {
    let view = config.augment.is_any().then_some(VIEW);
    let own = [REASON].into_iter().chain(view).map(Column::text);
    own.chain(passed.iter().cloned()).collect()
}

/// Reads captions and columns of a row range, row by row, in step with the pairs.
pub(super) struct TextReader {
    path: String,
    captions: Vec<String>,
    columns: Vec<Column>,
    reader: ParquetRecordBatchReader,
    batch: Option<(Vec<ArrayRef>, Vec<ArrayRef>)>,
    row: usize,
    rows: usize,
}

impl TextReader {
    /// Opens `count` rows from row `start` of a shard.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(super) fn open(
        path: &str,
        (start, count): (u64, u64),
        config: &ShardsConfig,
        columns: &[Column],
    ) -> Result<Self> {
        let file = File::open(path).map_err(Error::io(path))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| Error::table(path, e))?;
        let wanted = |field: &Field| {
            config.captions.contains(field.name())
                || columns.iter().any(|column| column.name == *field.name())
        };
        let fields = builder.schema().fields().iter().enumerate();
        let roots: Vec<usize> = fields.filter(|(_, field)| wanted(field)).map(|(root, _)| root).collect();
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let range = RowRange::of(builder.metadata(), start, count);
        let reader = range.apply(builder.with_projection(mask)).with_batch_size(BATCH).build();
        Ok(Self {
            path: path.to_owned(),
            captions: config.captions.clone(),
            columns: columns.to_vec(),
            reader: reader.map_err(|e| Error::table(path, e))?,
            batch: None,
            row: 0,
            rows: 0,
        })
    }

    /// The next row.
    ///
    /// # Errors
    /// A damaged file, or fewer rows than the pairs have.
    pub(super) fn next_row(&mut self) -> Result<Texts> {
        // Nothing wanted is nothing to read: Parquet gives no rows of no columns.
        if self.captions.is_empty() && self.columns.is_empty() {
            return Ok(Texts { captions: Vec::new(), extra: BTreeMap::new() });
        }
        while self.row == self.rows {
            let batch =
                self.reader.next().ok_or_else(|| Error::table(&self.path, "columns of different lengths"))?;
            self.take(&batch.map_err(|e| Error::table(&self.path, e))?)?;
        }
        let row = self.row;
        self.row += 1;
        let Some((captions, columns)) = &self.batch else {
            return Err(Error::table(&self.path, "no rows"));
        };
        let mut texts = Texts { captions: Vec::new(), extra: BTreeMap::new() };
        captions.iter().for_each(|array| add_captions(&mut texts.captions, array, row));
        for (column, array) in self.columns.iter().zip(columns) {
            texts.extra.extend(column.value(array, row).map(|value| (column.name.clone(), value)));
        }
        Ok(texts)
    }

    fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let find = |name: &str| {
            let found = batch.column_by_name(name).cloned();
            found.ok_or_else(|| Error::table(&self.path, format!("no column {name:?}")))
        };
        let text = |array: ArrayRef| match inner(array.data_type()) {
            Some(_) => cast(&array, &DataType::List(Field::new("item", DataType::Utf8, true).into())),
            None => cast(&array, &DataType::Utf8),
        };
        let captions =
            self.captions.iter().map(|name| text(find(name)?).map_err(|e| Error::table(&self.path, e)));
        let columns = self
            .columns
            .iter()
            .map(|column| column.plain(&find(&column.name)?).map_err(|why| Error::table(&self.path, why)));
        self.batch = Some((captions.collect::<Result<_>>()?, columns.collect::<Result<_>>()?));
        (self.row, self.rows) = (0, batch.num_rows());
        Ok(())
    }
}

/// The texts in a row of a column of strings, or of lists of them, without the empty ones.
fn add_captions(captions: &mut Vec<String>, array: &ArrayRef, row: usize) {
    if array.is_null(row) {
        return;
    }
    let mut add = |texts: &StringArray, rows: std::ops::Range<usize>| {
        let texts = rows.filter(|row| texts.is_valid(*row)).map(|row| texts.value(row));
        captions.extend(texts.filter(|text| !text.trim().is_empty()).map(str::to_owned));
    };
    if let Some(texts) = array.as_string_opt::<i32>() {
        add(texts, row..row + 1);
    } else if let Some(lists) = array.as_list_opt::<i32>() {
        let list = lists.value(row);
        if let Some(texts) = list.as_string_opt::<i32>() {
            add(texts, 0..texts.len());
        }
    }
}
