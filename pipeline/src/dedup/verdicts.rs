//! The second pass: which rows go, what for, and which row stands for them. It reads the facts of the first pass one
//! column at a time and holds about 60 bytes per row.

use std::cmp::Reverse;

use rayon::prelude::*;

use super::against::Exhibits;
use super::cluster::clusters;
use super::config::DedupConfig;
use super::facts::{Digest, Fact, Facts};
use super::phash::PHash;
use super::stage::Stage;
use crate::interrupt::Interrupt;
use crate::{Error, Result};

/// What was decided about each row, by its number in the input.
#[derive(Debug, PartialEq)]
pub(super) struct Verdicts {
    /// What a row is dropped for.
    pub(super) stages: Vec<Option<Stage>>,
    /// The row that stands for it, itself where it stands for itself. That row is kept, unless all of them are dropped.
    pub(super) heads: Vec<u32>,
    /// The picture of an evaluation set that a row is near to, by its number; sorted by row.
    pub(super) contaminated: Vec<(u32, u32)>,
}

impl Verdicts {
    /// The number of the evaluation picture that a row is near to.
    pub(super) fn exhibit(&self, row: u32) -> Option<u32> {
        let found = self.contaminated.binary_search_by_key(&row, |(row, _)| *row).ok()?;
        self.contaminated.get(found).map(|(_, exhibit)| *exhibit)
    }

    /// Rows of each group, by the row that stands for it.
    pub(super) fn sizes(&self) -> Vec<u32> {
        let mut sizes = vec![0; self.heads.len()];
        self.heads.iter().for_each(|head| sizes[*head as usize] += 1);
        sizes
    }
}

/// Decides about all rows. `stages` are those that can run on this input, `exhibits` the evaluation pictures.
pub(super) fn decide(
    facts: &Facts,
    config: &DedupConfig,
    stages: &[Stage],
    exhibits: &Exhibits,
    interrupt: &Interrupt,
) -> Result<Verdicts> {
    let mut court = Court::open(facts)?;
    for stage in Stage::ALL.iter().filter(|stage| stages.contains(stage)) {
        interrupt.check()?;
        match stage {
            Stage::Url => court.same(Stage::Url, |fact| fact.url, &["url"])?,
            Stage::UrlCaption => court.same(Stage::UrlCaption, |fact| fact.url_caption, &["url_caption"])?,
            Stage::Placeholder => court.placeholders(config.placeholder.rows, config.placeholder.sites)?,
            Stage::Contaminated => court.contaminated(exhibits, config.against.distance, interrupt)?,
            Stage::Sha256 => court.same(Stage::Sha256, |fact| fact.sha256, &["sha256"])?,
            Stage::Near => court.near(config, interrupt)?,
        }
    }
    Ok(court.close())
}

/// Decisions in the making. Rows are numbered by rank here: the best is 0.
struct Court<'a> {
    facts: &'a Facts,
    /// Row of each rank.
    rows: Vec<u32>,
    /// Rank of each row.
    ranks: Vec<u32>,
    /// By rank.
    stages: Vec<Option<Stage>>,
    /// The rank that stands for a rank.
    heads: Vec<u32>,
    /// Rank and exhibit.
    contaminated: Vec<(u32, u32)>,
}

impl<'a> Court<'a> {
    /// Ranks the rows: the largest picture first, of those the one with most bytes, of those the first in the input.
    fn open(facts: &'a Facts) -> Result<Self> {
        let count = u32::try_from(facts.rows()).ok().filter(|count| *count < u32::MAX);
        let Some(count) = count else {
            let message =
                format!("{} rows: more than 4,294,967,294 cannot be compared at once", facts.rows());
            return Err(Error::config("input.path", message));
        };
        let mut quality = Vec::with_capacity(count as usize);
        facts.each(&["area", "bytes"], |row, fact| {
            quality.push((Reverse(fact.area), Reverse(fact.bytes), row));
        })?;
        quality.par_sort_unstable();
        let rows: Vec<u32> = quality.into_iter().map(|(.., row)| row).collect();
        let mut ranks = vec![0; rows.len()];
        rows.iter().zip(0..).for_each(|(row, rank)| ranks[*row as usize] = rank);
        let (stages, heads) = (vec![None; rows.len()], (0..count).collect());
        Ok(Self { facts, rows, ranks, stages, heads, contaminated: Vec::new() })
    }

