//! Pages to link tables: Common Crawl's WAT and WARC files, saved pages, pages on the network, sitemaps.
//!
//! ```no_run
//! use pipeline::extract::{ExtractConfig, RunOptions, run};
//! let sets = ["input.paths=crawl-data/*.wat.gz".to_owned(), "output.path=data/links".to_owned()];
//! let config: ExtractConfig = pipeline::settings::load(None, &sets)?;
//! let summary = run(&config, &RunOptions::default())?;
//! println!("{} links of {} pages", summary.counts.links, summary.counts.pages);
//! # Ok::<(), pipeline::Error>(())
//! ```
//!
//! Modules in the order in which data passes them:
//!
//! | module | what it holds |
//! |---|---|
//! | `config`, `kind`, `find`, `input` | what is to be read |
//! | `warc` | records, around damaged ones |
//! | `html`, `wat`, `sitemap`, `compat` | a page to its links |
//! | `archive`, `pages` | a unit: an archive, or some pages |
//! | `table` | the rows, as Parquet |
//! | `counts`, `summary` | what was read and what came of it |
//!
//! A page that is malformed is counted and passed over; nothing in an input ends a run. Threads and their timing change no
//! byte of the output.

mod archive;
mod compat;
mod config;
mod counts;
mod find;
mod html;
mod input;
mod kind;
mod language;
mod link;
mod meter;
mod pages;
mod sitemap;
mod summary;
mod table;
mod warc;
mod wat;

use std::sync::{Arc, OnceLock};

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde_json::{Value, json};

use archive::{Readers, Taken};
pub use config::{
    CaptionSource, Compat, ExtractConfig, InputConfig, OutputConfig, PageConfig, RunConfig, SitemapConfig,
    SitemapPages,
};
pub use counts::{ExtractCounts, Malformed};
use find::Around;
use input::{Content, Entry, Input};
pub use kind::InputKind;
use meter::Meter;
pub use summary::ExtractSummary;
use table::LinkTable;
pub use table::{COLUMNS, FORMAT};

pub use crate::crawl::RunOptions;
use crate::crawl::{NO_CONTACT, PageFetcher, PageRules, now, unit_event};
use crate::store::Store;
use crate::unit::{self, Attempt, Commit, InputFile, Plan, Produced, pending, run_units_overlapped};
use crate::{Error, Result};

/// Inputs that are looked at at a time: that is waiting for disks and stores, not work.
const LOOKING: usize = 16;

/// What an extraction would read; without a side effect, but for sitemaps and lists on the network, which are fetched.
///
/// # Errors
/// A bad config or input.
pub fn outlook(config: &ExtractConfig) -> Result<Plan> {
    config.validate()?;
    let network = Network::new(config);
    Ok(survey(config, &network, &|_| (), &|| Ok(()))?.plan)
}

/// Runs an extraction to its end; a second run over the same inputs finds all units done.
///
/// Blocks.
///
/// # Errors
/// A bad config or input, another plan in the output folder, a store that fails, an interrupt. Records and pages that are
/// malformed are no error: they are counted by their reason.
pub fn run(config: &ExtractConfig, options: &RunOptions) -> Result<ExtractSummary> {
    config.validate()?;
    let meter = Meter::start(config, options);
    let done = run_with(config, options, &meter);
    meter.progress.finish();
    done
}

fn run_with(config: &ExtractConfig, options: &RunOptions, meter: &Meter) -> Result<ExtractSummary> {
    let network = Network::new(config);
    let (note, check) = (|text: &str| meter.progress.note(text), || options.interrupt.check());
    let Survey { plan, inputs } = survey(config, &network, &note, &check)?;
    let store = Store::create(&config.output.path)?;
    unit::refuse_foreign(&store)?;
    if options.fresh {
        unit::start_over(&store)?;
    }
    plan.settle(&store)?;
    let todo = pending(&store, &plan, options.selection)?;
    meter.begin(&plan, &todo);
    if todo.units.is_empty() {
        return ExtractSummary::nothing_to_do(config, &store, &plan, &todo);
    }
    if todo.done() > 0 {
        meter.progress.note(&format!("{} of {} units already done", todo.done(), todo.selected));
    }
    let live = |input: &Input| match &input.content {
        Content::Archive(_) => false,
        Content::Pages(entries) => entries.iter().any(Entry::is_live),
    };
    if config.manners.contact.is_empty() && inputs.iter().any(live) {
        meter.progress.note(NO_CONTACT);
    }
    let threads = match config.run.threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        threads => threads,
    };
    let readers = Readers {
        rules: Arc::new(PageRules::new(&config.manners, &config.net.user_agent)),
        config: Arc::new(config.clone()),
        pool: Arc::new(pool(threads)?),
    };
    let extraction = Extraction { inputs, readers, network, meter, plan: &plan };
    meter.follow();
    let work = |attempt: &Attempt<'_>| extraction.unit(attempt);
    let committed = |commit: &Commit| meter.progress.event("unit", unit_event(commit));
    let ran = run_units_overlapped(&store, &plan, &todo, &options.interrupt, threads, work, committed);
    if matches!(ran, Err(Error::Interrupted { .. })) {
        let committed = unit::committed(&store)?.len();
        meter.progress.note(&format!("{committed} of {} units are committed", plan.units.len()));
    }
    ExtractSummary::of(config, &store, &plan, &todo, &ran?, meter.elapsed())
}

