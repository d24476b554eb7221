//! The inputs as one sequence of rows, read in blocks.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{cast, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::arrow_reader::RowSelection;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::pairs::{LINKS, Table, difference};
use crate::settings::suggest;
use crate::unit::InputFile;
use crate::{Error, Result};

/// Rows of a block at most: what a thread takes on at a time.
const BLOCK: u64 = 1 << 16;

/// Tables of the same columns, one after the other.
#[derive(Debug)]
pub(super) struct Source {
    tables: Vec<Table>,
    blocks: Vec<Block>,
    schema: SchemaRef,
    image: Option<String>,
}

/// Some consecutive rows of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    table: usize,
    shard: usize,
    /// First row in the file.
    start: u64,
    /// Number of rows.
    pub(super) rows: u64,
    /// First row over all inputs.
    pub(super) first: u64,
    /// Rows of the file.
    file_rows: u64,
}

impl Source {
    /// Opens folders, buckets or files and looks at the columns of every file.
    ///
    /// # Errors
    /// [`Error::Input`] naming the file and the column that the others do not have alike, or a folder whose pictures lie
    /// beside its tables.
    pub(super) fn open(paths: &[String]) -> Result<Self> {
        let tables: Vec<Table> = paths.iter().map(|path| Table::open(path)).collect::<Result<_>>()?;
        let Some(first) = tables.first() else { return Err(Error::config("input.paths", "no shards given")) };
        let image = first.image_column().map(str::to_owned);
        let fields = first.schema().fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<Field>>()));
        let mut source = Self { tables, blocks: Vec::new(), schema, image };
        source.look()?;
        Ok(source)
    }

    fn look(&mut self) -> Result<()> {
        self.tables.iter().try_for_each(Table::refuse_pictures_beside)?;
        let shards =
            |(index, table): (usize, &Table)| (0..table.shards().len()).map(move |shard| (index, shard));
        let shards: Vec<(usize, usize)> = self.tables.iter().enumerate().flat_map(shards).collect();
        // Looking at a footer is waiting for a disk or a store, not work.
        let footer = |(table, shard): &(usize, usize)| self.tables[*table].footer(*shard);
        let footers: Vec<Result<(SchemaRef, u64)>> = shards.par_iter().map(footer).collect();
        let mut first = 0;
        for ((index, shard), footer) in shards.into_iter().zip(footers) {
            let (schema, file_rows) = footer?;
            if let Some(difference) = difference(&self.schema, &schema) {
                let message = format!("has other columns than {}: {difference}", self.tables[0].display(0));
                return Err(Error::input(self.tables[index].display(shard), message));
            }
            for start in (0..file_rows).step_by(BLOCK as usize) {
                let rows = BLOCK.min(file_rows - start);
                self.blocks.push(Block { table: index, shard, start, rows, first, file_rows });
                first += rows;
            }
        }
        Ok(())
    }

    /// Columns and types, all of which may be null.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Value of `troika.format`.
    pub(super) fn format(&self) -> &str {
        self.tables.first().map_or(LINKS, Table::format)
    }

    /// The column of pictures.
    pub(super) fn image(&self) -> Option<&str> {
        self.image.as_deref()
    }

    /// The blocks, in input order.
    pub(super) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Rows of all inputs.
    pub(super) fn rows(&self) -> u64 {
        self.blocks.last().map_or(0, |last| last.first + last.rows)
    }

    /// The files, for a plan.
    pub(super) fn inputs(&self) -> Result<Vec<InputFile>> {
        let inputs = self.tables.iter().map(Table::inputs).collect::<Result<Vec<_>>>()?;
        Ok(inputs.into_iter().flatten().collect())
    }

    /// A key with which several inputs begin: most likely it is not the only one that they share.
    pub(super) fn repeated_key(&self) -> Result<Option<String>> {
        let mut keys: Vec<String> = Vec::new();
        if self.schema.column_with_name("key").is_none() {
            return Ok(None);
        }
        for block in self.blocks.iter().filter(|block| block.shard == 0 && block.start == 0) {
            let mut key = None;
            self.pick(block, &[0], Some(&["key"]), |batch| {
                key = text(texts(&batch, "key").as_ref(), 0).map(str::to_owned);
                Ok(())
            })?;
            match key {
                Some(key) if keys.contains(&key) => return Ok(Some(key)),
                key => keys.extend(key),
            }
        }
        Ok(None)
    }

    /// Refuses a column that is not there, and one whose values cannot be told as text; `key` names the config's key.
    pub(super) fn require_text(&self, column: &str, key: &str) -> Result<()> {
        let kind = self.require(column, key)?.data_type();
        let text = |kind: &DataType| {
            kind.is_integer() || matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
        };
        match kind {
            DataType::Dictionary(_, values) if text(values) => Ok(()),
            kind if text(kind) => Ok(()),
            kind => Err(Error::config(
                key,
                format!("column `{column}` is {kind}: text or whole numbers are wanted"),
            )),
        }
    }

    /// Refuses a column that is not there.
    pub(super) fn require(&self, column: &str, key: &str) -> Result<&Field> {
        if let Some((_, field)) = self.schema.column_with_name(column) {
            return Ok(field);
        }
        let names: Vec<&str> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let message =
            format!("no column `{column}` in {}; there are: {}", self.tables[0].display(0), names.join(", "));
        let error = Error::config(key, message);
        Err(match suggest(column, &names) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error,
        })
    }

    /// Hands all rows of a block, some columns of it, to `each`.
    pub(super) fn scan(
        &self,
        block: &Block,
        columns: &[&str],
        each: impl FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let all: Vec<u32> = (0..).take(usize::try_from(block.rows).unwrap_or(0)).collect();
        self.pick(block, &all, Some(columns), each)
    }

    /// Hands some rows of a block, all columns or some, to `each`. `rows` are numbers within the block, ascending; one that
    /// stands there n times is handed on n times.
    pub(super) fn pick(
        &self,
        block: &Block,
        rows: &[u32],
        columns: Option<&[&str]>,
        mut each: impl FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let table = &self.tables[block.table];
        let broken = |message: String| Error::input(table.display(block.shard), message);
        let (selection, copies) = selection(block, rows);
        let (mut left, mut read) = (copies.as_slice(), 0);
        for batch in table.scan_with(block.shard, columns, Some(selection))? {
            let batch = batch?;
            let first = read;
            read += u32::try_from(batch.num_rows()).unwrap_or(u32::MAX);
            let (here, rest) = left.split_at(left.partition_point(|row| *row < read));
            left = rest;
            match here.len() == batch.num_rows() {
                true => each(batch)?,
                false => {
                    let here: UInt32Array = here.iter().map(|row| Some(row - first)).collect();
                    each(take_record_batch(&batch, &here).map_err(|e| broken(e.to_string()))?)?;
                }
            }
        }
        match left.is_empty() {
            true => Ok(()),
            false => Err(broken("has become shorter since it was looked at".to_owned())),
        }
    }
}