    /// What the rows that are still there say, by rank, sorted.
    fn hearing<T: Ord + Send>(
        &self,
        columns: &[&str],
        says: impl Fn(Fact) -> Option<T>,
    ) -> Result<Vec<(T, u32)>> {
        let mut said = Vec::new();
        self.facts.each(columns, |row, fact| {
            let rank = self.ranks[row as usize];
            if self.stages[rank as usize].is_none()
                && let Some(word) = says(fact)
            {
                said.push((word, rank));
            }
        })?;
        said.par_sort_unstable();
        Ok(said)
    }

    fn dismiss(&mut self, rank: u32, stage: Stage, head: u32) {
        self.stages[rank as usize] = Some(stage);
        self.heads[rank as usize] = head;
    }

    /// Of rows that say the same, the best stays.
    fn same(&mut self, stage: Stage, says: impl Fn(Fact) -> Option<Digest>, columns: &[&str]) -> Result<()> {
        for group in self.hearing(columns, says)?.chunk_by(|a, b| a.0 == b.0) {
            for (_, rank) in &group[1..] {
                self.dismiss(*rank, stage, group[0].1);
            }
        }
        Ok(())
    }

    /// Of rows whose picture is in too many rows from too many sites, none stays.
    fn placeholders(&mut self, rows: u64, sites: u64) -> Result<()> {
        let site = |fact: &Fact| fact.site.unwrap_or(NO_SITE);
        let hashes = self.hearing(&["phash", "site"], |fact| Some((fact.phash?, site(&fact))))?;
        let mut found = everywhere(&hashes, rows, sites);
        drop(hashes);
        let bytes = self.hearing(&["sha256", "site"], |fact| Some((fact.sha256?, site(&fact))))?;
        found.extend(everywhere(&bytes, rows, sites));
        for (rank, head) in found {
            if self.stages[rank as usize].is_none() {
                self.dismiss(rank, Stage::Placeholder, head);
            }
        }
        Ok(())
    }

    /// Rows whose picture is near to one of an evaluation set do not stay; the nearest is named, of those the first.
    fn contaminated(&mut self, exhibits: &Exhibits, distance: u32, interrupt: &Interrupt) -> Result<()> {
        let hashes = self.hearing(&["phash"], |fact| fact.phash)?;
        let starts = starts(&hashes);
        let distinct: Vec<PHash> = starts.iter().map(|start| hashes[*start as usize].0).collect();
        for (start, exhibit) in starts.into_iter().zip(exhibits.nearest(&distinct, distance, interrupt)?) {
            let Some(exhibit) = exhibit else { continue };
            for (_, rank) in alike(&hashes, start) {
                self.dismiss(*rank, Stage::Contaminated, *rank);
                self.contaminated.push((*rank, exhibit));
            }
        }
        Ok(())
    }

    /// Of rows whose pictures are near to each other, the best stays.
    fn near(&mut self, config: &DedupConfig, interrupt: &Interrupt) -> Result<()> {
        let hashes = self.hearing(&["phash"], |fact| fact.phash)?;
        let said = |start: &u32| hashes[*start as usize];
        let mut starts = starts(&hashes);
        starts.par_sort_unstable_by_key(|start| said(start).1);
        let distinct: Vec<u64> = starts.iter().map(|start| said(start).0.0).collect();
        let leaders = clusters(&distinct, config.near.distance, config.near.link, interrupt)?;
        for (start, leader) in starts.iter().zip(leaders) {
            let head = said(&starts[leader as usize]).1;
            for (_, rank) in alike(&hashes, *start).filter(|(_, rank)| *rank != head) {
                self.dismiss(*rank, Stage::Near, head);
            }
        }
        Ok(())
    }

