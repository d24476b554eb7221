//! All pairs of 64-bit hashes that differ in at most `d` bits, without comparing each with each.
//!
//! The bits are dealt out to `d + k` blocks. Two hashes that differ in at most `d` bits agree in at least `k` of them, so
//! that it suffices to sort by every choice of `k` blocks and to compare what then stands together: nothing is missed
//! (Manku, Jain, Das Sarma, "Detecting near-duplicates for web crawling", WWW 2007). Where too many hashes agree, the
//! same is done once more with the bits that are left. The list is sorted in place: 16 bytes per hash, whatever `d` is.

use rayon::prelude::*;

use crate::Result;
use crate::interrupt::Interrupt;

/// Hashes whose bits are looked at before blocks are chosen.
const SAMPLE: usize = 4096;
/// More ways to choose blocks than that never pay.
const MOST_KEYS: f64 = 4096.0;
/// Cost of sorting, per hash and doubling of their number, in comparisons of two hashes.
const SORTING: f64 = 2.0;
/// From so many on, hashes that are compared each with each are shared out to the threads.
const PARALLEL: usize = 2048;
/// A bit says less than this, in bits, where nearly all hashes have it alike.
const LEAST_INFORMATION: f64 = 0.01;

/// A hash and a number of the caller's; equal hashes should be given once, each pair of them is a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// The hash.
    pub hash: u64,
    /// Whose it is.
    pub id: u32,
}

/// Which pairs are of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Among {
    /// Any two.
    All,
    /// One with an id below the number and one with an id from it on.
    Across(u32),
}

/// Calls `found` with all pairs that differ in at most `distance` bits, each in either order and perhaps several times,
/// from all threads of the pool. Leaves the items in another order.
///
/// # Errors
/// An interrupt; then not all pairs were found.
pub fn near(
    items: &mut [Item],
    distance: u32,
    among: Among,
    interrupt: &Interrupt,
    found: &(impl Fn(Item, Item) + Sync),
) -> Result<()> {
    Search { distance, among, interrupt, found }.run(items, u64::MAX);
    interrupt.check()
}

/// What is searched for.
struct Search<'a, F> {
    distance: u32,
    among: Among,
    interrupt: &'a Interrupt,
    found: &'a F,
}

impl<F: Fn(Item, Item) + Sync> Search<'_, F> {
    /// Among items that agree in all bits but the `free` ones. Comes to nothing after an interrupt.
    fn run(&self, items: &mut [Item], free: u64) {
        let all = pairs(items, self.among);
        if all == 0.0 {
            return;
        }
        let keys = keys(items, free, self.distance, all);
        // Blocks that tell less apart than they promise (crowds of hashes, bits that go together) never cost much more
        // than comparing each with each would have.
        let mut left = all / 2.0;
        for key in &keys {
            if self.interrupt.is_set() {
                return;
            }
            items.par_sort_unstable_by_key(|item| item.hash & key);
            let alike = |a: &Item, b: &Item| (a.hash ^ b.hash) & key == 0;
            left -= items.par_chunk_by(alike).map(|bucket| pairs(bucket, self.among)).sum::<f64>();
            if left < 0.0 {
                break;
            }
            let buckets = items.par_chunk_by_mut(alike).filter(|bucket| pairs(bucket, self.among) > 0.0);
            buckets.for_each(|bucket| self.run(bucket, free & !key));
        }
        if keys.is_empty() || left < 0.0 {
            self.compare(items);
        }
    }

    /// Each with each.
    fn compare(&self, items: &mut [Item]) {
        let split = match self.among {
            Among::All => None,
            Among::Across(first) => {
                items.sort_unstable_by_key(|item| item.id >= first);
                Some(items.partition_point(|item| item.id < first))
            }
        };
        let with = |i: usize| {
            if self.interrupt.is_set() {
                return;
            }
            let a = items[i];
            let near = |b: &&Item| (a.hash ^ b.hash).count_ones() <= self.distance;
            items[split.unwrap_or(i + 1)..].iter().filter(near).for_each(|b| (self.found)(a, *b));
        };
        let first = 0..split.unwrap_or(items.len());
        match items.len() < PARALLEL {
            true => first.for_each(with),
            false => first.into_par_iter().for_each(with),
        }
    }
}

