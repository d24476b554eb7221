//! Groups of hashes that are near to each other, and which of each group stands for it.

use std::sync::atomic::{AtomicU32, Ordering};

use clap::ValueEnum;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::index::{Among, Item, near};
use crate::Result;
use crate::interrupt::Interrupt;

/// A group up to this size is gone through one by one.
const SMALL: usize = 256;

/// How pairs that are near become groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Link {
    /// Every member is near to the one that stands for the group: going through the hashes from the best on, each joins
    /// the first such one, or stands for a new group.
    #[default]
    Representative,
    /// Every member is near to some other member: chains may lead far away.
    Single,
}

/// For each hash the number of the one that stands for its group, its own if it does. The hashes differ from each
/// other and come in the order of preference; numbers are places in it.
///
/// # Errors
/// An interrupt.
pub fn clusters(hashes: &[u64], distance: u32, link: Link, interrupt: &Interrupt) -> Result<Vec<u32>> {
    let mut items: Vec<Item> = hashes.iter().zip(0..).map(|(hash, id)| Item { hash: *hash, id }).collect();
    let forest = Forest::new(items.len());
    near(&mut items, distance, Among::All, interrupt, &|a, b| forest.join(a.id, b.id))?;
    let roots = forest.into_roots();
    match link {
        Link::Single => Ok(roots),
        Link::Representative => representatives(items, roots, distance, interrupt),
    }
}

/// Sets that threads join; the smallest member is the root of each, so that their order does not matter.
struct Forest(Vec<AtomicU32>);

impl Forest {
    fn new(size: usize) -> Self {
        Self((0..).map(AtomicU32::new).take(size).collect())
    }

    fn parent(&self, node: u32) -> u32 {
        self.0[node as usize].load(Ordering::Relaxed)
    }

    fn root(&self, mut node: u32) -> u32 {
        loop {
            let (parent, above) = (self.parent(node), self.parent(self.parent(node)));
            if parent == above {
                return parent;
            }
            // Parents only ever become smaller, so that a lost race does no harm.
            self.0[node as usize].fetch_min(above, Ordering::Relaxed);
            node = above;
        }
    }

    fn join(&self, a: u32, b: u32) {
        loop {
            let (a, b) = (self.root(a), self.root(b));
            if a == b {
                return;
            }
            let (low, high) = (a.min(b), a.max(b));
            // Fails where another thread has given that root a parent meanwhile.
            let hung =
                self.0[high as usize].compare_exchange(high, low, Ordering::Relaxed, Ordering::Relaxed);
            if hung.is_ok() {
                return;
            }
        }
    }

    fn into_roots(self) -> Vec<u32> {
        (0..self.0.len() as u32).into_par_iter().map(|node| self.root(node)).collect()
    }
}

/// Within each of the sets, which no near pair leaves, the first hash stands for those near to it, the first of the rest
/// for those near to it, and so on.
fn representatives(
    mut items: Vec<Item>,
    roots: Vec<u32>,
    distance: u32,
    interrupt: &Interrupt,
) -> Result<Vec<u32>> {
    items.par_sort_unstable_by_key(|item| (roots[item.id as usize], item.id));
    let leaders: Vec<AtomicU32> = roots.iter().map(|_| AtomicU32::new(UNDECIDED)).collect();
    let sets = items.par_chunk_by(|a, b| roots[a.id as usize] == roots[b.id as usize]);
    sets.try_for_each(|set| elect(set, distance, &leaders, interrupt).map(drop))?;
    Ok(leaders.into_iter().map(AtomicU32::into_inner).collect())
}

const UNDECIDED: u32 = u32::MAX;