    /// By rows again, each with the last of the chain of those that stand for it.
    fn close(mut self) -> Verdicts {
        // A head is always of better rank, so that its own is known.
        for rank in 0..self.heads.len() {
            self.heads[rank] = self.heads[self.heads[rank] as usize];
        }
        let row = |rank: u32| self.rows[rank as usize];
        let mut contaminated: Vec<_> =
            self.contaminated.iter().map(|(rank, exhibit)| (row(*rank), *exhibit)).collect();
        contaminated.sort_unstable();
        Verdicts {
            stages: self.ranks.iter().map(|rank| self.stages[*rank as usize]).collect(),
            heads: self.ranks.iter().map(|rank| row(self.heads[*rank as usize])).collect(),
            contaminated,
        }
    }
}

/// Where each of the distinct hashes begins.
fn starts(hashes: &[(PHash, u32)]) -> Vec<u32> {
    let mut next = 0;
    let groups = hashes.chunk_by(|a, b| a.0 == b.0);
    let start = |group: &[(PHash, u32)]| {
        let start = next;
        next += group.len() as u32;
        start
    };
    groups.map(start).collect()
}

/// The rows of the hash that begins there.
fn alike(hashes: &[(PHash, u32)], start: u32) -> impl Iterator<Item = &(PHash, u32)> {
    let rest = &hashes[start as usize..];
    rest.iter().take_while(|(hash, _)| *hash == rest[0].0)
}

/// Stands for the site of rows that have none.
const NO_SITE: u64 = 0;

