//! Rows chosen at random: those whose names have the lowest hashes under a seed, so that neither order nor threads matter.

use std::collections::BinaryHeap;

use arrow::array::StringArray;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::scan::{Rows, URL, cell};

/// The columns that name a row, the first that the table has.
pub(super) const NAMES: [&str; 3] = ["key", URL[0], URL[1]];

/// Where a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) shard: u32,
    pub(super) row: u64,
}

/// What rows are called.
pub(super) struct Named {
    column: Option<StringArray>,
    shard: u32,
    first: u64,
    seed: u64,
}

impl Named {
    pub(super) fn of(rows: &Rows, seed: u64) -> Self {
        Self { column: rows.text(&NAMES), shard: rows.shard, first: rows.first, seed }
    }

    /// A random number for a row, always the same; of a row without a name by its place.
    pub(super) fn hash(&self, row: usize) -> u64 {
        match cell(self.column.as_ref(), row) {
            Some(name) => xxh3_64_with_seed(name.as_bytes(), self.seed),
            None => {
                let Place { shard, row } = self.place(row);
                xxh3_64_with_seed(format!("{shard} {row}").as_bytes(), self.seed)
            }
        }
    }

    pub(super) fn place(&self, row: usize) -> Place {
        Place { shard: self.shard, row: self.first + row as u64 }
    }
}

/// The rows with the lowest hashes, at most so many.
#[derive(Clone, Debug)]
pub(super) struct Lowest {
    most: usize,
    heap: BinaryHeap<(u64, Place)>,
}

impl Lowest {
    pub(super) fn new(most: usize) -> Self {
        Self { most, heap: BinaryHeap::new() }
    }

    pub(super) fn offer(&mut self, hash: u64, place: Place) {
        self.heap.push((hash, place));
        if self.heap.len() > self.most {
            self.heap.pop();
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        other.heap.into_iter().for_each(|(hash, place)| self.offer(hash, place));
    }

    /// The rows, the lowest hash first.
    pub(super) fn close(self) -> Vec<(u64, Place)> {
        self.heap.into_sorted_vec()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_choice_does_not_depend_on_the_order(hashes in proptest::collection::vec(0_u64..50, 0..40), cut in 0_usize..40) {
            let place = |row: usize| Place { shard: 0, row: row as u64 };
            let all: Vec<_> = hashes.iter().enumerate().map(|(row, hash)| (*hash, place(row))).collect();
            let of = |part: &[(u64, Place)]| {
                let mut lowest = Lowest::new(7);
                part.iter().for_each(|(hash, place)| lowest.offer(*hash, *place));
                lowest
            };
            let (head, tail) = all.split_at(cut.min(all.len()));
            let mut merged = of(tail);
            merged.merge(of(head));
            let mut expected = all.clone();
            expected.sort_unstable();
            expected.truncate(7);
            prop_assert_eq!(merged.close(), expected);
        }
    }
}
