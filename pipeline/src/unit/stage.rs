//! A stage from plan to manifest: what every command does that makes a folder of shards from other shards.

use std::collections::BTreeMap;
use std::thread::available_parallelism;
use std::time::Instant;

use serde::Serialize;

use super::{Attempt, Commit, Plan, Produced, Selection};
use super::{committed, pending, refuse_foreign, run_units_overlapped, start_over};
use crate::interrupt::Interrupt;
use crate::progress::{Progress, ProgressStyle};
use crate::store::Store;
use crate::{Error, Result};

/// How a stage is run, apart from its config; decides nothing about the output.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Which units.
    pub selection: Selection,
    /// Delete the output of an earlier plan first.
    pub fresh: bool,
    /// How progress is shown.
    pub style: ProgressStyle,
    /// Tell each failed row.
    pub verbose: bool,
    /// When to stop.
    pub interrupt: Interrupt,
}

impl Default for RunOptions {
    /// All units, silently.
    fn default() -> Self {
        Self {
            selection: Selection::All,
            fresh: false,
            style: ProgressStyle::Quiet,
            verbose: false,
            interrupt: Interrupt::never(),
        }
    }
}

/// What a stage did: the counts are those of the whole output folder, the seconds those of this run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageSummary {
    /// The output folder.
    pub output: String,
    /// The plan.
    pub plan_id: String,
    /// Units of the plan.
    pub units: usize,
    /// Units that were done before this run.
    pub units_before: usize,
    /// Units that this run committed.
    pub units_done: usize,
    /// Units that are still missing.
    pub units_missing: usize,
    /// Input rows of this run.
    pub rows_done: u64,
    /// Input rows of all committed units.
    pub rows_read: u64,
    /// Rows in all shards.
    pub rows: u64,
    /// Input rows per outcome, over all committed units.
    pub counts: BTreeMap<String, u64>,
    /// Bytes of all files.
    pub bytes: u64,
    /// Seconds of this run.
    pub seconds: f64,
}

impl StageSummary {
    /// Whether this run found nothing to do.
    pub fn already_done(&self) -> bool {
        self.units_done == 0 && self.units_before > 0
    }
}

/// Runs the units of `plan` that are not done into the folder `output`, as many at a time as there are `threads` (0: one
/// per core), and writes the manifest after a run over all of them. The same call again continues.
///
/// `work` makes one unit and tells `progress` of its rows.
///
/// # Errors
/// Another plan or another program's shards in the folder, a store that fails, an interrupt, the first error of `work`.
pub fn run_stage(
    plan: &Plan,
    output: &str,
    threads: usize,
    options: &RunOptions,
    progress: &Progress,
    work: impl Fn(&Attempt<'_>) -> Result<Produced> + Sync,
) -> Result<StageSummary> {
    let started = Instant::now();
    let store = Store::create(output)?;
    refuse_foreign(&store)?;
    if options.fresh {
        start_over(&store)?;
    }
    plan.settle(&store)?;
    let todo = pending(&store, plan, options.selection)?;
    progress.set_total(todo.rows, todo.rows_done);
    progress.message("");
    if todo.done() > 0 && !todo.units.is_empty() {
        progress.note(&format!("{} of {} units already done", todo.done(), todo.selected));
    }
    let lanes = match threads {
        0 => available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let told = |commit: &Commit| progress.event("unit", event(commit));
    let ran = run_units_overlapped(&store, plan, &todo, &options.interrupt, lanes, work, told);
    if matches!(ran, Err(Error::Interrupted { .. })) {
        let done = committed(&store)?.len();
        progress.note(&format!("{done} of {} units are committed", plan.units.len()));
    }
    let done = ran?.done;
    let mut summary = totals(&store, plan, output)?;
    (summary.units_before, summary.units_done) = (todo.done(), done);
    summary.rows_done = todo.rows - todo.rows_done;
    summary.seconds = started.elapsed().as_secs_f64();
    Ok(summary)
}

/// What `--json` tells of a unit that has just been committed.
fn event(commit: &Commit) -> serde_json::Map<String, serde_json::Value> {
    let files: Vec<&str> = commit.files.iter().map(|file| file.name.as_str()).collect();
    [
        ("unit", commit.unit.into()),
        ("files", files.into()),
        ("rows", commit.rows.into()),
        ("bytes", commit.bytes().into()),
        ("counts", serde_json::json!(commit.counts)),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into_iter()
    .collect()
}

/// The summary of all committed units, as a run sees it that did nothing.
fn totals(store: &Store, plan: &Plan, output: &str) -> Result<StageSummary> {
    let commits = committed(store)?;
    let mut counts = BTreeMap::new();
    for (outcome, rows) in commits.iter().flat_map(|commit| &commit.counts) {
        *counts.entry(outcome.clone()).or_insert(0) += rows;
    }
    let read = |commit: &Commit| plan.units.get(commit.unit).map_or(0, |unit| unit.rows);
    Ok(StageSummary {
        output: output.to_owned(),
        plan_id: plan.plan_id.clone(),
        units: plan.units.len(),
        units_before: commits.len(),
        units_done: 0,
        units_missing: plan.units.len().saturating_sub(commits.len()),
        rows_done: 0,
        rows_read: commits.iter().map(read).sum(),
        rows: commits.iter().map(|commit| commit.rows).sum(),
        counts,
        bytes: commits.iter().map(Commit::bytes).sum(),
        seconds: 0.0,
    })
}