/// Decides about `items`, which stand in the order of their numbers, and gives back those that stand for a group.
fn elect(items: &[Item], distance: u32, leaders: &[AtomicU32], interrupt: &Interrupt) -> Result<Vec<Item>> {
    let leader = |item: &Item| &leaders[item.id as usize];
    let mut elected: Vec<Item> = Vec::new();
    if items.len() <= SMALL {
        for item in items {
            let first = elected.iter().find(|other| (other.hash ^ item.hash).count_ones() <= distance);
            leader(item).store(first.unwrap_or(item).id, Ordering::Relaxed);
            if first.is_none() {
                elected.push(*item);
            }
        }
        return Ok(elected);
    }
    let (better, worse) = items.split_at(items.len() / 2);
    elected = elect(better, distance, leaders, interrupt)?;
    let mut both = [elected.as_slice(), worse].concat();
    let first_worse = worse[0].id;
    near(&mut both, distance, Among::Across(first_worse), interrupt, &|a, b| {
        let (better, worse) = if a.id < b.id { (a, b) } else { (b, a) };
        leader(&worse).fetch_min(better.id, Ordering::Relaxed);
    })?;
    let open = |item: &&Item| leader(item).load(Ordering::Relaxed) == UNDECIDED;
    let rest: Vec<Item> = worse.iter().filter(open).copied().collect();
    elected.extend(elect(&rest, distance, leaders, interrupt)?);
    Ok(elected)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn grouped(hashes: &[u64], distance: u32, link: Link) -> Vec<u32> {
        clusters(hashes, distance, link, &Interrupt::never()).unwrap()
    }

    /// By the definitions, comparing each with each.
    fn plain(hashes: &[u64], distance: u32, link: Link) -> Vec<u32> {
        let near = |a: usize, b: usize| (hashes[a] ^ hashes[b]).count_ones() <= distance;
        let mut leaders: Vec<u32> = (0..hashes.len() as u32).collect();
        match link {
            Link::Representative => {
                for i in 0..hashes.len() {
                    let first = (0..i).find(|j| leaders[*j] as usize == *j && near(*j, i));
                    leaders[i] = first.unwrap_or(i) as u32;
                }
            }
            Link::Single => loop {
                let before = leaders.clone();
                for (i, j) in (0..hashes.len()).flat_map(|i| (0..hashes.len()).map(move |j| (i, j))) {
                    if near(i, j) {
                        leaders[i] = leaders[i].min(leaders[j]);
                    }
                }
                if leaders == before {
                    break;
                }
            },
        }
        leaders
    }

    /// Distinct hashes in which chains and crowds are frequent.
    fn hashes(size: usize) -> impl Strategy<Value = Vec<u64>> {
        let bits = prop_oneof![0_u64..1 << 10, (0_u64..1 << 12).prop_map(|x| x << 40 | x), any::<u64>()];
        prop::collection::vec(bits, 1..size).prop_map(|mut hashes| {
            let mut seen = HashSet::new();
            hashes.retain(|hash| seen.insert(*hash));
            hashes
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn groups_are_those_of_the_definition(hashes in hashes(160), distance in 0_u32..5) {
            for link in [Link::Representative, Link::Single] {
                prop_assert_eq!(grouped(&hashes, distance, link), plain(&hashes, distance, link));
            }
        }

        #[test]
        fn what_stands_for_a_group_has_no_other_such_near(hashes in hashes(900), distance in 1_u32..5) {
            let leaders = grouped(&hashes, distance, Link::Representative);
            let kept: Vec<u64> = leaders.iter().zip(0..).filter(|(l, i)| **l == *i).map(|(_, i)| hashes[i as usize]).collect();
            prop_assert_eq!(grouped(&kept, distance, Link::Representative), (0..kept.len() as u32).collect::<Vec<_>>());
            for (leader, hash) in leaders.iter().zip(&hashes) {
                prop_assert!((hash ^ hashes[*leader as usize]).count_ones() <= distance);
            }
        }
    }

    #[test]
    fn a_large_crowd_is_decided_as_the_definition_says() {
        let crowd: Vec<u64> = (0..3000_u64).map(|i| i * 7 % 4096).collect();
        for distance in [1, 3] {
            let expected = plain(&crowd, distance, Link::Representative);
            assert_eq!(grouped(&crowd, distance, Link::Representative), expected);
        }
    }

    #[test]
    fn a_chain_is_one_group_by_single_links_alone() {
        let chain: Vec<u64> = (0..20).map(|i| (1_u64 << (3 * i)) - 1).collect();
        assert_eq!(grouped(&chain, 3, Link::Single), [0; 20]);
        let ends: Vec<u32> = (0..20).map(|i| i / 2 * 2).collect();
        assert_eq!(grouped(&chain, 3, Link::Representative), ends);
    }
}
