//! Rewriting the shards of a table: rows are kept, perhaps changed and with more columns, or removed with a reason.
//!
//! A unit is one shard. The kept rows become `00017.parquet`; the removed ones lie beside it in `00017.dropped.parquet`,
//! as they came but without their pictures, and say in the column `dropped_by` what removed them. Pictures are passed on
//! as bytes. The files do not depend on how many rows are read at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow::compute::BatchCoalescer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use serde_json::Value;

use super::reader::image_column;
use super::table::{BATCH, Table, TableWriter};
use crate::unit::{Attempt, DROPPED, Produced, ShardWriter, UnitFile};
use crate::{Error, Result};

/// The count of the rows that stay, beside those of what removed the others.
pub const KEPT: &str = "kept";
/// The column of the removed rows that says what removed them.
pub const DROPPED_BY: &str = "dropped_by";

/// What a stage adds to the shards that it rewrites.
#[derive(Clone, Debug, Default)]
pub struct Sift {
    /// Further columns: of the kept rows before the pictures, of the removed ones after `dropped_by`. Columns of these
    /// names that the table has already are replaced.
    pub extra: Vec<Field>,
    /// Metadata of the files, which follows that of the input.
    pub metadata: Vec<(String, String)>,
}

/// What becomes of the rows of a batch.
#[derive(Clone, Debug)]
pub struct Judged<'a> {
    /// The batch as its kept rows are written: the same columns, perhaps other values.
    pub rows: RecordBatch,
    /// Row by row what removes it; `None` keeps it.
    pub drops: Vec<Option<&'a str>>,
    /// The further columns.
    pub extra: Vec<ArrayRef>,
}

impl<'a> Judged<'a> {
    /// Rows that stay as they are or go.
    pub fn new(rows: RecordBatch, drops: Vec<Option<&'a str>>) -> Self {
        Self { rows, drops, extra: Vec::new() }
    }
}

/// Rewrites the shard of `table` that is the attempt's unit, asking `judge` about one batch after the other.
///
/// The counts are [`KEPT`] and one for each thing that removed rows.
///
/// # Errors
/// A shard that cannot be read or written, an interrupt, an error of `judge`, or an answer of another shape.
pub fn sift<'a>(
    attempt: &Attempt<'_>,
    table: &Table,
    sift: &Sift,
    judge: impl FnMut(&RecordBatch) -> Result<Judged<'a>>,
) -> Result<Produced> {
    rewrite(attempt, &Layout::new(table, sift), table.scan(table.shard_of(attempt.unit))?, judge)
}

fn rewrite<'a>(
    attempt: &Attempt<'_>,
    layout: &Layout<'_>,
    batches: impl Iterator<Item = Result<RecordBatch>>,
    mut judge: impl FnMut(&RecordBatch) -> Result<Judged<'a>>,
) -> Result<Produced> {
    let mut kept = Rows::new(attempt, "parquet", layout.kept(), layout)?;
    let mut dropped = Rows::new(attempt, DROPPED, layout.dropped(), layout)?;
    let mut counts = BTreeMap::from([(KEPT.to_owned(), 0)]);
    for batch in batches {
        attempt.check()?;
        let batch = batch?;
        let judged = judge(&batch)?;
        count(&judged.drops, &mut counts);
        let stays: BooleanArray = judged.drops.iter().map(|by| Some(by.is_none())).collect();
        let goes: BooleanArray = judged.drops.iter().map(|by| Some(by.is_some())).collect();
        kept.push(layout.kept_columns(&judged), &stays)?;
        dropped.push(layout.dropped_columns(&batch, &judged), &goes)?;
    }
    let removed = dropped.close()?.0;
    let (table, rows) = kept.close()?;
    Ok(Produced { files: vec![removed, table], rows, counts, stats: Value::Null })
}

fn count(drops: &[Option<&str>], counts: &mut BTreeMap<String, u64>) {
    for outcome in drops {
        let outcome = outcome.unwrap_or(KEPT);
        match counts.get_mut(outcome) {
            Some(rows) => *rows += 1,
            None => drop(counts.insert(outcome.to_owned(), 1)),
        }
    }
}

/// Which columns go where.
struct Layout<'a> {
    schema: SchemaRef,
    /// The columns that stay, by their place in the table, without that of the pictures.
    columns: Vec<usize>,
    image: Option<usize>,
    extra: &'a [Field],
    format: &'a str,
    metadata: Vec<(String, String)>,
}

