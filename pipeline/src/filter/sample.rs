//! Which rows a dry run looks at: short runs of rows, spread evenly over all shards, each at a random place of its part.

use parquet::arrow::arrow_reader::RowSelection;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Rows read in one go: as few as spread well, as many as are worth the reading of a page.
const RUN: u64 = 50;

/// The rows of one shard that are looked at.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    pub(super) shard: usize,
    pub(super) rows: RowSelection,
}

/// About `wanted` of all rows (all of them, if there are no more), by shard; `shards` are the rows of each.
pub(super) fn sample(shards: &[u64], wanted: u64, seed: u64) -> Vec<Part> {
    let mut runs = runs(shards.iter().sum(), wanted, seed).into_iter().peekable();
    let mut first = 0;
    let mut parts = Vec::new();
    for (shard, &rows) in shards.iter().enumerate().filter(|(_, rows)| **rows > 0) {
        let end = first + rows;
        let mut ranges = Vec::new();
        while let Some(&(start, stop)) = runs.peek().filter(|(start, _)| *start < end) {
            ranges.push(size(start.max(first) - first)..size(stop.min(end) - first));
            if stop > end {
                break;
            }
            runs.next();
        }
        if !ranges.is_empty() {
            let rows = RowSelection::from_consecutive_ranges(ranges.into_iter(), size(rows));
            parts.push(Part { shard, rows });
        }
        first = end;
    }
    parts
}

fn size(rows: u64) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}

/// Starts and ends of the runs among `rows` rows, in order, none over another.
fn runs(rows: u64, wanted: u64, seed: u64) -> Vec<(u64, u64)> {
    if rows <= wanted {
        return vec![(0, rows)];
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let count = wanted.div_ceil(RUN);
    // The i-th of `count` even parts of `n`.
    let part = |n: u64, i: u64| (u128::from(n) * u128::from(i) / u128::from(count)) as u64;
    // Runs and what is left between them are dealt out apart, so that no part is too short for its run.
    let run = |i: u64| {
        let (taken, left) = (part(wanted, i), part(rows - wanted, i));
        let (length, spare) = (part(wanted, i + 1) - taken, part(rows - wanted, i + 1) - left);
        let start = taken + left + random.random_range(0..=spare);
        (start, start + length)
    };
    (0..count).map(run).filter(|(start, end)| start < end).collect()
}

#[cfg(test)]
mod tests {
    use parquet::arrow::arrow_reader::RowSelector;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    /// Rows of a selection.
    fn count(rows: &RowSelection) -> u64 {
        rows.iter().filter(|run| !run.skip).map(|run: &RowSelector| run.row_count as u64).sum()
    }

    #[test]
    fn every_shard_has_its_share_and_the_seed_decides() {
        let parts = sample(&[10_000, 0, 30_000], 4000, 1);
        let counts: Vec<_> = parts.iter().map(|part| (part.shard, count(&part.rows))).collect();
        assert_eq!(counts, [(0, 1000), (2, 3000)]);
        assert_eq!(parts, sample(&[10_000, 0, 30_000], 4000, 1));
        assert_ne!(parts, sample(&[10_000, 0, 30_000], 4000, 2));
    }

    #[test]
    fn a_short_table_is_taken_whole() {
        let parts = sample(&[3, 4], 10, 1);
        assert_eq!(parts.iter().map(|part| count(&part.rows)).collect::<Vec<_>>(), [3, 4]);
        assert_eq!(sample(&[], 10, 1), []);
    }

    proptest! {
        #[test]
        fn the_sample_has_as_many_rows_as_wanted_all_in_their_shards(
            shards in proptest::collection::vec(0..3000_u64, 0..8),
            wanted in 1..5000_u64,
            seed in any::<u64>(),
        ) {
            let parts = sample(&shards, wanted, seed);
            let rows: u64 = shards.iter().sum();
            let taken: u64 = parts.iter().map(|part| count(&part.rows)).sum();
            prop_assert_eq!(taken, wanted.min(rows));
            for part in parts {
                let all: u64 = part.rows.iter().map(|run| run.row_count as u64).sum();
                prop_assert!(all <= shards[part.shard]);
            }
        }
    }
}
