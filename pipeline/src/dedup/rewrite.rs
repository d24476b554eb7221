//! The third pass: the shards without the rows that go, each row with its hash and the group it belongs to.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use serde_json::json;

use super::against::Exhibits;
use super::captions::{self, Captions, Own};
use super::config::{DedupConfig, Merge};
use super::facts::{Fact, Facts, Rows};
use super::hashing::PHASH;
use super::stage::Stage;
use super::verdicts::Verdicts;
use crate::pairs::Table;
use crate::pairs::sift::{Judged, Sift, sift};
use crate::progress::Progress;
use crate::unit::{Attempt, Produced, hex};
use crate::{Error, Result};

/// The column that says which row stands for a row: its key, or for a contaminated row the evaluation picture.
const CLUSTER: &str = "cluster";

/// The columns that names of rows are made of.
const NAMES: [&str; 3] = ["key", "url", PHASH];

/// What the third pass knows of the second.
pub(super) struct Rewrite<'a> {
    pub(super) config: &'a DedupConfig,
    pub(super) table: &'a Table,
    pub(super) facts: &'a Facts,
    pub(super) verdicts: Verdicts,
    pub(super) exhibits: Exhibits,
    captions: Captions,
    /// Rows that stand for others, and their names.
    heads: Vec<u32>,
    names: Vec<String>,
    /// Whether there are hashes at all.
    hashed: bool,
}

impl<'a> Rewrite<'a> {
    pub(super) fn new(
        config: &'a DedupConfig,
        table: &'a Table,
        facts: &'a Facts,
        verdicts: Verdicts,
        exhibits: Exhibits,
        hashed: bool,
    ) -> Result<Self> {
        let captions = Captions::collect(table, config, &verdicts)?;
        let sizes = verdicts.sizes();
        let (mut heads, mut names) = (Vec::new(), Vec::new());
        facts.each(&NAMES[..2], |row, fact| {
            if sizes[row as usize] > 1 {
                heads.push(row);
                names.push(name(row, &fact));
            }
        })?;
        Ok(Self { config, table, facts, verdicts, exhibits, captions, heads, names, hashed })
    }

    /// What a row's `cluster` says.
    pub(super) fn cluster(&self, row: u32, fact: &Fact) -> String {
        if self.verdicts.stages[row as usize] == Some(Stage::Contaminated) {
            let exhibit = self.verdicts.exhibit(row).and_then(|exhibit| self.exhibits.name(exhibit));
            return exhibit.unwrap_or_default().to_owned();
        }
        match self.verdicts.heads[row as usize] {
            head if head == row => name(row, fact),
            head => match self.heads.binary_search(&head) {
                Ok(place) => self.names[place].clone(),
                Err(_) => String::new(),
            },
        }
    }

    /// The hashes of the rows of a shard, in order.
    pub(super) fn rows_of(&self, shard: usize) -> (u32, Rows<'_>) {
        let before: u64 = self.table.shards()[..shard].iter().map(|shard| shard.rows).sum();
        let rows = before..before + self.table.shards()[shard].rows;
        // The second pass has refused what 32 bits do not number.
        (before as u32, self.facts.rows_of(rows, &NAMES))
    }

    /// Rewrites the shard of a unit.
    pub(super) fn unit(&self, attempt: &Attempt<'_>, progress: &Progress) -> Result<Produced> {
        let shard = self.table.shard_of(attempt.unit);
        let (mut row, mut facts) = self.rows_of(shard);
        let mut produced = sift(attempt, self.table, &self.sift(), |batch| {
            let facts = facts.take(batch.num_rows())?;
            let judged = self.judge(batch, row, &facts, shard);
            row += facts.len() as u32;
            progress.add(facts.len() as u64);
            judged
        })?;
        produced.stats = json!({"count": attempt.unit.rows, "reasons": produced.counts});
        Ok(produced)
    }

    fn sift(&self) -> Sift {
        let mut extra = Vec::new();
        if self.config.captions.merge == Merge::List {
            extra.push(captions::field());
        }
        if self.hashed {
            extra.push(Field::new(PHASH, DataType::Utf8, true));
        }
        extra.push(Field::new(CLUSTER, DataType::Utf8, true));
        Sift { extra, metadata: Vec::new() }
    }

    fn judge(
        &self,
        batch: &RecordBatch,
        first: u32,
        facts: &[Fact],
        shard: usize,
    ) -> Result<Judged<'static>> {
        let rows = || (first..).zip(facts);
        let stages = rows().map(|(row, _)| self.verdicts.stages[row as usize]);
        let drops: Vec<Option<&str>> = stages.map(|stage| stage.map(Stage::code)).collect();
        let mut judged = Judged::new(batch.clone(), drops);
        if self.config.captions.merge != Merge::No {
            self.merge(&mut judged, first, &self.table.display(shard))?;
        }
        if self.hashed {
            let hashes = facts.iter().map(|fact| fact.phash.map(|hash| hash.to_string()));
            judged.extra.push(Arc::new(hashes.collect::<StringArray>()));
        }
        let clusters = rows().map(|(row, fact)| Some(self.cluster(row, fact)));
        judged.extra.push(Arc::new(clusters.collect::<StringArray>()));
        Ok(judged)
    }

    /// Gives the kept rows the captions of those that they stand for.
    fn merge(&self, judged: &mut Judged<'_>, first: u32, path: &str) -> Result<()> {
        let own = Own::of(&judged.rows, self.config, path)?;
        let lists = judged.drops.iter().enumerate().map(|(i, dropped)| {
            let all = || self.captions.of(first + i as u32, own.row(i));
            dropped.is_none().then(all)
        });
        if self.config.captions.merge == Merge::List {
            judged.extra.push(captions::column(lists));
            return Ok(());
        }
        let schema = judged.rows.schema();
        let Some((place, field)) = schema.column_with_name(&self.config.input.caption_col) else {
            return Ok(());
        };
        let separator = &self.config.captions.separator;
        let text =
            |list: Option<Vec<String>>| list.filter(|list| !list.is_empty()).map(|l| l.join(separator));
        let joined: ArrayRef = Arc::new(lists.map(text).collect::<StringArray>());
        let mut columns = judged.rows.columns().to_vec();
        let replaced = cast(&joined, field.data_type()).and_then(|column| {
            columns[place] = column;
            RecordBatch::try_new(Arc::clone(&schema), columns)
        });
        judged.rows = replaced.map_err(|e| Error::input(path, format!("captions: {e}")))?;
        Ok(())
    }
}

/// What a row is called: by its key or, in a table without keys, by its URL.
fn name(row: u32, fact: &Fact) -> String {
    match (&fact.key, &fact.url) {
        (Some(key), _) => key.clone(),
        (None, Some(url)) => hex(url),
        (None, None) => format!("row {row}"),
    }
}
