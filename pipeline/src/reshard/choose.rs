//! Which rows are taken, how often, and to which side they go: a byte per row, found by reading two or three columns.

use arrow::array::{RecordBatch, StringArray};

use super::config::ReshardConfig;
use super::source::{Block, Source, text, texts};
use super::split::Splitter;
use super::subset::Subset;
use crate::Result;

/// The side of a row that is left out.
const NONE: u8 = u8::MAX;
/// Columns to split by, the first that is there.
const SPLIT_BY: [&str; 3] = ["cluster", "url", "key"];

/// Decides over rows.
#[derive(Debug)]
pub(super) struct Chooser {
    pub(super) subset: Option<Subset>,
    split: Option<(Splitter, String)>,
    sides: usize,
}

/// What was decided over the rows of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    /// Per row, the number of its side or [`NONE`].
    sides: Vec<u8>,
    /// Per row, how often it is written; empty where that is once.
    copies: Vec<u32>,
    /// Rows to be written, per side.
    pub(super) written: Vec<u64>,
}

impl Chooser {
    /// Reads the list, and looks whether the shards have the columns.
    pub(super) fn new(config: &ReshardConfig, source: &Source) -> Result<Self> {
        let has = |column: &&&str| source.schema().column_with_name(column).is_some();
        let split = match config.split.sides.as_slice() {
            [] => None,
            sides => {
                let by = match config.split.by.as_str() {
                    "" => *SPLIT_BY.iter().find(has).unwrap_or(&SPLIT_BY[2]),
                    by => by,
                };
                source.require_text(by, "split.by")?;
                Some((Splitter::new(config.seed, sides), by.to_owned()))
            }
        };
        let subset = Subset::load(&config.subset)?;
        if let Some(subset) = &subset {
            source.require_text(&subset.column, "subset.column")?;
        }
        Ok(Self { subset, split, sides: config.split.sides.len().max(1) })
    }

    /// The column that the split goes by.
    pub(super) fn split_by(&self) -> Option<&str> {
        self.split.as_ref().map(|(_, by)| by.as_str())
    }

    /// Decides over the rows of a block.
    pub(super) fn choose(&self, source: &Source, block: &Block) -> Result<Chosen> {
        let rows = usize::try_from(block.rows).unwrap_or(0);
        if self.subset.is_none() && self.split.is_none() {
            return Ok(Chosen::all(rows));
        }
        let mut columns: Vec<&str> = self.subset.iter().map(|subset| subset.column.as_str()).collect();
        columns.extend(self.split_by());
        columns.extend(self.split.is_some().then_some("key"));
        let mut sides = Vec::with_capacity(rows);
        let mut copies = Vec::new();
        source.scan(block, &columns, |batch| {
            let first = block.first + sides.len() as u64;
            let (batch_sides, batch_copies) = self.decide(&batch, first);
            sides.extend(batch_sides);
            copies.extend(batch_copies);
            Ok(())
        })?;
        Ok(Chosen::new(sides, copies, self.sides))
    }

    fn decide(&self, batch: &RecordBatch, first: u64) -> (Vec<u8>, Vec<u32>) {
        let column = |name: &str| texts(batch, name);
        let listed = self.subset.as_ref().map(|subset| (subset, column(&subset.column)));
        let keys = column("key");
        let values = self.split.as_ref().map(|(splitter, by)| (splitter, column(by)));
        let copies = |row| listed.as_ref().map_or(1, |(list, texts)| list.copies(text(texts.as_ref(), row)));
        let side = |row| match &values {
            Some((splitter, values)) => side(splitter, values.as_ref(), keys.as_ref(), row, first),
            None => 0,
        };
        let copies: Vec<u32> = (0..batch.num_rows()).map(copies).collect();
        let sides = copies.iter().enumerate().map(|(row, copies)| if *copies > 0 { side(row) } else { NONE });
        (sides.collect(), copies)
    }
}

/// By its value, else by its key, else by its number among all rows.
fn side(
    splitter: &Splitter,
    values: Option<&StringArray>,
    keys: Option<&StringArray>,
    row: usize,
    first: u64,
) -> u8 {
    match text(values, row).or_else(|| text(keys, row)) {
        Some(value) => splitter.side(value),
        None => splitter.side(&(first + row as u64).to_string()),
    }
}

impl Chosen {
    fn all(rows: usize) -> Self {
        Self::new(vec![0; rows], Vec::new(), 1)
    }

    fn new(sides: Vec<u8>, mut copies: Vec<u32>, count: usize) -> Self {
        if copies.iter().all(|copies| *copies <= 1) {
            copies = Vec::new();
        }
        let mut chosen = Self { sides, copies, written: vec![0; count] };
        let mut written = vec![0; count];
        chosen.rows().for_each(|(_, side)| written[side] += 1);
        chosen.written = written;
        chosen
    }

    /// The rows to be written with their sides, in order; one that is written n times comes n times.
    pub(super) fn rows(&self) -> impl Iterator<Item = (u32, usize)> {
        let copies = |row: usize| self.copies.get(row).map_or(1, |copies| *copies as usize);
        let taken = (0_u32..).zip(&self.sides).filter(|(_, side)| **side != NONE);
        taken
            .flat_map(move |(row, side)| std::iter::repeat_n((row, usize::from(*side)), copies(row as usize)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_in_order_as_often_as_they_are_written() {
        let chosen = Chosen::new(vec![1, NONE, 0, 1], vec![1, 0, 3, 1], 2);
        assert_eq!(chosen.rows().collect::<Vec<_>>(), [(0, 1), (2, 0), (2, 0), (2, 0), (3, 1)]);
        assert_eq!(chosen.written, [3, 2]);
        let once = Chosen::new(vec![0, NONE], vec![1, 0], 1);
        assert_eq!((once.copies.len(), once.rows().collect::<Vec<_>>()), (0, vec![(0, 0)]));
        assert_eq!(Chosen::all(2).written, [2]);
    }
}
