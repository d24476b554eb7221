//! The crawl: link list → download → decode → resize → pair shards, by the contract of [`crate::unit`].
//!
//! ```no_run
//! use pipeline::crawl::{CrawlConfig, RunOptions, run};
//! let sets = ["input.urls=urls.parquet".to_owned(), "output.path=data/pairs".to_owned()];
//! let config: CrawlConfig = pipeline::settings::load(None, &sets)?;
//! let summary = run(&config, &RunOptions::default())?;
//! println!("{} of {} rows have an image", summary.successes(), summary.rows);
//! # Ok::<(), pipeline::Error>(())
//! ```

mod address;
mod advice;
mod asks;
mod budget;
mod collect;
mod config;
mod descriptors;
mod dispatch;
mod dns;
mod doctor;
mod engine;
mod estimate;
mod feed;
mod fetch;
mod list;
mod local;
mod manners;
#[cfg(test)]
#[path = "../../../tests/pipeline/name_server.rs"]
mod name_server;
mod output;
mod process;
mod prometheus;
mod schedule;
mod size;
mod stats;
mod summary;
mod tally;
mod timings;

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use rayon::ThreadPoolBuilder;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::pairs::{FORMAT, Layout};
use crate::progress::Progress;
use crate::store::Store;
use crate::unit::{self, Attempt, Commit, InputFile, Plan, Todo, pending, run_units_overlapped};
use crate::{Error, Result};

use asks::AskColumns;
pub use config::{Compat, CrawlConfig, ImageConfig, InputConfig, NetConfig, OutputConfig, RunConfig};
pub use dns::DnsChoice;
pub use doctor::{Check, Verdict, examine};
use engine::{Engine, Parts};
pub use estimate::Estimate;
use list::{Columns, ListFile};
pub use list::{ListFormat, RetryFailed};
pub use manners::MannersConfig;
pub use output::OutputFormat;
use prometheus::Exporter;
pub(crate) use schedule::registrable;
pub use size::ByteSize;
pub use stats::{Counts, line};
pub use summary::CrawlSummary;

pub use crate::unit::RunOptions;

/// Units in progress at a time: one starts downloads while the last slow ones of those before it come in.
const LANES: usize = 4;

/// Lists that are looked at at a time.
const LOOKING: usize = 8;

/// The plan, and what the crawl will meet and cost; without a side effect.
///
/// # Errors
/// A bad config or list.
pub fn outlook(config: &CrawlConfig) -> Result<(Plan, Estimate)> {
    config.validate()?;
    let store = Store::open(&config.output.path).ok();
    let earlier = store.as_ref().and_then(|store| Plan::load(store).ok());
    let Survey { plan, lists, columns, .. } = survey(config, earlier.as_ref())?;
    let same = earlier.is_some_and(|earlier| earlier.plan_id == plan.plan_id);
    let done = match store.filter(|_| same) {
        Some(store) => unit::committed(&store)?,
        None => Vec::new(),
    };
    let estimate = estimate::estimate(config, &plan, &lists, &columns, &done)?;
    Ok((plan, estimate))
}

/// Runs a crawl to its end; a second run over the same list finds all units done.
///
/// Blocks; must not be called from inside an async runtime's own threads if those are to make progress.
///
/// # Errors
/// A bad config or list, another plan in the output folder, a store that fails, an interrupt. Rows that fail are no
/// error: they are counted and stored with their [`crate::reason::Reason`].
pub fn run(config: &CrawlConfig, options: &RunOptions) -> Result<CrawlSummary> {
    config.validate()?;
    let progress = Progress::begin(options.style, "img", "reading the link list");
    let done = run_with(config, options, &progress);
    progress.finish();
    done
}

