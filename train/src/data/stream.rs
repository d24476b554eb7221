//! Rows in a shuffled order from more shards than fit into memory.
//!
//! Every epoch puts the blocks of all shards into an order of its own and cuts it into windows of a bounded number of
//! rows; the rows of a window are shuffled among each other. Which row comes at which place is a function of the seed and
//! the place alone, so a resumed run goes on with the very next row. The window after the present one is read by another
//! thread meanwhile. Where everything fits into one window, every epoch is a permutation of all rows.

use std::ops::Range;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::order::permutation;
use super::{Block, Order, Reading, Tokens};
use crate::device::mix;
use crate::{Error, Result};

/// Which rows of some tokens are taken, in their order.
pub type Choose = Arc<dyn Fn(&Tokens) -> Vec<usize> + Send + Sync>;

/// Rows that are in memory together.
#[derive(Debug)]
pub struct Window {
    /// All of them.
    pub tokens: Arc<Tokens>,
    /// Those that are taken, in the order of the shards.
    pub rows: Vec<usize>,
}

/// One row and where it lies.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The window that holds it.
    pub window: Arc<Window>,
    /// Its place there.
    pub row: usize,
}

/// An endless sequence of rows, epoch after epoch.
pub struct Stream {
    source: Source,
    waited: Duration,
}

enum Source {
    Whole { window: Arc<Window>, order: Order },
    Windows(Windows),
}

impl Stream {
    /// Over rows that are all in memory; `None` where there is none.
    #[must_use]
    pub fn whole(tokens: &Arc<Tokens>, choose: &Choose, seed: u64) -> Option<Self> {
        let window = Arc::new(Window { tokens: Arc::clone(tokens), rows: choose(tokens) });
        let order = Order::new(seed, window.rows.len(), 1);
        let source = Source::Whole { window: Arc::clone(&window), order };
        (!window.rows.is_empty()).then_some(Self { source, waited: Duration::ZERO })
    }

    /// Over blocks of shards, at least `buffer` rows of them at a time, where there are so many; `None` where no row is
    /// taken. `of_complete` says whether all rows or none are taken where every row has a caption and an image; other
    /// blocks are read once, to count what is taken of them.
    ///
    /// # Errors
    /// A shard that cannot be read.
    pub fn windows(
        blocks: &[Block],
        reading: &Arc<Reading>,
        choose: &Choose,
        (buffer, seed): (usize, u64),
        of_complete: Option<bool>,
    ) -> Result<Option<Self>> {
        let mut counted = Vec::with_capacity(blocks.len());
        for block in blocks {
            let known = of_complete.filter(|_| block.complete && reading.filter.is_any());
            let count = match known {
                Some(all) => block.rows * usize::from(all),
                None => choose(&reading.load(std::slice::from_ref(block))?).len(),
            };
            counted.push(Counted { block: block.clone(), taken: count as u64 });
        }
        let taken: u64 = counted.iter().map(|one| one.taken).sum();
        let windows = Windows {
            blocks: counted.into(),
            reading: Arc::clone(reading),
            choose: Arc::clone(choose),
            buffer,
            seed,
            taken,
            plan: None,
            now: None,
            ahead: None,
        };
        Ok((taken > 0).then_some(Self { source: Source::Windows(windows), waited: Duration::ZERO }))
    }

    /// Rows of one epoch.
    #[must_use]
    pub fn len(&self) -> u64 {
        match &self.source {
            Source::Whole { window, .. } => window.rows.len() as u64,
            Source::Windows(windows) => windows.taken,
        }
    }

    /// Never: a stream without rows is not made.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows at these places, counted over all epochs.
    ///
    /// # Errors
    /// A shard that is gone or damaged, by name.
    pub fn take(&mut self, places: Range<u64>) -> Result<Vec<Taken>> {
        match &mut self.source {
            Source::Whole { window, order } => {
                let row = |index: usize| Taken { window: Arc::clone(window), row: window.rows[index] };
                Ok(order.span(places).into_iter().map(row).collect())
            }
            Source::Windows(windows) => places.map(|place| windows.row(place, &mut self.waited)).collect(),
        }
    }

    /// How long rows were waited for since this was asked last.
    pub fn waited(&mut self) -> Duration {
        std::mem::take(&mut self.waited)
    }
}

#[derive(Clone)]
struct Counted {
    block: Block,
    taken: u64,
}

struct Windows {
    blocks: Arc<[Counted]>,
    reading: Arc<Reading>,
    choose: Choose,
    /// Rows that a window holds at least, if there are so many.
    buffer: usize,
    seed: u64,
    /// Rows of one epoch.
    taken: u64,
    /// Of the epoch that was looked at last.
    plan: Option<Plan>,
    now: Option<Loaded>,
    ahead: Option<(Place, JoinHandle<Result<Loaded>>)>,
}

/// A window of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    epoch: u64,
    window: usize,
}