impl<'a> Layout<'a> {
    fn new(table: &'a Table, sift: &'a Sift) -> Self {
        let schema = Arc::clone(table.schema());
        let image = image_column(&schema);
        let added = |name: &str| name == DROPPED_BY || sift.extra.iter().any(|field| field.name() == name);
        let stays = |index: &usize| Some(*index) != image && !added(schema.field(*index).name());
        let columns = (0..schema.fields().len()).filter(stays).collect();
        let metadata = metadata(&schema, &sift.metadata);
        Self { schema, columns, image, extra: &sift.extra, format: table.format(), metadata }
    }

    fn kept(&self) -> SchemaRef {
        let columns = self.columns.iter().map(|index| self.schema.field(*index));
        let image = self.image.map(|index| self.schema.field(index));
        schema(columns.chain(self.extra).chain(image))
    }

    fn kept_columns(&self, judged: &Judged<'_>) -> Vec<ArrayRef> {
        let columns = self.columns.iter().map(|index| judged.rows.column(*index));
        let image = self.image.map(|index| judged.rows.column(index));
        columns.chain(&judged.extra).chain(image).cloned().collect()
    }

    fn dropped(&self) -> SchemaRef {
        let columns = self.columns.iter().map(|index| self.schema.field(*index));
        let by = Field::new(DROPPED_BY, DataType::Utf8, true);
        schema(columns.chain([&by]).chain(self.extra))
    }

    fn dropped_columns(&self, batch: &RecordBatch, judged: &Judged<'_>) -> Vec<ArrayRef> {
        let columns = self.columns.iter().map(|index| batch.column(*index));
        let by: ArrayRef = Arc::new(judged.drops.iter().copied().collect::<StringArray>());
        columns.chain([&by]).chain(&judged.extra).cloned().collect()
    }
}

fn schema<'a>(fields: impl Iterator<Item = &'a Field>) -> SchemaRef {
    Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
}

/// What the input says of itself, in the order of the keys, then what the stage says.
fn metadata(input: &Schema, added: &[(String, String)]) -> Vec<(String, String)> {
    let own = ["troika.format", "troika.version"];
    let kept = |key: &str| {
        key.starts_with("troika.") && !own.contains(&key) && added.iter().all(|(name, _)| name != key)
    };
    let input: BTreeMap<_, _> = input.metadata().iter().filter(|(key, _)| kept(key)).collect();
    let input = input.into_iter().map(|(key, value)| (key.clone(), value.clone()));
    input.chain(added.iter().cloned()).collect()
}

/// A file of rows, written so many at a time that its bytes depend on them alone.
struct Rows {
    writer: TableWriter<ShardWriter>,
    waiting: BatchCoalescer,
    name: String,
}

impl Rows {
    fn new(attempt: &Attempt<'_>, ending: &str, schema: SchemaRef, layout: &Layout<'_>) -> Result<Self> {
        let name = format!("{}.{ending}", attempt.label());
        let batch = if image_column(&schema).is_some() { BATCH.0 } else { BATCH.1 };
        let waiting = BatchCoalescer::new(Arc::clone(&schema), batch);
        let shard = attempt.shard(ending)?;
        let writer = TableWriter::new(shard, schema, layout.format, &layout.metadata, &name)?;
        Ok(Self { writer, waiting, name })
    }

    /// Appends the rows that `chosen` has.
    fn push(&mut self, columns: Vec<ArrayRef>, chosen: &BooleanArray) -> Result<()> {
        let schema = Arc::clone(self.writer.schema());
        let pushed = RecordBatch::try_new(schema, columns)
            .and_then(|batch| self.waiting.push_batch_with_filter(batch, chosen));
        pushed.map_err(|error| self.unequal(&error))?;
        self.write()
    }

    fn write(&mut self) -> Result<()> {
        while let Some(batch) = self.waiting.next_completed_batch() {
            self.writer.write(&batch)?;
        }
        Ok(())
    }

    fn close(mut self) -> Result<(UnitFile, u64)> {
        self.waiting.finish_buffered_batch().map_err(|error| self.unequal(&error))?;
        self.write()?;
        let (shard, rows) = self.writer.close()?;
        Ok((shard.close()?, rows))
    }