fn pool(threads: usize) -> Result<ThreadPool> {
    let name = |number| format!("extract-{number}");
    // A panic ends the unit that waits for its work, not the program.
    let pool = ThreadPoolBuilder::new().num_threads(threads).thread_name(name).panic_handler(|_| ()).build();
    pool.map_err(|_| Error::Lost { what: "the pool of threads" })
}

/// The network, which most extractions do without.
struct Network<'a> {
    config: &'a ExtractConfig,
    fetcher: OnceLock<Arc<PageFetcher>>,
}

impl<'a> Network<'a> {
    fn new(config: &'a ExtractConfig) -> Self {
        Self { config, fetcher: OnceLock::new() }
    }

    fn fetcher(&self) -> Result<Arc<PageFetcher>> {
        if let Some(fetcher) = self.fetcher.get() {
            return Ok(Arc::clone(fetcher));
        }
        let fetcher = Arc::new(PageFetcher::new(&self.config.net, &self.config.manners)?);
        Ok(Arc::clone(self.fetcher.get_or_init(|| fetcher)))
    }
}

/// The inputs, looked at.
struct Survey {
    plan: Plan,
    inputs: Vec<Input>,
}

fn survey(
    config: &ExtractConfig,
    network: &Network<'_>,
    note: &dyn Fn(&str),
    check: &dyn Fn() -> Result<()>,
) -> Result<Survey> {
    let inputs = find::find(config, &Around { fetcher: &|| network.fetcher(), note, check })?;
    let looked: Vec<Result<InputFile>> =
        pool(LOOKING)?.install(|| inputs.par_iter().map(Input::listed).collect());
    let listed = looked.into_iter().collect::<Result<Vec<_>>>()?;
    let kinds = inputs.iter().map(Input::kind).collect();
    if config.output.compat == Compat::Cc2dataset
        && let Some(other) = inputs.iter().find(|input| !matches!(input.content, Content::Archive(_)))
    {
        return Err(Error::input(&other.name, "cc2dataset reads WAT files, and this is none")
            .with_hint("leave output.compat out, or name .wat.gz files alone"));
    }
    let plan = Plan::new(FORMAT, &config.decides(kinds), listed, config.output.pages_per_unit)?;
    Ok(Survey { plan, inputs })
}

/// Everything that the units share.
struct Extraction<'a> {
    inputs: Vec<Input>,
    readers: Readers,
    network: Network<'a>,
    meter: &'a Meter,
    plan: &'a Plan,
}

impl Extraction<'_> {
    /// Reads one unit and writes its table.
    fn unit(&self, attempt: &Attempt<'_>) -> Result<Produced> {
        let started = now();
        let unit = attempt.unit;
        let unknown = || Error::input(&unit.file, "the plan names an input that the config does not");
        let input = self.inputs.iter().find(|input| input.name == unit.file).ok_or_else(unknown)?;
        let shard = attempt.shard("parquet")?;
        let mut table = LinkTable::new(shard, &self.readers.config, &self.plan.plan_id, attempt.label())?;
        let mut counts = ExtractCounts::default();
        let each = |mut taken: Taken| {
            attempt.check()?;
            for found in &taken.found {
                table.push(found, &mut taken.counts)?;
            }
            self.meter.add(&taken);
            counts += &taken.counts;
            Ok(())
        };
        match &input.content {
            Content::Archive(source) => archive::read(source, &self.readers, each)?,
            Content::Pages(entries) => {
                let range = range(unit.start)..range(unit.start + unit.rows);
                let fetcher = match entries[range.clone()].iter().any(Entry::is_live) {
                    true => Some(self.network.fetcher()?),
                    false => None,
                };
                let check = || attempt.check();
                pages::read(&entries[range], &self.readers, fetcher.as_deref(), check, each)?;
            }
        }
        let (shard, rows) = table.close()?;
        let ended = now();
        let mut stats = json!({"duration": ended - started, "start_time": started, "end_time": ended});
        if let (Some(stats), Value::Object(counts)) = (stats.as_object_mut(), json!(counts)) {
            stats.extend(counts);
        }
        shard.finish(rows, counts.outcomes(), stats)
    }
}

fn range(row: u64) -> usize {
    usize::try_from(row).unwrap_or(usize::MAX)
}
