//! Where every row goes: its side, and its place on it. What is in memory is a byte per row and, of a new order, four more.

use std::ops::Range;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::choose::{Chooser, Chosen};
use super::config::{Order, ReshardConfig};
use super::source::Source;
use super::{shuffle, sort};
use crate::interrupt::Interrupt;
use crate::{Error, Result};

/// The places of all rows.
#[derive(Debug)]
pub(super) struct Arrangement {
    /// Per block.
    chosen: Vec<Chosen>,
    sides: Vec<SideRows>,
}

/// The rows of a side.
#[derive(Debug)]
struct SideRows {
    /// Rows before each block, and after the last one.
    before: Vec<u64>,
    /// Where they go; `None`: they stay in order.
    places: Option<Vec<u32>>,
}

impl Arrangement {
    /// Decides over all rows, on the threads of the pool that this runs in.
    ///
    /// # Errors
    /// A file that cannot be read, a column that cannot be sorted, an interrupt.
    pub(super) fn of(
        config: &ReshardConfig,
        source: &Source,
        chooser: &Chooser,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let choose = |block| interrupt.check().and_then(|()| chooser.choose(source, block));
        let chosen: Vec<Chosen> = source
            .blocks()
            .par_iter()
            .map(choose)
            .collect::<Vec<Result<_>>>()
            .into_iter()
            .collect::<Result<_>>()?;
        let names: Vec<&str> = match config.split.sides.as_slice() {
            [] => vec![""],
            sides => sides.iter().map(|side| side.name.as_str()).collect(),
        };
        let mut sides = Vec::new();
        for (side, name) in names.into_iter().enumerate() {
            let before = sums(chosen.iter().map(|block| block.written[side]));
            let rows = || small(before.last().copied().unwrap_or(0));
            let places = match config.order.kind {
                Order::Input => None,
                Order::Shuffle => Some(shuffle::places(rows()?, config.seed, name)),
                Order::Sort => {
                    rows()?;
                    Some(sort::places(source, &chosen, side, &config.order)?)
                }
            };
            sides.push(SideRows { before, places });
        }
        Ok(Self { chosen, sides })
    }

    /// Rows of a side.
    pub(super) fn rows(&self, side: usize) -> u64 {
        self.sides[side].before.last().copied().unwrap_or(0)
    }

    /// The rows of a block that are written, each with its side and its place on it.
    pub(super) fn placed(&self, block: usize) -> impl Iterator<Item = (u32, usize, u64)> {
        let mut next: Vec<u64> = self.sides.iter().map(|side| side.before[block]).collect();
        self.chosen[block].rows().map(move |(row, side)| {
            let number = next[side];
            next[side] += 1;
            (row, side, self.sides[side].place(number))
        })
    }

    /// Of a side whose rows stay in order, those of some places: blocks, and rows of them.
    pub(super) fn stretch(&self, side: usize, places: Range<u64>) -> impl Iterator<Item = (usize, Vec<u32>)> {
        let before = &self.sides[side].before;
        let first = before.partition_point(|rows| *rows <= places.start).saturating_sub(1);
        let end = before.partition_point(|rows| *rows < places.end);
        (first..end.min(self.chosen.len())).map(move |block| {
            let within = |(_, on, place): &(u32, usize, u64)| *on == side && places.contains(place);
            (block, self.placed(block).filter(within).map(|(row, ..)| row).collect())
        })
    }
}

impl SideRows {
    fn place(&self, number: u64) -> u64 {
        match &self.places {
            Some(places) => usize::try_from(number).map_or(0, |number| u64::from(places[number])),
            None => number,
        }
    }
}

/// 0, the first, the first two together, and so on.
fn sums(numbers: impl Iterator<Item = u64>) -> Vec<u64> {
    let sum = numbers.scan(0, |sum, number| {
        *sum += number;
        Some(*sum)
    });
    std::iter::once(0).chain(sum).collect()
}

fn small(rows: u64) -> Result<u32> {
    let many = |_| {
        Error::config(
            "order.kind",
            format!("{rows} rows are too many for a new order: 4,294,967,295 at most"),
        )
        .with_hint("split them first, with --split, and reshard each side")
    };
    u32::try_from(rows).map_err(many)
}
