//! One new shard: rows in pieces of a fixed size, so that its bytes depend on the rows and not on how they came.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::{BatchCoalescer, cast};
use arrow::error::ArrowError;
use serde_json::Value;

use super::source::{Source, text, texts};
use crate::pairs::{Keys, TableWriter};
use crate::unit::{Attempt, Plan, Produced, ShardWriter};
use crate::{Error, Result};

/// Rows of a piece where there are pictures, and where there are none.
const PIECE: (usize, usize) = (64, 8192);
/// Columns whose values are counted, the first that is there.
const COUNTED: [&str; 2] = ["reason", "status"];

/// Rows of a piece of what `source` holds.
pub(super) fn piece(source: &Source) -> usize {
    if source.image().is_some() { PIECE.0 } else { PIECE.1 }
}

/// A shard in the making.
pub(super) struct NewShard<'a> {
    attempt: &'a Attempt<'a>,
    writer: TableWriter<ShardWriter>,
    /// Rows that make no piece yet.
    waiting: BatchCoalescer,
    rows: u64,
    /// Number of the key column and what goes into it, where keys are new.
    keys: Option<(usize, Keys)>,
    counts: BTreeMap<String, u64>,
}

impl<'a> NewShard<'a> {
    pub(super) fn start(attempt: &'a Attempt<'a>, source: &Source, plan: &Plan, rekey: bool) -> Result<Self> {
        let metadata = [("troika.plan".to_owned(), plan.plan_id.clone())];
        let schema = source.schema();
        let target = attempt.shard("parquet")?;
        let name = name(attempt);
        let writer = TableWriter::new(target, Arc::clone(schema), source.format(), &metadata, &name)?;
        let column = schema.index_of("key").ok().filter(|_| rekey);
        let keys = column.map(|column| (column, Keys::new(attempt.label(), plan.rows_per_unit)));
        let waiting = BatchCoalescer::new(Arc::clone(schema), piece(source));
        Ok(Self { attempt, writer, waiting, rows: 0, keys, counts: BTreeMap::new() })
    }

    /// Appends rows, which have the columns of the source in their order.
    pub(super) fn push(&mut self, rows: &RecordBatch) -> Result<()> {
        self.attempt.check()?;
        let rows = RecordBatch::try_new(Arc::clone(self.writer.schema()), rows.columns().to_vec());
        rows.and_then(|rows| self.waiting.push_batch(rows)).map_err(|e| self.unequal(&e))?;
        self.write()
    }

    /// Writes what is left and describes the shard.
    pub(super) fn finish(mut self) -> Result<Produced> {
        self.waiting.finish_buffered_batch().map_err(|e| self.unequal(&e))?;
        self.write()?;
        match self.rows == self.attempt.unit.rows {
            true => self.writer.close()?.0.finish(self.rows, self.counts, Value::Null),
            false => Err(Error::Lost { what: "the input" }),
        }
    }

    fn write(&mut self) -> Result<()> {
        while let Some(rows) = self.waiting.next_completed_batch() {
            let rows = self.with_keys(rows)?;
            self.count(&rows);
            self.rows += rows.num_rows() as u64;
            self.writer.write(&rows)?;
        }
        Ok(())
    }

    fn count(&mut self, rows: &RecordBatch) {
        let Some(values) = COUNTED.iter().find_map(|column| texts(rows, column)) else { return };
        for row in 0..rows.num_rows() {
            let value = text(Some(&values), row).unwrap_or("null");
            match self.counts.get_mut(value) {
                Some(count) => *count += 1,
                None => drop(self.counts.insert(value.to_owned(), 1)),
            }
        }
    }

    fn with_keys(&self, rows: RecordBatch) -> Result<RecordBatch> {
        let Some((column, keys)) = &self.keys else { return Ok(rows) };
        let first = usize::try_from(self.rows).unwrap_or(usize::MAX);
        let new = (first..first + rows.num_rows()).map(|row| Some(keys.key(row)));
        let new: ArrayRef = Arc::new(new.collect::<StringArray>());
        let mut columns = rows.columns().to_vec();
        let typed = cast(&new, columns[*column].data_type()).and_then(|new| {
            columns[*column] = new;
            RecordBatch::try_new(rows.schema(), columns)
        });
        typed.map_err(|e| self.unequal(&e))
    }

    fn unequal(&self, error: &ArrowError) -> Error {
        Error::Write { path: name(self.attempt), message: error.to_string() }
    }
}

fn name(attempt: &Attempt<'_>) -> String {
    format!("{}.parquet", attempt.label())
}