/// How many pairs are of interest.
fn pairs(items: &[Item], among: Among) -> f64 {
    let count = items.len() as f64;
    match among {
        Among::All => count * (count - 1.0) / 2.0,
        Among::Across(first) => {
            let below = items.iter().filter(|item| item.id < first).count() as f64;
            below * (count - below)
        }
    }
}

/// The bits by which to sort, one mask for each round; none where it costs least to compare all `pairs`.
fn keys(items: &[Item], free: u64, distance: u32, pairs: f64) -> Vec<u64> {
    let sorting = SORTING * items.len() as f64 * (items.len() as f64).log2();
    // What a small bucket could save does not pay for a look at its bits.
    if pairs < 2.0 * f64::from(distance + 1) * sorting {
        return Vec::new();
    }
    let bits = bits(items, free);
    let information: f64 = bits.iter().map(|(_, information)| information).sum();
    let cost = |blocks: u32| {
        let told_apart = information * f64::from(blocks - distance) / f64::from(blocks);
        choices(blocks, distance) * (sorting + pairs / told_apart.exp2())
    };
    let most = (distance + 8).min(bits.len() as u32);
    let affordable = (distance + 1..=most).filter(|blocks| choices(*blocks, distance) <= MOST_KEYS);
    let best = affordable.map(|blocks| (cost(blocks), blocks)).min_by(|a, b| a.0.total_cmp(&b.0));
    match best {
        Some((cost, blocks)) if cost < pairs => masks(&bits, blocks as usize, distance as usize),
        _ => Vec::new(),
    }
}

/// The free bits that tell hashes apart, the best first, each with how much it does: the logarithm of the chance that
/// two hashes have it alike.
fn bits(items: &[Item], free: u64) -> Vec<(u32, f64)> {
    let step = items.len().div_ceil(SAMPLE);
    let sample = || items.iter().step_by(step);
    let all = sample().count() as f64;
    let information = |bit: u32| {
        let ones = sample().filter(|item| item.hash >> bit & 1 == 1).count() as f64 / all;
        (bit, -(ones * ones + (1.0 - ones) * (1.0 - ones)).log2())
    };
    let free = (0..64).filter(|bit| free >> bit & 1 == 1);
    let mut bits: Vec<_> = free.map(information).filter(|(_, said)| *said >= LEAST_INFORMATION).collect();
    bits.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    bits
}

/// All choices of `blocks - distance` out of `blocks` blocks to which the bits are dealt out in turn. Bits that are in no
/// block can only make hashes agree in more of them.
fn masks(bits: &[(u32, f64)], blocks: usize, distance: usize) -> Vec<u64> {
    let mut block = vec![0_u64; blocks];
    for (i, (bit, _)) in bits.iter().enumerate() {
        // To and fro, so that no block has the better one every time.
        let place = if (i / blocks).is_multiple_of(2) { i % blocks } else { blocks - 1 - i % blocks };
        block[place] |= 1 << bit;
    }
    let chosen = |choice: &u64| choice.count_ones() as usize == blocks - distance;
    let mask = |choice: u64| {
        let parts = block.iter().enumerate().filter(|(i, _)| choice >> i & 1 == 1);
        parts.fold(0, |mask, (_, part)| mask | part)
    };
    (0..1 << blocks).filter(chosen).map(mask).collect()
}