/// The rows that say the same as many others from many sites, with the best of them. What is said comes sorted.
fn everywhere<T: PartialEq>(said: &[((T, u64), u32)], rows: u64, sites: u64) -> Vec<(u32, u32)> {
    let mut found = Vec::new();
    for group in said.chunk_by(|a, b| a.0.0 == b.0.0).filter(|group| group.len() as u64 >= rows) {
        let distinct = group.chunk_by(|a, b| a.0.1 == b.0.1).filter(|site| site[0].0.1 != NO_SITE).count();
        if distinct as u64 >= sites {
            let head = group.iter().map(|(_, rank)| *rank).min().unwrap_or_default();
            found.extend(group.iter().map(|(_, rank)| (*rank, head)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::cluster::Link;
    use super::super::config::PlaceholderConfig;
    use super::super::facts::{FORMAT, batch, digest, schema};
    use super::*;
    use crate::pairs::TableWriter;

    /// Rows in which each stage finds something.
    fn fact() -> impl Strategy<Value = Fact> {
        let some = |n: u8| prop::option::weighted(0.8, 0..n);
        let hash = prop_oneof![0_u64..1 << 6, (0_u64..4, 0_u64..3).prop_map(|(high, low)| high << 60 | low)];
        let size = (0_u64..4, 0_u32..3);
        (some(12), 0_u8..2, some(4), some(9), prop::option::weighted(0.8, hash), size).prop_map(
            |(url, caption, site, bytes, hash, (area, length))| Fact {
                key: None,
                url: url.map(|url| digest(&[b"url", &[url]])),
                url_caption: url.map(|url| digest(&[&[url], &[caption]])),
                site: site.map(|site| u64::from(site) + 1),
                sha256: bytes.map(|bytes| digest(&[&[bytes]])),
                phash: hash.map(PHash),
                area,
                bytes: length,
            },
        )
    }

    fn stored(facts: &[Fact]) -> (tempfile::TempDir, Facts) {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = TableWriter::new(Vec::new(), schema(), FORMAT, &[], "x").unwrap();
        writer.write(&batch(facts, "x").unwrap()).unwrap();
        crate::atomic::write(folder.path().join("00000.parquet"), writer.close().unwrap().0).unwrap();
        let facts = Facts::open(folder.path().to_str().unwrap()).unwrap();
        (folder, facts)
    }

    fn found(facts: &[Fact], config: &DedupConfig, exhibits: &Exhibits) -> Verdicts {
        let (_folder, facts) = stored(facts);
        decide(&facts, config, &config.stages, exhibits, &Interrupt::never()).unwrap()
    }

    /// The stages as they are described, comparing each row with each.
    struct Plain<'a> {
        facts: &'a [Fact],
        /// Rows from the best on.
        order: Vec<usize>,
        stages: Vec<Option<Stage>>,
        heads: Vec<usize>,
        exhibits: Vec<Option<u32>>,
    }

    impl Plain<'_> {
        fn better(&self, a: usize, b: usize) -> bool {
            let place = |row| self.order.iter().position(|other| *other == row);
            place(a) < place(b)
        }

        fn dismiss(&mut self, row: usize, stage: Stage, head: usize) {
            self.stages[row] = Some(stage);
            self.heads[row] = head;
        }

        fn open(&self) -> Vec<usize> {
            self.order.iter().copied().filter(|row| self.stages[*row].is_none()).collect()
        }

        fn same<T: PartialEq>(&mut self, stage: Stage, says: fn(&Fact) -> Option<T>) {
            for row in self.open() {
                let word = says(&self.facts[row]);
                let first = self.open().into_iter().find(|other| says(&self.facts[*other]) == word);
                if let (Some(_), Some(first)) = (word, first.filter(|first| self.better(*first, row))) {
                    self.dismiss(row, stage, first);
                }
            }
        }

        fn everywhere<T: PartialEq>(
            &self,
            says: fn(&Fact) -> Option<T>,
            limits: &PlaceholderConfig,
        ) -> Vec<(usize, usize)> {
            let open = self.open();
            let alike = |row: usize| {
                let word = says(&self.facts[row]);
                open.iter()
                    .copied()
                    .filter(|other| word.is_some() && says(&self.facts[*other]) == word)
                    .collect::<Vec<_>>()
            };
            let mut all = Vec::new();
            for row in &open {
                let rows = alike(*row);
                let mut sites: Vec<_> = rows.iter().filter_map(|row| self.facts[*row].site).collect();
                sites.sort_unstable();
                sites.dedup();
                if rows.len() as u64 >= limits.rows && sites.len() as u64 >= limits.sites {
                    all.push((*row, rows[0]));
                }
            }
            all
        }

        fn placeholders(&mut self, limits: &PlaceholderConfig) {
            let mut all = self.everywhere(|fact| fact.phash, limits);
            all.extend(self.everywhere(|fact| fact.sha256, limits));
            for (row, head) in all {
                if self.stages[row].is_none() {
                    self.dismiss(row, Stage::Placeholder, head);
                }
            }
        }

        fn contaminated(&mut self, exhibits: &[PHash], distance: u32) {
            for row in self.open() {
                let Some(hash) = self.facts[row].phash else { continue };
                let near = (0..).zip(exhibits).map(|(i, exhibit)| (hash.distance(*exhibit), i));
                if let Some((_, exhibit)) = near.filter(|(bits, _)| *bits <= distance).min() {
                    self.dismiss(row, Stage::Contaminated, row);
                    self.exhibits[row] = Some(exhibit);
                }
            }
        }

        fn near(&mut self, distance: u32, link: Link) {
            let with_hash: Vec<usize> =
                self.open().into_iter().filter(|row| self.facts[*row].phash.is_some()).collect();
            let near = |a: usize, b: usize| {
                let [a, b] = [a, b].map(|row| self.facts[row].phash.unwrap());
                a.distance(b) <= distance
            };
            let mut heads: Vec<(usize, usize)> = Vec::new();
            for row in &with_hash {
                let earlier = heads.iter().filter(|(_, head)| match link {
                    Link::Representative => near(*row, *head),
                    Link::Single => false,
                });
                let head = earlier
                    .map(|(_, head)| *head)
                    .min_by_key(|head| self.order.iter().position(|r| r == head));
                heads.push((*row, head.unwrap_or(*row)));
            }
            if link == Link::Single {
                loop {
                    let before = heads.clone();
                    for i in 0..heads.len() {
                        for j in 0..heads.len() {
                            if near(heads[i].0, heads[j].0) && self.better(heads[j].1, heads[i].1) {
                                heads[i].1 = heads[j].1;
                            }
                        }
                    }
                    if heads == before {
                        break;
                    }
                }
            }
            for (row, head) in heads {
                if row != head {
                    self.dismiss(row, Stage::Near, head);
                }
            }
        }
    }

    fn plain<'a>(facts: &'a [Fact], config: &DedupConfig, exhibits: &[PHash]) -> Plain<'a> {
        let mut order: Vec<usize> = (0..facts.len()).collect();
        order.sort_by_key(|row| (Reverse(facts[*row].area), Reverse(facts[*row].bytes), *row));
        let heads = (0..facts.len()).collect();
        let mut plain =
            Plain { facts, order, stages: vec![None; facts.len()], heads, exhibits: vec![None; facts.len()] };
        for stage in &config.stages {
            match stage {
                Stage::Url => plain.same(*stage, |fact| fact.url),
                Stage::UrlCaption => plain.same(*stage, |fact| fact.url_caption),
                Stage::Placeholder => plain.placeholders(&config.placeholder),
                Stage::Contaminated => plain.contaminated(exhibits, config.against.distance),
                Stage::Sha256 => plain.same(*stage, |fact| fact.sha256),
                Stage::Near => plain.near(config.near.distance, config.near.link),
            }
        }
        for row in 0..facts.len() {
            while plain.heads[row] != plain.heads[plain.heads[row]] {
                plain.heads[row] = plain.heads[plain.heads[row]];
            }
        }
        plain
    }

    fn config() -> impl Strategy<Value = DedupConfig> {
        let stages = prop::sample::subsequence(Stage::ALL.to_vec(), 1..=6);
        let link = prop_oneof![Just(Link::Single), Just(Link::Representative)];
        (stages, 2_u64..8, 0_u64..3, 0_u32..3, 0_u32..3, link).prop_map(
            |(stages, rows, sites, distance, against, link)| {
                let mut config = DedupConfig { stages, ..DedupConfig::default() };
                config.placeholder = PlaceholderConfig { rows, sites };
                (config.near.distance, config.near.link) = (distance, link);
                config.against.distance = against;
                config
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn verdicts_are_those_of_the_description(
            facts in prop::collection::vec(fact(), 1..60),
            config in config(),
            exhibits in prop::collection::vec(0_u64..1 << 7, 0..4),
        ) {
            let exhibits: Vec<PHash> = exhibits.into_iter().map(PHash).collect();
            let expected = plain(&facts, &config, &exhibits);
            let named = Exhibits::of(exhibits.iter().map(|hash| (*hash, String::new())).collect());
            let verdicts = found(&facts, &config, &named);
            let rows = 0..facts.len() as u32;
            let near: Vec<_> = rows.map(|row| verdicts.exhibit(row)).collect();
            prop_assert_eq!(&verdicts.stages, &expected.stages);
            let heads: Vec<usize> = verdicts.heads.iter().map(|head| *head as usize).collect();
            prop_assert_eq!(&heads, &expected.heads);
            prop_assert_eq!(&near, &expected.exhibits);
        }

        /// Where no two pictures are of equal size, their order does not matter.
        #[test]
        fn the_order_of_the_rows_does_not_matter(
            mut facts in prop::collection::vec(fact(), 1..60), config in config(), seed in any::<u64>(),
        ) {
            (0..).zip(&mut facts).for_each(|(i, fact)| fact.area = i);
            let before = found(&facts, &config, &Exhibits::default());
            let mut order: Vec<usize> = (0..facts.len()).collect();
            order.sort_by_key(|i| (*i as u64).wrapping_mul(seed | 1) >> 7 & 0xff);
            let shuffled: Vec<Fact> = order.iter().map(|row| facts[*row].clone()).collect();
            let after = found(&shuffled, &config, &Exhibits::default());
            for (new, old) in order.iter().enumerate() {
                prop_assert_eq!(after.stages[new], before.stages[*old]);
                prop_assert_eq!(order[after.heads[new] as usize], before.heads[*old] as usize);
            }
        }

        #[test]
        fn what_is_kept_has_no_duplicates(facts in prop::collection::vec(fact(), 1..60), config in config()) {
            let mut rest = facts;
            let once = found(&rest, &config, &Exhibits::default());
            let mut kept = once.stages.iter().map(Option::is_none);
            rest.retain(|_| kept.next().unwrap());
            if !rest.is_empty() {
                let twice = found(&rest, &config, &Exhibits::default());
                prop_assert!(twice.stages.iter().all(Option::is_none));
            }
        }
    }
}