fn run_with(config: &CrawlConfig, options: &RunOptions, progress: &Progress) -> Result<CrawlSummary> {
    let earlier = Store::open(&config.output.path).and_then(|store| Plan::load(&store)).ok();
    let Survey { plan, lists, columns, asks } = survey(config, earlier.as_ref())?;
    let store = Store::create(&config.output.path)?;
    unit::refuse_foreign(&store)?;
    if options.fresh {
        unit::start_over(&store)?;
    }
    plan.settle(&store)?;
    let todo = pending(&store, &plan, options.selection)?;
    progress.set_total(todo.rows, todo.rows_done);
    progress.message("");
    if todo.units.is_empty() {
        return CrawlSummary::nothing_to_do(config, &store, &plan, &todo);
    }
    if todo.done() > 0 {
        progress.note(&format!("{} of {} units already done", todo.done(), todo.selected));
    }
    if config.manners.contact.is_empty() {
        progress.note(manners::NO_CONTACT);
    }
    descriptors::provide(config.net.concurrency)?;
    let layout = layout(config, &plan, &columns, &asks)?;
    let parts = Parts { lists, asks, columns, layout, progress: progress.clone(), verbose: options.verbose };
    let engine = Engine::new(config, parts)?;
    let exporter = match config.run.prometheus.as_str() {
        "" => None,
        path => Some(Exporter::start(path, engine.tally(), engine.dns())?),
    };
    let tally = Arc::clone(engine.tally());
    progress.follow(move || tally.detail());
    let work = |attempt: &Attempt<'_>| engine.unit(attempt);
    let committed = |commit: &Commit| progress.event("unit", unit_event(commit));
    let ran = run_units_overlapped(&store, &plan, &todo, &options.interrupt, LANES, work, committed);
    if let Some(exporter) = exporter {
        exporter.finish()?;
    }
    if matches!(ran, Err(Error::Interrupted { .. })) {
        report_interrupt(&store, &plan, &todo, progress)?;
    }
    CrawlSummary::of(config, &store, &plan, &todo, &ran?, engine.tally())
}

