//! Passing over the rows of a table on all cores, some columns of them, into sums that no order changes.

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::Result;
use crate::interrupt::Interrupt;
use crate::pairs::Table;
use crate::progress::Progress;

/// The columns of captions and of addresses, as they are called here and in LAION's lists.
pub(super) const CAPTION: [&str; 2] = ["caption", "TEXT"];
pub(super) const URL: [&str; 2] = ["url", "URL"];

/// What is known of rows so far.
pub(super) trait Sum: Sized + Send {
    /// Takes rows in.
    fn add(&mut self, rows: &Rows) -> Result<()>;

    /// Takes in what is known of other rows.
    fn merge(&mut self, other: Self);
}

/// Some rows of a shard.
pub(super) struct Rows {
    batch: RecordBatch,
    /// Number of the shard.
    pub(super) shard: u32,
    /// Number of the first row in the shard.
    pub(super) first: u64,
}

impl Rows {
    pub(super) fn new(batch: RecordBatch, shard: u32, first: u64) -> Self {
        Self { batch, shard, first }
    }

    pub(super) fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// The column of the first of these `names` that the table has, as text; `None` if it is nothing that becomes text.
    pub(super) fn text(&self, names: &[&str]) -> Option<StringArray> {
        let column = self.column(names)?;
        matches!(column.data_type(), kind if is_text(kind)).then_some(())?;
        Some(cast(column, &DataType::Utf8).ok()?.as_string_opt::<i32>()?.clone())
    }

    /// The column as whole numbers; `None` if it holds no numbers.
    pub(super) fn whole(&self, name: &str) -> Option<Int64Array> {
        let column = self.column(&[name])?;
        column.data_type().is_numeric().then_some(())?;
        Some(cast(column, &DataType::Int64).ok()?.as_primitive_opt::<Int64Type>()?.clone())
    }

    fn column(&self, names: &[&str]) -> Option<&ArrayRef> {
        names.iter().find_map(|name| self.batch.column_by_name(name))
    }
}

/// Whether values are texts, perhaps by a dictionary.
fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// A cell of a column that may not be there.
pub(super) fn cell(column: Option<&StringArray>, row: usize) -> Option<&str> {
    column.filter(|column| column.is_valid(row)).map(|column| column.value(row))
}

/// Who passes over tables, and when to stop.
pub(super) struct Scanner<'a> {
    pub(super) progress: &'a Progress,
    pub(super) interrupt: &'a Interrupt,
}

impl Scanner<'_> {
    /// Adds up the rows of a table, of which it reads the `columns` that are there.
    ///
    /// # Errors
    /// A shard that cannot be read, an interrupt, the first error of the sum.
    pub(super) fn sum<S: Sum>(
        &self,
        table: &Table,
        columns: &[&str],
        start: impl Fn() -> S + Sync + Send,
    ) -> Result<S> {
        let shard = |mut sum: S, shard: usize| {
            let mut first = 0;
            for batch in table.scan_columns(shard, columns)? {
                self.interrupt.check()?;
                let rows = Rows::new(batch?, shard as u32, first);
                first += rows.len() as u64;
                sum.add(&rows)?;
                self.progress.add(rows.len() as u64);
            }
            Ok(sum)
        };
        let merge = |mut sum: S, other: S| {
            sum.merge(other);
            Ok(sum)
        };
        let shards = (0..table.shards().len()).into_par_iter();
        shards.try_fold(&start, shard).try_reduce(&start, merge)
    }
}
