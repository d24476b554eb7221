//! `pipeline filter`: the rows of pair shards or link tables that a list of rules keeps, and beside them those that it
//! does not, with the rule that removed them.
//!
//! Rules look at columns alone, so that the same filter works before and after the download; pictures are never decoded.
//! The first rule in the listed order that takes a row gets it. Every row is judged by all rules, as far as that is
//! needed to say which rows only one of them catches ([`Funnel`]).

mod columns;
mod config;
mod detect;
mod funnel;
mod judge;
mod labels;
mod preset;
mod repeats;
mod rules;
mod sample;

use std::sync::{Arc, PoisonError};

use rayon::ThreadPoolBuilder;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde::Serialize;

use crate::pairs::Table;
use crate::pairs::sift::{Judged, Sift, sift};
use crate::progress::Progress;
use crate::store::Store;
use crate::tally::Tally;
use crate::unit::{Attempt, Produced, RunOptions, StageSummary, committed, run_stage};
use crate::{Error, Result};

pub use config::FilterConfig;
pub use funnel::{Example, Funnel, RuleFigures};
use judge::Judge;
pub use preset::Preset;
pub use rules::{
    Area, Aspect, BlockedDomains, BlockedWords, Bytes, CaptionShape, Characters, ColumnRule, DomainMatch,
    Form, Language, Missing, Mojibake, Nulls, OneOrMany, Pattern, RegexRule, Repeated, Rule, RuleEntry,
    Shape, Side, StatusRule, Unicode, Unknown, Which, WordKind, Words,
};

/// What a filter did, over the whole output folder.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FilterSummary {
    /// Units, rows and bytes.
    #[serde(flatten)]
    pub stage: StageSummary,
    /// What each rule did.
    pub funnel: Funnel,
}

/// What a filter would do, by a sample.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Preview {
    /// Rows of the table.
    pub rows: u64,
    /// Its shards.
    pub shards: usize,
    /// What chose the rows.
    pub seed: u64,
    /// What each rule did with those that were looked at.
    pub funnel: Funnel,
}

impl Preview {
    /// The figures for people.
    pub fn text(&self) -> String {
        let Self { rows, shards, seed, funnel } = self;
        let what = match funnel.rows == *rows {
            true => format!("all {rows} rows of {shards} shards"),
            false => format!("{} of {rows} rows, from all over {shards} shards (seed {seed})", funnel.rows),
        };
        format!("{what}\n\n{}", funnel.text())
    }
}

/// Filters a table into the folder `out`; a second run finds all units done.
///
/// # Errors
/// A bad config or table, another plan in the output folder, a store that fails, an interrupt.
pub fn run(config: &FilterConfig, options: &RunOptions) -> Result<FilterSummary> {
    config.validate(false)?;
    let progress = Progress::begin(options.style, "rows", "reading the table");
    let done = run_with(config, options, &progress);
    progress.finish();
    done
}

fn run_with(config: &FilterConfig, options: &RunOptions, progress: &Progress) -> Result<FilterSummary> {
    let table = Table::open(&config.input)?;
    let rules = config.named_rules(&table)?;
    let judge = ready(config, &rules, &table)?;
    let plan = table.plan(&config.decides(&rules)?)?;
    let metadata = vec![("troika.filter".to_owned(), plan.plan_id.clone())];
    let spec = Sift { extra: Vec::new(), metadata };
    let work = |attempt: &Attempt<'_>| {
        count(&judge, &table, config.threads, progress, || attempt.check())?;
        let mut funnel = Funnel::of(&judge);
        let produced = sift(attempt, &table, &spec, |batch| {
            let verdict = judge.judge(batch, &mut funnel)?;
            progress.add(batch.num_rows() as u64);
            Ok(Judged::new(judge.changed(batch, &verdict)?, judge.names(&verdict)))
        })?;
        let stats = serde_json::to_value(&funnel).map_err(|e| Error::config("json", e.to_string()))?;
        Ok(Produced { stats, ..produced })
    };
    let stage = run_stage(&plan, &config.out, config.threads, options, progress, work)?;
    Ok(FilterSummary { stage, funnel: whole(&config.out)? })
}

/// Looks at about `wanted` rows from all over the table, and writes nothing.
///
/// # Errors
/// A bad config or table, an interrupt.
pub fn preview(config: &FilterConfig, wanted: u64, seed: u64, options: &RunOptions) -> Result<Preview> {
    config.validate(true)?;
    let progress = Progress::begin(options.style, "rows", "reading the table");
    let table = Table::open(&config.input)?;
    let judge = ready(config, &config.named_rules(&table)?, &table)?;
    let shards: Vec<u64> = table.shards().iter().map(|shard| shard.rows).collect();
    progress.set_total(wanted.min(table.rows()), 0);
    count(&judge, &table, config.threads, &progress, || options.interrupt.check())?;
    let columns: Vec<&str> = judge.columns.names().collect();
    let mut funnel = Funnel::of(&judge);
    for part in sample::sample(&shards, wanted, seed) {
        for batch in table.scan_with(part.shard, Some(&columns), Some(part.rows))? {
            options.interrupt.check()?;
            let batch = batch?;
            judge.judge(&batch, &mut funnel)?;
            progress.add(batch.num_rows() as u64);
        }
    }
    progress.finish();
    Ok(Preview { rows: table.rows(), shards: shards.len(), seed, funnel })
}

/// The rules, ready for the table.
fn ready(config: &FilterConfig, rules: &[(String, RuleEntry)], table: &Table) -> Result<Judge> {
    let columns = columns::Columns::new(Arc::clone(table.schema()));
    let model = config.language_model.as_deref();
    let mut site = rules::Site::new(columns, &config.caption_col, &config.url_col, model);
    for (name, entry) in rules {
        site.add(entry, name.clone(), &table.display(0))?;
    }
    Ok(Judge::new(site))
}

/// Counts over the whole table what some rules must know before they judge; once, however many ask for it.
fn count(
    judge: &Judge,
    table: &Table,
    threads: usize,
    progress: &Progress,
    check: impl Fn() -> Result<()> + Sync,
) -> Result<()> {
    let _alone = judge.counting.lock().unwrap_or_else(PoisonError::into_inner);
    for repeats in judge.repeats.iter().filter(|repeats| !repeats.are_counted()) {
        progress.message("counting captions");
        let pool = ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|_| Error::Lost { what: "the counting of captions" })?;
        let tally = Tally::new()?;
        let name = judge.columns.name(repeats.column);
        let shard = |shard: usize| -> Result<()> {
            for batch in table.scan_columns(shard, &[name])? {
                check()?;
                tally.add(judge.hashes(repeats, &batch?)?.into_iter())?;
            }
            Ok(())
        };
        pool.install(|| (0..table.shards().len()).into_par_iter().try_for_each(shard))?;
        repeats.settle(tally)?;
        progress.message("");
    }
    Ok(())
}

/// The figures of all units in a folder.
fn whole(out: &str) -> Result<Funnel> {
    let mut funnel = Funnel::default();
    for commit in committed(&Store::open(out)?)? {
        let unreadable = |e: serde_json::Error| Error::input(out, format!("unit {}: {e}", commit.unit));
        funnel.merge(serde_json::from_value(commit.stats.clone()).map_err(unreadable)?);
    }
    Ok(funnel)
}