/// What `--json` tells of a unit that has just been committed.
fn unit_event(commit: &Commit) -> Map<String, Value> {
    [
        ("unit", commit.unit.into()),
        ("files", json!(commit.files.iter().map(|file| &file.name).collect::<Vec<_>>())),
        ("rows", commit.rows.into()),
        ("bytes", commit.bytes().into()),
        ("counts", json!(commit.counts)),
        ("seconds", commit.stats["duration"].clone()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into_iter()
    .collect()
}

/// What is safe, before the error ends the program.
fn report_interrupt(store: &Store, plan: &Plan, todo: &Todo, progress: &Progress) -> Result<()> {
    let committed = unit::committed(store)?;
    let now = committed.len().saturating_sub(todo.done());
    let rows: u64 = committed.iter().map(|commit| commit.rows).sum();
    progress.note(&format!(
        "{} of {} units are committed ({now} of them now), {rows} of {} rows",
        committed.len(),
        plan.units.len(),
        plan.rows(),
    ));
    Ok(())
}

/// The lists, looked at.
struct Survey {
    plan: Plan,
    lists: Vec<ListFile>,
    columns: Columns,
    asks: AskColumns,
}

fn survey(config: &CrawlConfig, earlier: Option<&Plan>) -> Result<Survey> {
    let lists = ListFile::find(config)?;
    let (asks, names) = AskColumns::of(config);
    let wanted = InputConfig { columns: names, ..config.input.clone() };
    let decides = decides(config, &lists)?;
    // Counts and offsets follow from how a list is read and cut.
    let same = |plan: &&Plan| plan.config == decides && plan.rows_per_unit == config.output.rows_per_unit;
    let earlier = earlier.filter(same);
    // Looking at a list is waiting for a disk or a store, not work.
    let pool = ThreadPoolBuilder::new().num_threads(LOOKING).build();
    let pool = pool.map_err(|_| Error::Lost { what: "the reader of the lists" })?;
    let columns = |list: &ListFile| list.columns(&wanted).map_err(|error| AskColumns::missing(config, error));
    let look = |list: &ListFile| Ok((columns(list)?, input(list, config, earlier)?));
    let looked: Vec<(Columns, InputFile)> = pool
        .install(|| lists.par_iter().map(look).collect::<Vec<Result<_>>>())
        .into_iter()
        .collect::<Result<_>>()?;
    let (all, inputs): (Vec<Columns>, Vec<InputFile>) = looked.into_iter().unzip();
    let columns = all.first().cloned().ok_or_else(|| Error::config("input.urls", "no link list given"))?;
    if let Some(other) = all.iter().position(|other| *other != columns) {
        let message = format!("its columns or their types differ from those of {}", lists[0].name);
        return Err(Error::input(&lists[other].name, message));
    }
    let plan = Plan::new(FORMAT, &decides, inputs, config.output.rows_per_unit)?
        .with_digits(config.output.shard_digits);
    Ok(Survey { plan, lists, columns, asks })
}

/// What decides the output besides the content of the lists, as a plan stores it.
fn decides(config: &CrawlConfig, lists: &[ListFile]) -> Result<serde_json::Value> {
    let formats = lists.iter().map(ListFile::format).collect();
    serde_json::to_value(config.decides(formats)).map_err(|e| Error::config("config", e.to_string()))
}

/// Counts a list, or takes the count of an earlier plan that reads the same bytes in the same way: a cluster's units
/// need not count again.
fn input(list: &ListFile, config: &CrawlConfig, earlier: Option<&Plan>) -> Result<InputFile> {
    let path = list.name.clone();
    let (bytes, digest) = list.digest()?;
    let same = |known: &&InputFile| known.bytes == bytes && known.digest == digest;
    if let Some(known) = earlier.and_then(|plan| plan.inputs.iter().find(same)) {
        return Ok(InputFile { path, ..known.clone() });
    }
    let (rows, offsets) = list.scan(config.output.rows_per_unit)?;
    Ok(InputFile { path, rows, bytes, digest, offsets })
}

fn layout(config: &CrawlConfig, plan: &Plan, columns: &Columns, asks: &AskColumns) -> Result<Layout> {
    let image = &config.image;
    let shown = columns.extra.len().saturating_sub(asks.dropped());
    let layout = Layout {
        extra: columns.extra[..shown].to_vec(),
        caption: columns.caption.is_some(),
        exif: image.extract_exif,
        hash: image.compute_hash,
        hash_verified: image.verify_hash.is_some(),
        format: image.encode_format,
        metadata: vec![("troika.plan".to_owned(), plan.plan_id.clone())],
    };
    match layout.reserved() {
        Some(name) => Err(Error::config(
            "input.columns",
            format!("`{name}` is the name of a column that every shard has"),
        )),
        None => Ok(layout),
    }
}

/// The command that comes after a crawl.
pub fn next_command(output: &Path) -> String {
    format!(
        "tokenize shards {} --codec vqgan.safetensors --bpe bpe.model --out data/tokens",
        output.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The crawl of a list into the folder `out` beside it.
    fn crawl(list: &Path, format: Option<ListFormat>) -> CrawlConfig {
        let path = list.with_file_name("out").display().to_string();
        CrawlConfig {
            input: InputConfig { urls: vec![list.display().to_string()], format, ..InputConfig::default() },
            output: OutputConfig { path, ..OutputConfig::default() },
            ..CrawlConfig::default()
        }
    }

    fn plan(config: &CrawlConfig) -> Result<Plan> {
        let earlier = Store::open(&config.output.path).and_then(|store| Plan::load(&store)).ok();
        survey(config, earlier.as_ref()).map(|survey| survey.plan)
    }

    fn stored(name: &str, list: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        crate::atomic::write(&path, list).unwrap();
        (folder, path)
    }

    #[test]
    fn a_list_read_in_another_way_is_another_plan() {
        let (_folder, list) = stored("links.jsonl", "{\"url\": \"http://h/1\"}\n");
        let by_ending = plan(&crawl(&list, None)).unwrap();
        assert_eq!(plan(&crawl(&list, Some(ListFormat::Jsonl))).unwrap(), by_ending);
        let lines = plan(&crawl(&list, Some(ListFormat::Txt))).unwrap();
        assert_eq!(lines.rows(), by_ending.rows());
        assert_ne!(lines.plan_id, by_ending.plan_id);
    }

    #[test]
    fn counts_come_from_an_earlier_plan_only_if_it_reads_the_list_in_the_same_way() {
        let (_folder, list) = stored("links.csv", "url\nhttp://h/1\nhttp://h/2\n");
        let table = crawl(&list, None);
        let mut earlier = plan(&table).unwrap();
        assert_eq!(earlier.rows(), 2);
        // A number to which nobody counts shows where it comes from.
        earlier.inputs[0].rows = 7;
        earlier.settle(&Store::create(&table.output.path).unwrap()).unwrap();
        assert_eq!(plan(&table).unwrap().rows(), 7);
        assert_eq!(plan(&crawl(&list, Some(ListFormat::Txt))).unwrap().rows(), 3);
    }
}