/// The rows as a selection within their file, and for each of `rows` which of the selected ones it is.
fn selection(block: &Block, rows: &[u32]) -> (RowSelection, Vec<u32>) {
    let start = usize::try_from(block.start).unwrap_or(usize::MAX);
    let mut ranges: Vec<std::ops::Range<usize>> = Vec::new();
    let (mut copies, mut selected) = (Vec::with_capacity(rows.len()), 0);
    for row in rows {
        let row = start + *row as usize;
        match ranges.last_mut() {
            Some(range) if range.end == row + 1 => {}
            Some(range) if range.end == row => {
                range.end += 1;
                selected += 1;
            }
            _ => {
                ranges.push(row..row + 1);
                selected += 1;
            }
        }
        copies.push(selected - 1);
    }
    let total = usize::try_from(block.file_rows).unwrap_or(usize::MAX);
    (RowSelection::from_consecutive_ranges(ranges.into_iter(), total), copies)
}

/// The values of a column as text; `None` for a column that the batch does not have.
pub(super) fn texts(batch: &RecordBatch, column: &str) -> Option<StringArray> {
    let text = cast(batch.column_by_name(column)?, &DataType::Utf8).ok()?;
    text.as_string_opt::<i32>().cloned()
}

/// A value of such a column.
pub(super) fn text(texts: Option<&StringArray>, row: usize) -> Option<&str> {
    texts.filter(|texts| texts.is_valid(row)).map(|texts| texts.value(row))
}