    fn unequal(&self, error: &ArrowError) -> Error {
        Error::Write { path: self.name.clone(), message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, BinaryArray, Int64Array, UInt64Array};
    use arrow::datatypes::Int64Type;
    use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};

    use super::*;
    use crate::progress::{Progress, ProgressStyle};
    use crate::unit::{RunOptions, is_dropped, run_stage};

    /// `count` rows of an id, an old `phash` and, on request, a picture.
    fn rows(from: i64, count: i64, images: bool) -> RecordBatch {
        let ids = from..from + count;
        let mut columns = vec![
            ("id", Arc::new(Int64Array::from_iter_values(ids.clone())) as ArrayRef),
            ("phash", Arc::new(Int64Array::from_iter_values(ids.clone()))),
        ];
        if images {
            let images: BinaryArray = ids.map(|id| Some(vec![id.to_le_bytes()[0]; 700])).collect();
            columns.push(("jpg", Arc::new(images)));
        }
        RecordBatch::try_from_iter(columns).unwrap()
    }

    /// A folder of shards, each given as batches.
    fn table(shards: &[&[RecordBatch]]) -> (tempfile::TempDir, Table) {
        let folder = tempfile::tempdir().unwrap();
        for (index, batches) in shards.iter().enumerate() {
            let metadata = [("troika.plan".to_owned(), "ab".to_owned())];
            let schema = batches[0].schema();
            let mut writer = TableWriter::new(Vec::new(), schema, "pairs/1", &metadata, "x").unwrap();
            batches.iter().for_each(|batch| writer.write(batch).unwrap());
            let path = folder.path().join(format!("{index:05}.parquet"));
            crate::atomic::write(&path, writer.close().unwrap().0).unwrap();
        }
        let table = Table::open(folder.path().to_str().unwrap()).unwrap();
        (folder, table)
    }

    fn extra() -> Sift {
        let extra = vec![Field::new("phash", DataType::UInt64, true)];
        Sift { extra, metadata: vec![("troika.filter".to_owned(), "cd".to_owned())] }
    }

