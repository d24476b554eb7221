//! Captions of dropped rows, for the rows that stand for them.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, ListBuilder, RecordBatch, StringArray, StringBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};

use super::config::{DedupConfig, Merge};
use super::verdicts::Verdicts;
use crate::pairs::Table;
use crate::{Error, Result};

/// The column of merged captions.
pub(super) const CAPTIONS: &str = "captions";

/// The type of that column.
pub(super) fn field() -> Field {
    Field::new(CAPTIONS, list_of_text(), true)
}

fn list_of_text() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
}

/// The captions that kept rows take over.
#[derive(Debug, Default)]
pub(super) struct Captions {
    /// The rows that take some over, in order.
    heads: Vec<u32>,
    /// What they take over, in the order of the input and without repetitions.
    lists: Vec<Vec<String>>,
    most: usize,
}

impl Captions {
    /// Collects them; none unless the config asks for it.
    pub(super) fn collect(table: &Table, config: &DedupConfig, verdicts: &Verdicts) -> Result<Self> {
        let most = config.captions.most;
        if config.captions.merge == Merge::No {
            return Ok(Self::default());
        }
        let taken = |(row, head): (u32, &u32)| row != *head && verdicts.stages[*head as usize].is_none();
        let pairs = || (0..).zip(&verdicts.heads).filter(|(row, head)| taken((*row, head)));
        let mut heads: Vec<u32> = pairs().map(|(_, head)| *head).collect();
        heads.sort_unstable();
        heads.dedup();
        let mut captions = Self { lists: vec![Vec::new(); heads.len()], heads, most };
        let names = [config.input.caption_col.as_str(), CAPTIONS];
        let (mut first, mut members) = (0_u32, pairs().peekable());
        for shard in 0..table.shards().len() {
            for batch in table.scan_columns(shard, &names)? {
                let batch = batch?;
                let own = Own::of(&batch, config, &table.display(shard))?;
                let end = first + batch.num_rows() as u32;
                while let Some((row, head)) = members.next_if(|(row, _)| *row < end) {
                    captions.add(*head, own.row((row - first) as usize));
                }
                first = end;
            }
        }
        Ok(captions)
    }

    fn add(&mut self, head: u32, captions: Vec<String>) {
        let Ok(place) = self.heads.binary_search(&head) else { return };
        for caption in captions {
            let list = &mut self.lists[place];
            if list.len() < self.most && !list.contains(&caption) {
                list.push(caption);
            }
        }
    }

    /// Those of a row: its own, then what it takes over.
    pub(super) fn of(&self, row: u32, own: Vec<String>) -> Vec<String> {
        let mut all = own;
        if let Ok(place) = self.heads.binary_search(&row) {
            let more = self.lists[place].iter().filter(|caption| !all.contains(caption)).cloned();
            let more: Vec<String> = more.collect();
            all.extend(more);
        }
        all.truncate(self.most.max(1));
        all
    }
}

/// The captions that the rows of a batch have already.
pub(super) struct Own {
    caption: Option<StringArray>,
    /// Of an earlier run.
    captions: Option<ListArray>,
}

impl Own {
    pub(super) fn of(batch: &RecordBatch, config: &DedupConfig, path: &str) -> Result<Self> {
        let as_type = |name: &str, kind: &DataType| -> Result<Option<ArrayRef>> {
            let column = batch.column_by_name(name).map(|column| cast(column, kind));
            column.transpose().map_err(|e| Error::input(path, format!("column `{name}`: {e}")))
        };
        let caption = as_type(&config.input.caption_col, &DataType::Utf8)?;
        let captions = match config.captions.merge {
            Merge::List => as_type(CAPTIONS, &list_of_text())?,
            Merge::Join | Merge::No => None,
        };
        Ok(Self {
            caption: caption.and_then(|column| column.as_string_opt().cloned()),
            captions: captions.and_then(|column| column.as_list_opt().cloned()),
        })
    }

    /// Those of a row that are not empty.
    pub(super) fn row(&self, row: usize) -> Vec<String> {
        let list = self.captions.as_ref().filter(|lists| lists.is_valid(row)).map(|lists| lists.value(row));
        let texts = match (&list, &self.caption) {
            (Some(list), _) => list.as_string_opt::<i32>().map(|texts| texts.iter().flatten().collect()),
            (None, Some(caption)) => {
                Some(caption.is_valid(row).then(|| caption.value(row)).into_iter().collect())
            }
            (None, None) => None,
        };
        let texts: Vec<&str> = texts.unwrap_or_default();
        texts.into_iter().filter(|text| !text.trim().is_empty()).map(str::to_owned).collect()
    }
}

/// Lists as a column; `None` for rows that have none.
pub(super) fn column(lists: impl Iterator<Item = Option<Vec<String>>>) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new());
    for list in lists {
        match list {
            Some(list) => builder.append_value(list.into_iter().map(Some)),
            None => builder.append_null(),
        }
    }
    Arc::new(builder.finish())
}
