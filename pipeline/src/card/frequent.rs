//! How often the texts of a column occur, exactly, of however many rows: counted on disk by their hashes, of which the most
//! frequent are looked up in a second pass.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use xxhash_rust::xxh3::xxh3_64;

use super::counts::trimmed;
use super::record::{Count, Counted};
use super::scan::{self, Rows, Scanner, Sum, cell};
use crate::Result;
use crate::pairs::Table;
use crate::tally::Tally;

/// A column, by the first of its names that a table has, and what of a cell counts.
#[derive(Clone, Copy)]
pub(super) struct Source {
    pub(super) names: &'static [&'static str],
    pub(super) value: fn(&str) -> Cow<'_, str>,
}

/// Captions, to the letter.
pub(super) const CAPTION: Source = Source { names: &scan::CAPTION, value: |text| Cow::Borrowed(text) };
/// Licences, in both spellings.
pub(super) const LICENCE: Source =
    Source { names: &["licence", "license"], value: |licence| Cow::Borrowed(trimmed(licence)) };
/// Language tags, whose case does not matter.
pub(super) const PAGE_LANGUAGE: Source =
    Source { names: &["page_language"], value: |tag| Cow::Owned(trimmed(tag).to_ascii_lowercase()) };
/// Groups of duplicates.
pub(super) const CLUSTER: Source = Source { names: &["cluster"], value: |text| Cow::Borrowed(text) };

impl Source {
    pub(super) fn is_in(&self, table: &Table) -> bool {
        self.names.iter().any(|name| table.schema().column_with_name(name).is_some())
    }

    /// The hashes of those cells that are not blank.
    pub(super) fn hashes(&self, rows: &Rows, there: impl Iterator<Item = usize>) -> Vec<u64> {
        let Some(column) = rows.text(self.names) else { return Vec::new() };
        there.filter_map(|row| self.hash(cell(Some(&column), row)?)).collect()
    }

    fn hash(&self, cell: &str) -> Option<u64> {
        let value = (self.value)(cell);
        (!value.trim().is_empty()).then(|| xxh3_64(value.as_bytes()))
    }
}

/// The texts of a column of a table.
pub(super) struct Texts {
    source: Source,
    tally: Tally,
}

impl Texts {
    /// Counts nothing yet; `None` where the table has no such column.
    pub(super) fn of(table: &Table, source: Source) -> Result<Option<Self>> {
        source.is_in(table).then(|| Ok(Self { source, tally: Tally::new()? })).transpose()
    }

    pub(super) fn add(&self, rows: &Rows, there: &[usize]) -> Result<()> {
        self.tally.add(self.source.hashes(rows, there.iter().copied()).into_iter())
    }

    /// The figures of texts that at least so many rows have, with the `most` frequent ones.
    pub(super) fn close(
        self,
        table: &Table,
        least: u64,
        most: usize,
        scanner: &Scanner<'_>,
    ) -> Result<Counted> {
        let (mut counted, mut top) = (Counted::default(), Top::new(most));
        self.tally.close(|hash, rows| {
            if rows >= least {
                counted.rows += rows;
                counted.different += 1;
                top.offer(hash, rows);
            }
        })?;
        counted.top = top.texts(&[table], self.source, scanner)?;
        Ok(counted)
    }
}

/// The most frequent hashes.
pub(super) struct Top {
    most: usize,
    hashes: Vec<(Reverse<u64>, u64)>,
}

impl Top {
    pub(super) fn new(most: usize) -> Self {
        Self { most, hashes: Vec::new() }
    }

    pub(super) fn offer(&mut self, hash: u64, rows: u64) {
        self.hashes.push((Reverse(rows), hash));
        if self.hashes.len() > 100 * self.most {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.hashes.sort_unstable();
        self.hashes.truncate(self.most);
    }

    /// What is behind them, looked up in tables; texts of as many rows in the order of their letters.
    pub(super) fn texts(
        mut self,
        tables: &[&Table],
        source: Source,
        scanner: &Scanner<'_>,
    ) -> Result<Vec<Count>> {
        self.cut();
        let rows: HashMap<u64, u64> = self.hashes.iter().map(|(rows, hash)| (*hash, rows.0)).collect();
        let mut found = BTreeMap::new();
        for table in tables.iter().filter(|table| !rows.is_empty() && source.is_in(table)) {
            let looked = scanner.sum(table, source.names, || Look {
                source,
                wanted: &rows,
                found: BTreeMap::new(),
            })?;
            found.extend(looked.found);
        }
        let count = |(hash, value): (u64, String)| Some(Count { value, rows: *rows.get(&hash)? });
        let mut texts: Vec<Count> = found.into_iter().filter_map(count).collect();
        texts.sort_by(|a, b| (b.rows, &a.value).cmp(&(a.rows, &b.value)));
        Ok(texts)
    }
}

/// The texts behind hashes.
struct Look<'a> {
    source: Source,
    wanted: &'a HashMap<u64, u64>,
    found: BTreeMap<u64, String>,
}

impl Sum for Look<'_> {
    fn add(&mut self, rows: &Rows) -> Result<()> {
        let Some(column) = rows.text(self.source.names) else { return Ok(()) };
        for text in (0..rows.len()).filter_map(|row| cell(Some(&column), row)) {
            let Some(hash) = self.source.hash(text).filter(|hash| self.wanted.contains_key(hash)) else {
                continue;
            };
            self.found.entry(hash).or_insert_with(|| (self.source.value)(text).into_owned());
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        self.found.extend(other.found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_hashes_stay_whatever_comes_after() {
        let mut top = Top::new(3);
        (0..1000).for_each(|hash| top.offer(hash, hash % 500));
        top.cut();
        assert_eq!(top.hashes, [(Reverse(499), 499), (Reverse(499), 999), (Reverse(498), 498)]);
    }

    #[test]
    fn blank_cells_are_none_and_tags_differ_not_by_case() {
        assert_eq!([CAPTION.hash(" \n"), LICENCE.hash(""), PAGE_LANGUAGE.hash("\t")], [None; 3]);
        assert_eq!(PAGE_LANGUAGE.hash(" de-AT"), PAGE_LANGUAGE.hash("de-at"));
        assert_ne!(CAPTION.hash("a"), CAPTION.hash("a "));
        assert_eq!(LICENCE.hash(&"я".repeat(300)), LICENCE.hash(&"я".repeat(200)));
    }
}
