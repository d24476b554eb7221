//! Deduplication: pair shards or link tables → the same without rows that say nothing new, by the contract of
//! [`crate::unit`].
//!
//! 1. `hashing` decodes and hashes the pictures, unit by unit, into `_hashes/` of the output folder: a kill costs one
//!    unit, and a run with another distance finds the hashes there.
//! 2. `verdicts` compares the rows, about 60 bytes each: exact digests by sorting, perceptual hashes by `index` and
//!    `cluster`. `decisions.parquet` and `dedup.json` tell what was found.
//! 3. `rewrite` writes the shards anew, each with the columns `phash` and `cluster`; what is dropped lies beside them.
//!
//! ```no_run
//! use pipeline::dedup::{DedupConfig, run};
//! let sets = ["input.path=data/pairs".to_owned(), "output.path=data/unique".to_owned()];
//! let config: DedupConfig = pipeline::settings::load(None, &sets)?;
//! let summary = run(&config, &pipeline::unit::RunOptions::default())?;
//! println!("{} clusters", summary.report.clusters);
//! # Ok::<(), pipeline::Error>(())
//! ```

mod against;
mod captions;
mod cluster;
mod config;
mod decisions;
mod facts;
mod hashing;
mod index;
mod phash;
mod rewrite;
mod stage;
mod summary;
mod url;
mod verdicts;

use std::path::Path;
use std::time::Instant;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::atomic;
use crate::pairs::Table;
use crate::progress::Progress;
use crate::store::Store;
use crate::store::same_place;
use crate::unit::{self, Attempt, Plan, Produced, RunOptions, Selection, StageSummary, pending, run_stage};
use crate::{Error, Result};

use against::{Exhibits, Set};
pub use cluster::{Link, clusters};
pub use config::{
    AgainstConfig, CaptionsConfig, DedupConfig, InputConfig, Merge, NearConfig, OutputConfig,
    PlaceholderConfig, RunConfig,
};
use decisions::DECISIONS;
use facts::Facts;
use hashing::{Reading, UNREADABLE};
pub use index::{Among, Item, near};
pub use phash::PHash;
use rewrite::Rewrite;
pub use stage::Stage;
use summary::REPORT;
pub use summary::{DedupSummary, Report};
pub use url::UrlConfig;

/// Folder of the first pass in the output folder.
const HASHES: &str = "_hashes";

/// Removes duplicates; a second run over the same input finds all units done.
///
/// # Errors
/// A bad config or input, another plan in the output folder, a store that fails, an interrupt. Rows that cannot be
/// compared are no error: they stay.
pub fn run(config: &DedupConfig, options: &RunOptions) -> Result<DedupSummary> {
    config.validate()?;
    let progress = Progress::begin(options.style, "rows", "looking at the shards");
    let started = Instant::now();
    let mut done = Job::new(config).and_then(|job| job.run(options, &progress));
    progress.finish();
    // The rewriting of the shards is the last of several passes.
    if let Ok(summary) = &mut done {
        summary.stage.seconds = started.elapsed().as_secs_f64();
    }
    done
}

/// Hashes the rows of one unit of the first pass, as machines of a cluster share them out; [`run`] does the rest. All
/// units, if none is selected.
///
/// # Errors
/// Those of [`run`].
pub fn hash_units(config: &DedupConfig, options: &RunOptions) -> Result<StageSummary> {
    config.validate()?;
    let progress = Progress::begin(options.style, "rows", "looking at the shards");
    let done = Job::new(config).and_then(|mut job| job.hash(options, &progress));
    progress.finish();
    done.map(|(summary, _)| summary)
}

/// A deduplication, looked at.
struct Job<'a> {
    config: &'a DedupConfig,
    table: Table,
    /// Those that can run here.
    stages: Vec<Stage>,
    report: Report,
    /// The evaluation sets, with the plans of those that have to be hashed.
    sets: Vec<(Set, Option<Plan>)>,
    plan: Plan,
    pool: ThreadPool,
}

impl<'a> Job<'a> {
    fn new(config: &'a DedupConfig) -> Result<Self> {
        refuse_same_place(&config.input.path, &config.output.path)?;
        let table = Table::open(&config.input.path)?;
        let mut report = Report { version: 1, ..Report::default() };
        let mut stages = Vec::new();
        for stage in Stage::ALL.into_iter().filter(|stage| config.has(*stage)) {
            match Reading::lacks(&table, config, stage) {
                Some(what) => drop(report.left_out.insert(stage, what)),
                None => stages.push(stage),
            }
        }
        if stages.is_empty() {
            let lacks = |(stage, what): (&Stage, &String)| format!("{}: {what}", stage.code());
            let lacks: Vec<_> = report.left_out.iter().map(lacks).collect();
            let message = format!("nothing here can be compared ({})", lacks.join("; "));
            return Err(Error::input(&config.input.path, message)
                .with_hint("name the column of the URLs in input.url_col"));
        }
        let (mut sets, mut digests) = (Vec::new(), Vec::new());
        if stages.contains(&Stage::Contaminated) {
            for path in &config.against.paths {
                let set = Set::open(path)?;
                let inputs = set.inputs()?;
                digests.extend(inputs.iter().map(|input| input.digest.clone()));
                let plan = set.plan(inputs)?;
                sets.push((set, plan));
            }
        }
        let plan = table.plan(&config.decides(digests))?;
        report.plan_id.clone_from(&plan.plan_id);
        let pool = ThreadPoolBuilder::new().num_threads(config.run.threads).build();
        let pool = pool.map_err(|_| Error::Lost { what: "the pool of threads" })?;
        Ok(Self { config, table, stages, report, sets, plan, pool })
    }