/// In how many ways `few` are chosen out of `many`.
fn choices(many: u32, few: u32) -> f64 {
    (1..=few).map(|i| f64::from(many - few + i) / f64::from(i)).product()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    /// Hashes that look random, as those of pictures do.
    fn random(count: u32, seed: u64) -> Vec<u64> {
        let mut state = seed;
        let mut next = move |_| {
            // SplitMix64.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        (0..count).map(&mut next).collect()
    }

    fn items(hashes: &[u64]) -> Vec<Item> {
        hashes.iter().zip(0..).map(|(hash, id)| Item { hash: *hash, id }).collect()
    }

    fn by_index(hashes: &[u64], distance: u32, among: Among) -> BTreeSet<(u32, u32)> {
        let pairs = Mutex::new(BTreeSet::new());
        near(&mut items(hashes), distance, among, &Interrupt::never(), &|a, b| {
            pairs.lock().unwrap().insert((a.id.min(b.id), a.id.max(b.id)));
        })
        .unwrap();
        pairs.into_inner().unwrap()
    }

    fn by_force(hashes: &[u64], distance: u32, among: Among) -> BTreeSet<(u32, u32)> {
        let items = items(hashes);
        let all = items.iter().flat_map(|a| items[a.id as usize + 1..].iter().map(move |b| (a, b)));
        all.filter(|(a, b)| (a.hash ^ b.hash).count_ones() <= distance)
            .map(|(a, b)| (a.id, b.id))
            .filter(|(a, b)| !matches!(among, Among::Across(first) if !(*a < first && *b >= first)))
            .collect()
    }

    /// What is around a hash: it with a few bits changed.
    fn around(centre: u64, count: u32, most: u32, seed: u64) -> Vec<u64> {
        let change = |noise: u64| {
            (0..noise % u64::from(most + 1)).fold(centre, |h, i| h ^ 1 << (noise >> (8 + 6 * i) & 63))
        };
        random(count, seed).into_iter().map(change).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn no_pair_is_missed_and_none_is_invented(
            seed in 0_u64.., distance in 0_u32..=8, alone in 0_u32..400, centres in 0_u32..6,
            size in 1_u32..200, spread in 1_u32..9, cube in 0_u64..300, split in 0_u32..900,
        ) {
            let mut hashes = random(alone, seed);
            for centre in random(centres, !seed) {
                hashes.extend(around(centre, size, spread, seed ^ centre));
            }
            // Hashes that have all but a few bits in common.
            hashes.extend(0..cube);
            for among in [Among::All, Among::Across(split)] {
                prop_assert_eq!(by_index(&hashes, distance, among), by_force(&hashes, distance, among));
            }
        }
    }

    #[test]
    fn many_hashes_are_searched_through_blocks_and_nothing_is_missed() {
        let mut hashes = random(6000, 1);
        for centre in random(60, 2) {
            hashes.extend(around(centre, 30, 8, centre));
        }
        for distance in [1, 4, 8] {
            let (items, pairs) = (items(&hashes), (hashes.len() * hashes.len() / 2) as f64);
            assert!(!keys(&items, u64::MAX, distance, pairs).is_empty() || distance == 8);
            let expected = by_force(&hashes, distance, Among::All);
            assert!(expected.len() > 100);
            assert_eq!(by_index(&hashes, distance, Among::All), expected, "{distance}");
        }
    }

    #[test]
    fn a_crowd_around_one_hash_is_no_reason_to_compare_each_with_each() {
        let mut crowd: Vec<u64> = around(0x00ff_00ff_00ff_00ff, 20_000, 7, 5);
        crowd.extend(random(60_000, 6));
        crowd.sort_unstable();
        crowd.dedup();
        let found = AtomicU64::new(0);
        let started = Instant::now();
        near(&mut items(&crowd), 4, Among::All, &Interrupt::never(), &|_, _| {
            found.fetch_add(1, Ordering::Relaxed);
        })
        .unwrap();
        assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
        assert!(found.into_inner() > 1000);
    }

    #[test]
    fn an_interrupt_ends_the_search_and_is_told() {
        let interrupt = Interrupt::never();
        let found = AtomicU64::new(0);
        let crowd = around(0x00ff_00ff_00ff_00ff, 30_000, 3, 5);
        let searched = near(&mut items(&crowd), 8, Among::All, &interrupt, &|_, _| {
            interrupt.set(130);
            found.fetch_add(1, Ordering::Relaxed);
        });
        assert!(matches!(searched, Err(crate::Error::Interrupted { code: 130 })), "{searched:?}");
        assert!(found.into_inner() < 10_000_000, "of 450 million pairs");
    }

    #[test]
    fn blocks_are_as_many_as_pay() {
        let some = items(&random(3000, 3));
        assert_eq!(keys(&some[..30], u64::MAX, 4, 435.0), [0_u64; 0]);
        let keys = keys(&some, u64::MAX, 2, 4_498_500.0);
        assert_eq!(keys.len(), 3);
        assert_eq!(keys.iter().fold(0, |all, key| all | key), u64::MAX);
        assert_eq!((choices(6, 4), choices(11, 8), choices(5, 5)), (15.0, 165.0, 1.0));
    }
}
