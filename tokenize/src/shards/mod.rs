//! `tokenize shards`: pair shards → token shards, by the plan/unit/commit contract of `pipeline::unit`.
//!
//! Pictures are decoded on the thread pool while the codec works on the batch before; every caption of a picture
//! becomes a row. A pair without a usable picture is counted under its reason and left out.

mod config;
mod plan;
mod talk;
mod work;

use std::cell::RefCell;
use std::collections::BTreeMap;

use pipeline::interrupt::Interrupt;
use pipeline::progress::{Progress, ProgressStyle};
use pipeline::store::Store;
use pipeline::unit::{self, Selection};

pub use config::ShardsConfig;
use talk::Talk;
pub(crate) use work::picture;

use crate::bpe::Bpe;
use crate::codec::Codec;
use crate::tokens::{FORMAT, TokenMeta};
use crate::{Error, Result, device};

/// How a run goes about its work; decides nothing about the output.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Delete what an earlier run left and start over.
    pub fresh: bool,
    /// Which units this process works on.
    pub selection: Selection,
    /// How progress is shown.
    pub style: ProgressStyle,
    /// Say which pairs are left out, and why.
    pub verbose: bool,
    /// Set by Ctrl-C.
    pub interrupt: Interrupt,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            fresh: false,
            selection: Selection::All,
            style: ProgressStyle::Quiet,
            verbose: false,
            interrupt: Interrupt::never(),
        }
    }
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ShardsSummary {
    /// Units of the selection.
    pub units: usize,
    /// Units found done.
    pub already_done: usize,
    /// Rows in all committed shards.
    pub rows: u64,
    /// Pairs per outcome in all committed shards: `ok`, or why there is no picture.
    pub counts: BTreeMap<String, u64>,
    /// Units of the plan without a commit (other processes may be at work).
    pub missing: usize,
    /// Pair units that the crawl has not finished.
    pub pairs_missing: usize,
}

impl ShardsSummary {
    /// Pairs whose picture became codes.
    pub fn pictures(&self) -> u64 {
        self.counts.get("ok").copied().unwrap_or(0)
    }

    /// Pairs left out, most frequent reason first.
    pub fn skipped(&self) -> Vec<(&str, u64)> {
        let mut skipped: Vec<_> = self
            .counts
            .iter()
            .filter(|(code, _)| *code != "ok")
            .map(|(code, &n)| (code.as_str(), n))
            .collect();
        skipped.sort_by_key(|&(_, n)| std::cmp::Reverse(n));
        skipped
    }
}

/// The models that a run needs, and what they make of the configuration.
struct Tokenizers {
    codec: Codec,
    bpe: Option<Bpe>,
    meta: TokenMeta,
}

/// Makes (or goes on making) the token shards of `config`.
///
/// # Errors
/// An unusable configuration or model, damaged pair shards, another plan in the output folder, a full disk.
pub fn run(config: &ShardsConfig, options: &RunOptions) -> Result<ShardsSummary> {
    config.check()?;
    // Before the models are loaded, so that the first line comes at once.
    let waiting = Progress::begin(options.style, "pairs", "loading the codec");
    let tokenizers = Tokenizers::load(config)?;
    let inputs = plan::inputs(config)?;
    let plan =
        unit::Plan::new(FORMAT, &plan::decides(config, &tokenizers.meta), inputs.files, config.unit_rows)?;
    let store = Store::create(&config.out)?;
    if options.fresh {
        unit::start_over(&store)?;
    }
    plan.settle(&store)?;
    let todo = unit::pending(&store, &plan, options.selection)?;
    drop(waiting);
    let progress = Progress::start(options.style, "pairs", Some(todo.rows), todo.rows_done);
    let talk = Talk::new(&progress, options.verbose);
    // The runner speaks the pipeline's errors; ours waits here until it has wound up.
    let failure = RefCell::new(None);
    let outcome = unit::run_units(&store, &plan, &todo, &options.interrupt, |attempt| {
        work::unit(attempt, config, &tokenizers, &talk).map_err(|error| match error {
            Error::Pipeline(error) => error,
            other => {
                failure.replace(Some(other));
                pipeline::Error::Lost { what: "tokenizing" }
            }
        })
    });
    progress.finish();
    if let Some(error) = failure.into_inner() {
        return Err(error);
    }
    outcome?;
    summary(&store, &plan, &todo, inputs.missing)
}

impl Tokenizers {
    fn load(config: &ShardsConfig) -> Result<Self> {
        let codec = Codec::load(&config.codec, &device::open(&config.device)?)?;
        let bpe = (!config.bpe.as_os_str().is_empty()).then(|| Bpe::load(&config.bpe)).transpose()?;
        let size = if config.image_size == 0 { codec.resolution() } else { config.image_size };
        let downsampling = codec.downsampling();
        if !size.is_multiple_of(downsampling) {
            return Err(Error::Config {
                key: "image_size".to_owned(),
                why: format!("{size} is not a multiple of the codec's {downsampling} pixels per code"),
            });
        }
        let meta = TokenMeta {
            codec_name: codec.name.clone(),
            codec_sha256: codec.sha256.clone(),
            codebook_size: codec.codebook_size(),
            grid: codec.grid(size),
            downsampling,
            bpe_kind: bpe.as_ref().map_or_else(String::new, |bpe| bpe.kind().to_owned()),
            bpe_sha256: bpe.as_ref().map_or_else(String::new, |bpe| bpe.sha256().to_owned()),
            vocab_size: bpe.as_ref().map_or(0, Bpe::vocab_size),
            lowercase: bpe.as_ref().is_some_and(Bpe::lowercase),
        };
        Ok(Self { codec, bpe, meta })
    }
}

fn summary(
    store: &Store,
    plan: &unit::Plan,
    todo: &unit::Todo,
    pairs_missing: usize,
) -> Result<ShardsSummary> {
    let commits = unit::committed(store)?;
    let mut counts = BTreeMap::new();
    for (code, n) in commits.iter().flat_map(|commit| &commit.counts) {
        *counts.entry(code.clone()).or_insert(0) += n;
    }
    Ok(ShardsSummary {
        units: todo.selected,
        already_done: todo.done(),
        rows: commits.iter().map(|commit| commit.rows).sum(),
        counts,
        missing: plan.units.len() - commits.len(),
        pairs_missing,
    })
}
