//! Which row comes when.

use std::ops::Range;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::device::mix;

/// The order in which rows are seen: every epoch a permutation of its own, cut into batches that run across epochs.
#[derive(Clone, Debug)]
pub struct Order {
    seed: u64,
    rows: usize,
    batch: usize,
    rank: usize,
    world: usize,
    /// The epoch whose permutation was used last.
    known: Option<(u64, Vec<u32>)>,
}

impl Order {
    /// Batches of `batch` rows out of `rows`, all on one process.
    #[must_use]
    pub fn new(seed: u64, rows: usize, batch: usize) -> Self {
        Self { seed, rows, batch, rank: 0, world: 1, known: None }
    }

    /// The share of process `rank` out of `world`: together they see what one process with the whole batch would.
    #[must_use]
    pub fn of_rank(self, rank: usize, world: usize) -> Self {
        Self { rank, world, ..self }
    }

    /// Steps for one pass over the rows.
    #[must_use]
    pub fn steps_per_epoch(&self) -> f64 {
        self.rows as f64 / (self.batch * self.world) as f64
    }

    /// The rows of a step. The same arguments give the same rows in any process, whatever was asked before.
    pub fn rows(&mut self, step: u64) -> Vec<usize> {
        let first = (step * self.world as u64 + self.rank as u64) * self.batch as u64;
        self.span(first..first + self.batch as u64)
    }

    /// The rows at these positions of the order, counted over all epochs: for batches that are not all equally large.
    pub fn span(&mut self, positions: Range<u64>) -> Vec<usize> {
        positions.map(|position| self.row(position)).collect()
    }

    fn row(&mut self, position: u64) -> usize {
        let epoch = position / self.rows as u64;
        let index = (position % self.rows as u64) as usize;
        if self.known.as_ref().is_none_or(|(known, _)| *known != epoch) {
            self.known = Some((epoch, permutation(mix(self.seed, epoch), self.rows)));
        }
        self.known.as_ref().map_or(0, |(_, order)| order[index] as usize)
    }
}

pub(super) fn permutation(seed: u64, rows: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..u32::try_from(rows).unwrap_or(u32::MAX)).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    order
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_epoch_sees_every_row_once(rows in 1usize..60, batch in 1usize..9, seed: u64) {
            let mut order = Order::new(seed, rows, batch);
            let steps = (3 * rows).div_ceil(batch) as u64;
            let seen: Vec<_> = (0..steps).flat_map(|step| order.rows(step)).collect();
            for epoch in seen.chunks_exact(rows) {
                prop_assert_eq!(epoch.iter().collect::<BTreeSet<_>>().len(), rows);
            }
        }

        #[test]
        fn a_batch_depends_on_nothing_but_its_step(steps in proptest::collection::vec(0u64..200, 1..20), seed: u64) {
            let mut wandering = Order::new(seed, 37, 4);
            for step in steps {
                prop_assert_eq!(wandering.rows(step), Order::new(seed, 37, 4).rows(step));
            }
        }

        #[test]
        fn ranks_share_the_batch_of_one_process(step in 0u64..100, seed: u64) {
            let whole = Order::new(seed, 37, 8).rows(step);
            let parts: Vec<_> =
                (0..4).flat_map(|rank| Order::new(seed, 37, 2).of_rank(rank, 4).rows(step)).collect();
            prop_assert_eq!(whole, parts);
        }
    }
}