/// The windows of an epoch: the places where they begin, and their blocks.
struct Plan {
    epoch: u64,
    windows: Vec<(u64, Vec<usize>)>,
}

struct Loaded {
    place: Place,
    window: Arc<Window>,
    order: Vec<u32>,
}

impl Plan {
    fn new(blocks: &[Counted], buffer: usize, seed: u64, epoch: u64) -> Self {
        let order = permutation(mix(seed, epoch), blocks.len());
        let (mut windows, mut held, mut begin) = (Vec::<(u64, Vec<usize>)>::new(), usize::MAX, 0);
        for block in order.into_iter().map(|block| block as usize) {
            if held >= buffer {
                windows.push((begin, Vec::new()));
                held = 0;
            }
            if let Some((_, blocks)) = windows.last_mut() {
                blocks.push(block);
            }
            held += blocks[block].block.rows;
            begin += blocks[block].taken;
        }
        Self { epoch, windows }
    }

    /// The window of a place in the epoch, and where it begins.
    fn find(&self, place: u64) -> (usize, u64) {
        // Of windows that begin at the same place all but the last are empty.
        let after = self.windows.partition_point(|(begin, _)| *begin <= place);
        let window = after.saturating_sub(1);
        (window, self.windows.get(window).map_or(0, |(begin, _)| *begin))
    }
}

impl Windows {
    fn row(&mut self, place: u64, waited: &mut Duration) -> Result<Taken> {
        let (epoch, within) = (place / self.taken, place % self.taken);
        let (window, begin) = self.plan(epoch).find(within);
        let wanted = Place { epoch, window };
        if self.now.as_ref().is_none_or(|now| now.place != wanted) {
            let began = Instant::now();
            self.now = Some(self.load(wanted)?);
            *waited += began.elapsed();
            self.read_ahead(wanted);
        }
        let index = usize::try_from(within - begin).unwrap_or(usize::MAX);
        let found = self.now.as_ref().and_then(|now| {
            let row = now.window.rows.get(*now.order.get(index)? as usize)?;
            Some(Taken { window: Arc::clone(&now.window), row: *row })
        });
        found.ok_or_else(|| Error::config("the shards hold fewer rows than when the run was started"))
    }

    fn plan(&mut self, epoch: u64) -> &Plan {
        let known = self.plan.take().filter(|plan| plan.epoch == epoch);
        self.plan.insert(known.unwrap_or_else(|| Plan::new(&self.blocks, self.buffer, self.seed, epoch)))
    }

    fn load(&mut self, wanted: Place) -> Result<Loaded> {
        match self.ahead.take() {
            Some((place, thread)) if place == wanted => {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }
            _ => self.job(wanted)(),
        }
    }

    fn read_ahead(&mut self, now: Place) {
        let mut next = Place { window: now.window + 1, ..now };
        if next.window >= self.plan(now.epoch).windows.len() {
            next = Place { epoch: now.epoch + 1, window: 0 };
        }
        let job = self.job(next);
        self.ahead = Some((next, std::thread::spawn(job)));
    }

