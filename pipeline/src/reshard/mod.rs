//! Shards cut anew: folders merged, rows picked by a list, divided without leakage, shuffled or sorted, by the contract of
//! [`crate::unit`] with a unit for each new shard.
//!
//! What decides over a row is read first, one or two columns of all inputs; then the rows go to their new shards. In their
//! old order they are read shard by shard, in a new one they pass through a file on disk, so that no more pictures are in
//! memory than are being written.
//!
//! ```no_run
//! use pipeline::reshard::{ReshardConfig, run};
//! use pipeline::unit::RunOptions;
//! let sets = ["input.paths=data/pairs", "order.kind=shuffle", "output.path=data/shuffled"];
//! let config: ReshardConfig = pipeline::settings::load(None, &sets.map(str::to_owned))?;
//! let summary = run(&config, &RunOptions::default())?;
//! println!("{}", summary.text());
//! # Ok::<(), pipeline::Error>(())
//! ```

mod arrange;
mod choose;
mod config;
mod npy;
mod plans;
mod scatter;
mod shuffle;
mod sort;
mod source;
mod split;
mod spool;
mod subset;
mod summary;
mod write;

use std::path::PathBuf;
use std::time::Instant;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::progress::Progress;
use crate::store::{Store, same_place};
use crate::unit::{Attempt, InputFile, Plan, Produced, RunOptions, run_stage};
use crate::{Error, Result};

use arrange::Arrangement;
use choose::Chooser;
pub use config::{
    InputConfig, Order, OrderConfig, OutputConfig, ReshardConfig, RunConfig, Share, SplitConfig, SubsetConfig,
};
use plans::selections;
use scatter::{Scattered, Targets};
use source::Source;
pub use summary::{ReshardSummary, SideSummary};
use write::{NewShard, piece};

/// Makes the new shards; a second run finds them done.
///
/// # Errors
/// A bad config or list, inputs of different columns, another plan in an output folder, a full disk, an interrupt.
pub fn run(config: &ReshardConfig, options: &RunOptions) -> Result<ReshardSummary> {
    config.validate()?;
    let progress = Progress::begin(options.style, "rows", "looking at the shards");
    let done = Job::new(config, options, &progress).and_then(|job| job.run());
    progress.finish();
    done
}

/// A reshard, its inputs looked at.
struct Job<'a> {
    config: &'a ReshardConfig,
    options: &'a RunOptions,
    progress: &'a Progress,
    started: Instant,
    threads: ThreadPool,
    source: Source,
    inputs: Vec<InputFile>,
    chooser: Chooser,
}

/// Where rows go, and those that are on their way.
struct Rows {
    arrangement: Arrangement,
    targets: Targets,
    scattered: Option<Scattered>,
}

impl<'a> Job<'a> {
    fn new(config: &'a ReshardConfig, options: &'a RunOptions, progress: &'a Progress) -> Result<Self> {
        if let Some(same) = config.input.paths.iter().find(|path| same_place(path, &config.output.path)) {
            let error = Error::config("output.path", format!("{same} is an input"));
            return Err(error.with_hint("choose another --out"));
        }
        let threads = ThreadPoolBuilder::new().num_threads(config.run.threads).build();
        let threads = threads.map_err(|_| Error::Lost { what: "the threads" })?;
        let source = Source::open(&config.input.paths)?;
        if config.output.rekey {
            source.require_text("key", "output.rekey")?;
        }
        for column in &config.order.by {
            source.require(column, "order.by")?;
        }
        let (inputs, chooser) = (source.inputs()?, Chooser::new(config, &source)?);
        Ok(Self { config, options, progress, started: Instant::now(), threads, source, inputs, chooser })
    }

    fn run(&self) -> Result<ReshardSummary> {
        if let Some(key) = self.source.repeated_key()?.filter(|_| !self.config.output.rekey) {
            self.progress
                .note(&format!("the key {key} is in several inputs: --rekey gives every row its own"));
        }
        let sides = self.sides();
        let mut arrangement = None;
        let plans = match self.earlier(&sides)? {
            Some(plans) => plans,
            None => self.plans(&sides, arrangement.insert(self.arrange()?))?,
        };
        self.settle(&sides, &plans)?;
        let selections = selections(self.options.selection, &plans)?;
        let targets = self.targets(&sides, &plans, &selections)?;
        let rows = match targets.is_empty() {
            true => None,
            false => Some(self.rows(arrangement, targets)?),
        };
        let mut stages = Vec::new();
        for (index, (side, plan)) in sides.iter().zip(&plans).enumerate() {
            let Some(selection) = selections[index] else { continue };
            let options = RunOptions { selection, fresh: false, ..self.options.clone() };
            let work = |attempt: &Attempt<'_>| match &rows {
                Some(rows) => self.unit(attempt, plan, index, rows),
                None => Err(Error::Lost { what: "the order of the rows" }),
            };
            let lanes = self.threads.current_num_threads();
            stages.push((index, run_stage(plan, &side.output, lanes, &options, self.progress, work)?));
        }
        Ok(self.summary(&sides, &plans, stages))
    }

    fn arrange(&self) -> Result<Arrangement> {
        self.progress.message("looking where the rows go");
        let interrupt = &self.options.interrupt;
        self.threads.install(|| Arrangement::of(self.config, &self.source, &self.chooser, interrupt))
    }

    /// Finds the places of rows, if that is not done, and sets those on their way that leave their order.
    fn rows(&self, arrangement: Option<Arrangement>, targets: Targets) -> Result<Rows> {
        let arrangement = arrangement.map_or_else(|| self.arrange(), Ok)?;
        let scattered = match self.config.order.kind {
            Order::Input => None,
            Order::Shuffle | Order::Sort => {
                let (folder, interrupt) = (self.temp()?, &self.options.interrupt);
                let scatter =
                    || Scattered::of(&self.source, &arrangement, &targets, &folder, interrupt, self.progress);
                Some(self.threads.install(scatter)?)
            }
        };
        Ok(Rows { arrangement, targets, scattered })
    }

    /// Where rows wait.
    fn temp(&self) -> Result<PathBuf> {
        let folder = match self.config.run.temp.as_str() {
            "" => Store::open(&self.config.output.path)?.local_path("").unwrap_or_else(std::env::temp_dir),
            folder => PathBuf::from(folder),
        };
        std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
        Ok(folder)
    }

    /// Makes a shard.
    fn unit(&self, attempt: &Attempt<'_>, plan: &Plan, side: usize, rows: &Rows) -> Result<Produced> {
        let mut shard = NewShard::start(attempt, &self.source, plan, self.config.output.rekey)?;
        let mut push = |batch: arrow::array::RecordBatch| {
            self.progress.add(batch.num_rows() as u64);
            shard.push(&batch)
        };
        match &rows.scattered {
            Some(scattered) => {
                let unit = rows.targets.unit(side, attempt.unit.index);
                scattered.unit(unit, piece(&self.source), push)?;
            }
            None => {
                let places = attempt.unit.start..attempt.unit.start + attempt.unit.rows;
                for (block, picked) in rows.arrangement.stretch(side, places) {
                    self.source.pick(&self.source.blocks()[block], &picked, None, &mut push)?;
                }
            }
        }
        shard.finish()
    }
}

#[cfg(test)]
mod tests;