    /// Drops every third row and those that `seed` tells, and puts twice the id into `phash`.
    fn judge(batch: &RecordBatch, seed: i64) -> Judged<'static> {
        let ids = batch.column(0).as_primitive::<Int64Type>();
        let by = |id: i64| match id {
            id if id % 3 == 0 => Some("third"),
            id if (id ^ seed).count_ones() > 4 => Some("bits"),
            _ => None,
        };
        let twice: UInt64Array = ids.values().iter().map(|id| 2 * id.unsigned_abs()).collect();
        Judged {
            rows: batch.clone(),
            drops: ids.values().iter().map(|id| by(*id)).collect(),
            extra: vec![Arc::new(twice)],
        }
    }

    fn run(table: &Table, out: &str, threads: usize) -> crate::unit::StageSummary {
        let plan = table.plan(&"test").unwrap();
        let progress = Progress::start(ProgressStyle::Quiet, "rows", None, 0);
        let work = |attempt: &Attempt<'_>| sift(attempt, table, &extra(), |batch| Ok(judge(batch, 5)));
        run_stage(&plan, out, threads, &RunOptions::default(), &progress, work).unwrap()
    }

    fn names(schema: &Schema) -> Vec<&str> {
        schema.fields().iter().map(|field| field.name().as_str()).collect()
    }

    #[test]
    fn kept_rows_are_a_shard_and_removed_ones_lie_beside_it() {
        let (folder, input) = table(&[&[rows(0, 150, true)], &[rows(150, 20, true)]]);
        let out = folder.path().join("out").display().to_string();
        let summary = run(&input, &out, 2);
        assert_eq!((summary.rows_read, summary.units_done, summary.units_missing), (170, 2, 0));
        assert_eq!(summary.counts.values().sum::<u64>(), 170);
        assert_eq!(summary.counts["third"], 57);
        let output = Table::open(&out).unwrap();
        assert_eq!((output.shards().len(), output.rows()), (2, summary.counts[KEPT]));
        assert_eq!(names(output.schema()), ["id", "phash", "jpg"]);
        assert_eq!(output.schema().field(1).data_type(), &DataType::UInt64, "the old column is replaced");
        let metadata = output.schema().metadata();
        assert_eq!((&*metadata["troika.format"], &*metadata["troika.plan"]), ("pairs/1", "ab"));
        assert_eq!(metadata["troika.filter"], "cd");

        let removed = Table::open(&format!("{out}/00000.dropped.parquet")).unwrap();
        assert_eq!(names(removed.schema()), ["id", "dropped_by", "phash"]);
        let batch = removed.scan(0).unwrap().next().unwrap().unwrap();
        let (ids, by) = (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_string::<i32>());
        assert_eq!((ids.value(0), by.value(0)), (0, "third"));
        let kept: u64 = output.shards()[0].rows;
        assert_eq!(removed.rows() + kept, 150);
    }

    #[test]
    fn a_copy_without_commits_is_read_without_the_removed_rows() {
        let (folder, input) = table(&[&[rows(0, 50, false)]]);
        let out = folder.path().join("out");
        run(&input, out.to_str().unwrap(), 1);
        let copy = tempfile::tempdir().unwrap();
        for name in ["00000.parquet", "00000.dropped.parquet"] {
            std::fs::copy(out.join(name), copy.path().join(name)).unwrap();
        }
        let names: Vec<_> = Table::open(copy.path().to_str().unwrap()).unwrap().shards().to_vec();
        assert_eq!(names.iter().map(|shard| shard.name.as_str()).collect::<Vec<_>>(), ["00000.parquet"]);
        assert!(is_dropped("00000.dropped.parquet") && !is_dropped("dropped.parquet"));
    }

    #[test]
    fn a_shard_without_rows_is_no_unit_and_the_others_keep_their_places() {
        let (folder, input) = table(&[&[rows(0, 0, false)], &[rows(0, 4, false)], &[rows(4, 4, false)]]);
        let plan = input.plan(&"test").unwrap();
        let shards: Vec<usize> = plan.units.iter().map(|unit| input.shard_of(unit)).collect();
        assert_eq!(shards, [1, 2]);
        let out = folder.path().join("out").display().to_string();
        assert_eq!(run(&input, &out, 1).rows_read, 8);
    }

    #[test]
    fn an_answer_of_another_length_is_an_error() {
        let (folder, input) = table(&[&[rows(0, 4, false)]]);
        let plan = input.plan(&"test").unwrap();
        let progress = Progress::start(ProgressStyle::Quiet, "rows", None, 0);
        let work = |attempt: &Attempt<'_>| {
            sift(attempt, &input, &Sift::default(), |batch| Ok(Judged::new(batch.clone(), vec![None])))
        };
        let out = folder.path().join("out").display().to_string();
        let error = run_stage(&plan, &out, 1, &RunOptions::default(), &progress, work).unwrap_err();
        assert!(error.to_string().starts_with("00000.dropped.parquet: cannot write the shard"), "{error}");
    }

    /// The bytes of both files when the input comes in batches of these sizes.
    fn written(images: bool, seed: i64, sizes: &[usize]) -> (Vec<u8>, Vec<u8>) {
        let (folder, input) = table(&[&[rows(0, 400, images)]]);
        let out = folder.path().join("out");
        let plan = input.plan(&"test").unwrap();
        let progress = Progress::start(ProgressStyle::Quiet, "rows", None, 0);
        let work = |attempt: &Attempt<'_>| {
            let (whole, mut sizes, mut from) = (rows(0, 400, images), sizes.iter().cycle(), 0);
            let batches = std::iter::from_fn(|| {
                let size = 400.min(from + sizes.next().unwrap()) - from;
                from += size;
                (size > 0).then(|| Ok(whole.slice(from - size, size)))
            });
            let spec = extra();
            rewrite(attempt, &Layout::new(&input, &spec), batches, |batch| Ok(judge(batch, seed)))
        };
        run_stage(&plan, out.to_str().unwrap(), 1, &RunOptions::default(), &progress, work).unwrap();
        let read = |name: &str| std::fs::read(out.join(name)).unwrap();
        (read("00000.parquet"), read("00000.dropped.parquet"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn the_bytes_do_not_depend_on_the_batches(
            images in any::<bool>(),
            seed in 0..1000_i64,
            sizes in proptest::collection::vec(1..200_usize, 1..6),
        ) {
            prop_assert_eq!(written(images, seed, &sizes), written(images, seed, &[64]));
        }
    }
}