    fn run(mut self, options: &RunOptions, progress: &Progress) -> Result<DedupSummary> {
        let output = &self.config.output.path;
        let store = Store::create(output)?;
        unit::refuse_foreign(&store)?;
        if options.fresh {
            unit::start_over(&store)?;
            store.delete(DECISIONS)?;
            store.delete(REPORT)?;
        }
        self.plan.settle(&store)?;
        let options = RunOptions { fresh: false, selection: Selection::All, ..options.clone() };
        if pending(&store, &self.plan, Selection::All)?.units.is_empty() {
            let stage = self.stage(&options, progress, |_| Err(Error::Lost { what: "the plan" }))?;
            let report = Report::load(&store, &self.plan.plan_id)?.unwrap_or(self.report);
            return Ok(DedupSummary { stage, report });
        }
        for (stage, what) in &self.report.left_out {
            if *stage != Stage::Contaminated || !self.config.against.paths.is_empty() {
                progress.note(&format!("left out: {} ({what})", stage.code()));
            }
        }
        let (_, facts) = self.hash(&options, progress)?;
        let exhibits = self.exhibits(&options, progress)?;
        progress.message("comparing");
        let decide = || verdicts::decide(&facts, self.config, &self.stages, &exhibits, &options.interrupt);
        let verdicts = self.pool.install(decide)?;
        self.report.against = exhibits.len();
        self.report.count(&verdicts);
        self.report.save(&store)?;
        let hashed = self.reading().has_hashes();
        let rewrite = Rewrite::new(self.config, &self.table, &facts, verdicts, exhibits, hashed)?;
        decisions::write(&store, &self.plan.plan_id, &rewrite, &options.interrupt)?;
        progress.message("writing");
        let stage = self.stage(&options, progress, |attempt| rewrite.unit(attempt, progress))?;
        self.tidy(&store)?;
        Ok(DedupSummary { stage, report: self.report })
    }

    fn reading(&self) -> Reading<'a> {
        Reading::new(&self.table, self.config, &self.stages)
    }

    /// The third pass.
    fn stage(
        &self,
        options: &RunOptions,
        progress: &Progress,
        work: impl Fn(&Attempt<'_>) -> Result<Produced> + Sync,
    ) -> Result<StageSummary> {
        run_stage(&self.plan, &self.config.output.path, self.config.run.threads, options, progress, work)
    }

    /// The first pass over the rows.
    fn hash(&mut self, options: &RunOptions, progress: &Progress) -> Result<(StageSummary, Facts)> {
        let reading = self.reading();
        let plan = reading.plan(&self.table)?;
        let work = |attempt: &Attempt<'_>| reading.unit(attempt, &self.table, &self.pool, progress);
        let summary = self.hashes(&plan, options, progress, work)?;
        self.report.unreadable = summary.counts.get(UNREADABLE).copied().unwrap_or(0);
        Ok((summary, Facts::open(&self.folder(&plan))?))
    }

    /// The first pass over the evaluation sets.
    fn exhibits(&self, options: &RunOptions, progress: &Progress) -> Result<Exhibits> {
        let mut exhibits = Exhibits::default();
        for (set, plan) in &self.sets {
            let facts = match plan {
                Some(plan) => {
                    let work = |attempt: &Attempt<'_>| set.unit(attempt, plan, &self.pool, progress);
                    self.hashes(plan, options, progress, work)?;
                    Some(Facts::open(&self.folder(plan))?)
                }
                None => None,
            };
            set.exhibit(facts.as_ref(), &mut exhibits)?;
        }
        Ok(exhibits)
    }

    /// Where the hashes of a plan lie: by its id, so that they serve every run that needs the same.
    fn folder(&self, plan: &Plan) -> String {
        format!("{}/{HASHES}/{}", self.config.output.path.trim_end_matches('/'), plan.plan_id)
    }

    fn hashes(
        &self,
        plan: &Plan,
        options: &RunOptions,
        progress: &Progress,
        work: impl Fn(&Attempt<'_>) -> Result<Produced> + Sync,
    ) -> Result<StageSummary> {
        let options = RunOptions { fresh: false, ..options.clone() };
        let summary = run_stage(plan, &self.folder(plan), self.config.run.threads, &options, progress, work)?;
        Ok(summary)
    }

    /// Removes the hashes of inputs and evaluation sets that are no longer asked for, and what killed runs left.
    fn tidy(&self, store: &Store) -> Result<()> {
        let plans = self.sets.iter().filter_map(|(_, plan)| plan.as_ref());
        let mut used: Vec<String> = plans.map(|plan| format!("{}/", plan.plan_id)).collect();
        used.push(format!("{}/", self.reading().plan(&self.table)?.plan_id));
        for folder in Store::create(&store.display(HASHES))?.names()? {
            if folder.ends_with('/') && !used.contains(&folder) {
                store.delete_folder(&format!("{HASHES}/{folder}"))?;
            }
        }
        let own = |name: &&String| [DECISIONS, REPORT].iter().any(|own| atomic::is_temporary_of(name, own));
        store.names()?.iter().filter(own).try_for_each(|name| store.delete(name))
    }
}

/// The output must not be what is read: starting over would delete it.
fn refuse_same_place(input: &str, output: &str) -> Result<()> {
    let path = Path::new(input);
    let above = path.is_file().then(|| path.parent()).flatten().and_then(Path::to_str);
    let above = above.map(|above| if above.is_empty() { "." } else { above });
    if same_place(input, output) || above.is_some_and(|above| same_place(above, output)) {
        return Err(Error::config("output.path", "is where the input lies").with_hint("choose another --out"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
