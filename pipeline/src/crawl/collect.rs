//! Rows that are done in any order, written in input order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::budget::Waiting;
use super::config::OutputConfig;
use super::fetch::Failure;
use super::list::Block;
use super::output::UnitOutput;
use super::process::Processed;
use super::stats::UnitStats;
use super::timings::Timings;
use crate::pairs::{Keys, Layout, Row};
use crate::reason::Reason;
use crate::unit::{Attempt, Produced};
use crate::{Error, Result};

/// What became of a row.
#[derive(Debug)]
pub(super) enum Finished {
    Image(Processed),
    Failed(Failure),
}

impl Finished {
    pub(super) fn failed(failure: Failure) -> Self {
        Self::Failed(failure)
    }

    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Image(_) => Reason::Ok,
            Self::Failed(failure) => failure.reason,
        }
    }

    /// Memory that it holds until it is written.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Image(done) => done.image.len() as u64,
            Self::Failed(_) => 0,
        }
    }
}

/// A block of which some rows are not done.
struct Open {
    block: Block,
    rows: Vec<Option<Finished>>,
    missing: usize,
}

/// Collects the rows of a unit and writes whole blocks.
pub(super) struct Collector {
    output: UnitOutput,
    stats: UnitStats,
    open: VecDeque<Open>,
    /// Row of the unit at which `open` begins; the feeder watches it.
    first: Arc<AtomicUsize>,
    keys: Keys,
    rows: u64,
}

impl Collector {
    pub(super) fn start(
        attempt: &Attempt<'_>,
        layout: &Layout,
        output: &OutputConfig,
        timings: Arc<Timings>,
    ) -> Result<Self> {
        Ok(Self {
            output: UnitOutput::start(attempt, layout, output.format)?,
            stats: UnitStats::start(timings),
            open: VecDeque::new(),
            first: Arc::default(),
            keys: Keys::new(attempt.label(), output.rows_per_unit),
            rows: attempt.unit.rows,
        })
    }

    /// The first row that is not written, kept up to date.
    pub(super) fn front(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.first)
    }

    fn first(&self) -> usize {
        self.first.load(Ordering::Relaxed)
    }

    /// The key of a row, as img2dataset numbers it.
    pub(super) fn key(&self, index: usize) -> String {
        self.keys.key(index)
    }

    /// The URL of a row that is not written yet.
    pub(super) fn url(&self, index: usize) -> &str {
        let link = self.place(index).and_then(|(open, row)| self.open.get(open)?.block.links.get(row));
        link.and_then(|link| link.as_deref().ok()).unwrap_or("")
    }

    pub(super) fn block(&mut self, block: Block) {
        let missing = block.links.len();
        self.open.push_back(Open { rows: (0..missing).map(|_| None).collect(), missing, block });
    }

    /// Takes a row that is done and writes what has become whole.
    pub(super) fn row(&mut self, index: usize, done: Finished, waiting: &Waiting) -> Result<()> {
        let lost = Error::Lost { what: "the list reader" };
        let Some((open, row)) = self.place(index) else { return Err(lost) };
        let open = &mut self.open[open];
        if open.rows[row].replace(done).is_none() {
            open.missing -= 1;
        }
        while self.open.front().is_some_and(|open| open.missing == 0) {
            let Some(open) = self.open.pop_front() else { break };
            let bytes = open.rows.iter().flatten().map(Finished::bytes).sum();
            self.write(open)?;
            waiting.written(bytes);
        }
        Ok(())
    }

    /// Which open block a row lies in, and where.
    fn place(&self, index: usize) -> Option<(usize, usize)> {
        let mut row = index.checked_sub(self.first())?;
        for (i, open) in self.open.iter().enumerate() {
            if row < open.rows.len() {
                return Some((i, row));
            }
            row -= open.rows.len();
        }
        None
    }

    fn write(&mut self, open: Open) -> Result<()> {
        let count = open.rows.len();
        let cells = open.block.links.into_iter().zip(open.block.captions);
        let mut rows = Vec::with_capacity(count);
        for (i, (done, (link, caption))) in open.rows.into_iter().flatten().zip(cells).enumerate() {
            let url = link.ok().filter(|url| !url.is_empty());
            let row = row_of(done, url, caption, self.key(self.first() + i));
            self.stats.count(&row);
            rows.push(row);
        }
        self.first.fetch_add(count, Ordering::Relaxed);
        self.output.write(&open.block.extra, &rows)
    }

    /// Ends the unit's files once every row of it is written.
    pub(super) fn finish(self) -> Result<Produced> {
        let (files, rows) = self.output.close()?;
        if rows != self.rows || !self.open.is_empty() {
            return Err(Error::Lost { what: "a download" });
        }
        Ok(Produced { files, rows, counts: self.stats.by_code(), stats: self.stats.to_json() })
    }
}

fn row_of(done: Finished, url: Option<String>, caption: Option<String>, key: String) -> Row {
    match done {
        Finished::Image(done) => Row {
            url,
            caption,
            size: done.size,
            original_size: done.original_size,
            exif: done.exif,
            hash: done.hash,
            image: Some(done.image),
            ..Row::new(key, Reason::Ok)
        },
        Finished::Failed(Failure { reason, message, rule, .. }) => Row {
            url,
            caption,
            error_message: Some(message.unwrap_or_else(|| reason.error_message().to_owned())),
            rule,
            ..Row::new(key, reason)
        },
    }
}