    /// What reads a window, for this thread or another.
    fn job(&mut self, place: Place) -> impl FnOnce() -> Result<Loaded> + Send + use<> {
        let blocks = self.plan(place.epoch).windows.get(place.window).map(|(_, blocks)| blocks.clone());
        let blocks = blocks.unwrap_or_default();
        let (all, reading, choose) =
            (Arc::clone(&self.blocks), Arc::clone(&self.reading), Arc::clone(&self.choose));
        let seed = mix(mix(self.seed, place.epoch), place.window as u64 + 1);
        move || {
            let wanted: Vec<Block> = blocks.iter().map(|block| all[*block].block.clone()).collect();
            let tokens = Arc::new(reading.load(&wanted)?);
            let rows = choose(&tokens);
            let order = permutation(seed, rows.len());
            Ok(Loaded { place, window: Arc::new(Window { tokens, rows }), order })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use proptest::prelude::*;
    use tokenize::tokens::{TokenMeta, TokenRow, TokenWriter};

    use super::super::{Catalog, Expected, Where};
    use super::*;

    /// Rows of a row group, so few that a test has several.
    fn shard(path: &Path, rows: Range<u32>) {
        let meta = TokenMeta {
            codec_sha256: "c".into(),
            codebook_size: 16,
            grid: 1,
            vocab_size: 30_000,
            ..TokenMeta::default()
        };
        let file = pipeline::atomic::AtomicFile::create(path).unwrap();
        let mut writer = TokenWriter::new(file, path, &meta, &[]).unwrap();
        for row in rows {
            // Every tenth row is a text without an image.
            let codes = (row % 10 != 9).then(|| vec![(row % 16) as u16]);
            let row =
                TokenRow { key: row.to_string(), text_ids: Some(vec![row]), codes, ..TokenRow::default() };
            writer.push(row).unwrap();
        }
        writer.finish().unwrap().commit().unwrap();
    }

    fn reading() -> Arc<Reading> {
        let expected = Expected { grid: 1, codebook_size: 16, vocab_size: 30_000, ..Expected::default() };
        Arc::new(Reading { expected, ..Reading::default() })
    }

    /// Ten shards of two row groups, and three shards of one.
    fn shards() -> (tempfile::TempDir, Vec<Block>) {
        let dir = tempfile::tempdir().unwrap();
        let mut from = 0;
        for index in 0..5 {
            let rows = if index < 2 { 4100 } else { 7 };
            shard(&dir.path().join(format!("{index}.parquet")), from..from + rows);
            from += rows;
        }
        let catalog = Catalog::read(&[dir.path()], &reading()).unwrap();
        assert_eq!((catalog.blocks.len(), catalog.rows()), (7, 8221));
        (dir, catalog.blocks)
    }

    fn images() -> Choose {
        Arc::new(|tokens| (0..tokens.len()).filter(|row| tokens.codes(*row).is_some()).collect())
    }

    fn stream(blocks: &[Block], buffer: usize, seed: u64) -> Stream {
        Stream::windows(blocks, &reading(), &images(), (buffer, seed), Some(true)).unwrap().unwrap()
    }

    fn ids(stream: &mut Stream, places: Range<u64>) -> Vec<u32> {
        let taken = stream.take(places).unwrap();
        taken.iter().map(|taken| taken.window.tokens.text(taken.row)[0]).collect()
    }

    #[test]
    fn every_epoch_sees_every_row_once_in_an_order_of_its_own() {
        let (_dir, blocks) = shards();
        let all: BTreeSet<u32> = (0..8221).filter(|row| row % 10 != 9).collect();
        let mut stream = stream(&blocks, 100, 3);
        assert_eq!(stream.len(), all.len() as u64);
        let [first, second] = [0, 1].map(|epoch| {
            let from = epoch * stream.len();
            ids(&mut stream, from..from + all.len() as u64)
        });
        assert!(first != second);
        for epoch in [first, second] {
            assert_eq!(epoch.len(), all.len());
            assert!(epoch.into_iter().collect::<BTreeSet<_>>() == all);
        }
    }

    #[test]
    fn a_window_of_everything_is_a_permutation_of_all_rows() {
        let (_dir, blocks) = shards();
        let mut windows = stream(&blocks, 100_000, 3);
        let rows = ids(&mut windows, 0..50);
        assert!(rows.iter().max() > Some(&4100) && rows.iter().min() < Some(&4100), "{rows:?}");
        let tokens = Arc::new(reading().load(&blocks).unwrap());
        assert_eq!(Stream::whole(&tokens, &images(), 3).unwrap().len(), windows.len());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn a_row_depends_on_nothing_but_its_place(
            places in proptest::collection::vec(0u64..20_000, 1..6), seed: u64, buffer in 1usize..5000,
        ) {
            let (_dir, blocks) = shards();
            let mut wandering = stream(&blocks, buffer, seed);
            for place in places {
                let wandered = ids(&mut wandering, place..place + 9);
                prop_assert_eq!(wandered, ids(&mut stream(&blocks, buffer, seed), place..place + 9));
            }
        }
    }

    #[test]
    fn a_shard_that_vanishes_or_is_cut_is_named() {
        let (dir, blocks) = shards();
        let mut stream = stream(&blocks, 100, 3);
        let gone = dir.path().join("1.parquet");
        let bytes = std::fs::read(&gone).unwrap();
        std::fs::remove_file(&gone).unwrap();
        let error = stream.take(0..2 * 7399).unwrap_err();
        assert!(error.to_string().contains("1.parquet: "), "{error}");
        pipeline::atomic::write(&gone, &bytes[..bytes.len() / 2]).unwrap();
        let error = stream.take(0..2 * 7399).unwrap_err();
        assert!(error.to_string().contains("1.parquet: "), "{error}");
        pipeline::atomic::write(&gone, bytes).unwrap();
        assert_eq!(stream.take(0..7399).unwrap().len(), 7399, "once it is back the stream goes on");
    }

    #[test]
    fn the_last_images_are_held_out_by_whole_blocks() {
        let (dir, _) = shards();
        let mut catalog = Catalog::read(&[dir.path()], &reading()).unwrap();
        let held_out = catalog.hold_out(10, &reading()).unwrap();
        assert!((10..30).contains(&held_out.images().len()), "{}", held_out.images().len());
        assert_eq!(catalog.rows() + held_out.len(), 8221);
        let none = Reading {
            filter: Where([("a".to_owned(), super::super::Values::One("b".into()))].into()),
            ..(*reading()).clone()
        };
        assert!(none.load(&catalog.blocks).unwrap_err().to_string().contains("no column `a`"));
    }
}
