//! `decisions.parquet`: every row of the input with what became of it.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::facts::Fact;
use super::rewrite::Rewrite;
use super::stage::Stage;
use crate::interrupt::Interrupt;
use crate::pairs::TableWriter;
use crate::store::Store;
use crate::{Error, Result};

/// Its name in the output folder.
pub(super) const DECISIONS: &str = "decisions.parquet";
/// Value of `troika.format` in it.
const FORMAT: &str = "decisions/1";
/// Rows written at a time.
const BATCH: u64 = 8192;

/// Key, shard, and number in it; whether the row is kept and if not, what dropped it; the row that stands for it, and its
/// hash.
fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![
        text("key"),
        Field::new("shard", DataType::Utf8, false),
        Field::new("row", DataType::UInt32, false),
        Field::new("keep", DataType::Boolean, false),
        text("reason"),
        text("cluster"),
        text("phash"),
    ]))
}

/// Writes the table, which appears whole.
pub(super) fn write(
    store: &Store,
    plan_id: &str,
    rewrite: &Rewrite<'_>,
    interrupt: &Interrupt,
) -> Result<()> {
    let metadata = [("troika.plan".to_owned(), plan_id.to_owned())];
    let mut writer = TableWriter::new(store.writer(DECISIONS)?, schema(), FORMAT, &metadata, DECISIONS)?;
    for (shard, listed) in rewrite.table.shards().iter().enumerate() {
        let (before, mut facts) = rewrite.rows_of(shard);
        let mut row = 0;
        while row < listed.rows {
            interrupt.check()?;
            let count = BATCH.min(listed.rows - row);
            let facts = facts.take(count as usize)?;
            writer.write(&batch(rewrite, &listed.name, before, row as u32, &facts)?)?;
            row += count;
        }
    }
    writer.close()?.0.commit()
}

fn batch(rewrite: &Rewrite<'_>, shard: &str, before: u32, first: u32, facts: &[Fact]) -> Result<RecordBatch> {
    let numbers = || first..first + facts.len() as u32;
    let stages = || numbers().map(|row| rewrite.verdicts.stages[(before + row) as usize]);
    let clusters = numbers().zip(facts).map(|(row, fact)| Some(rewrite.cluster(before + row, fact)));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(facts.iter().map(|fact| fact.key.as_deref()).collect::<StringArray>()),
        Arc::new(facts.iter().map(|_| Some(shard)).collect::<StringArray>()),
        Arc::new(UInt32Array::from_iter_values(numbers())),
        Arc::new(stages().map(|stage| Some(stage.is_none())).collect::<BooleanArray>()),
        Arc::new(stages().map(|stage| stage.map(Stage::code)).collect::<StringArray>()),
        Arc::new(clusters.collect::<StringArray>()),
        Arc::new(facts.iter().map(|fact| fact.phash.map(|hash| hash.to_string())).collect::<StringArray>()),
    ];
    RecordBatch::try_new(schema(), columns)
        .map_err(|e| Error::Write { path: DECISIONS.to_owned(), message: e.to_string() })
}
