//! `tokenize shards`: pair shards → token shards, by the plan/unit/commit contract of `pipeline::unit`.
//!
//! Pictures are decoded on the thread pool while the codec works on the batch before and a thread writes the one before
//! that; every caption of a picture becomes a row. A pair without a usable picture becomes rows without codes that say
//! why in the column `reason`. With several sizes one decoding serves all grids, each a folder of token shards of its
//! own.

mod batch;
mod columns;
mod config;
mod plan;
mod prepare;
mod talk;
mod target;
mod time;
mod view;
mod work;
mod write;

use std::cell::RefCell;
use std::collections::BTreeMap;

use pipeline::interrupt::Interrupt;
use pipeline::progress::{Progress, ProgressStyle};
use pipeline::unit::{self, Selection};

pub use config::{ShardsConfig, Sizes};
pub(crate) use prepare::square;
use talk::Talk;
use target::{Target, Todo};
use time::Clocks;
pub use time::Timing;
pub use view::Augment;
use work::Job;

use crate::bpe::Bpe;
use crate::codec::Codec;
use crate::tokens::{Column, TokenMeta};
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
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct ShardsSummary {
    /// Units of the selection.
    pub units: usize,
    /// Units found done in every grid.
    pub already_done: usize,
    /// Rows in all committed shards, of the first grid where there are several.
    pub rows: u64,
    /// Pairs per outcome in the same shards: `ok`, or why there are no codes.
    pub counts: BTreeMap<String, u64>,
    /// Units of the plan without a commit in some grid (other processes may be at work).
    pub missing: usize,
    /// Pair units that the crawl has not finished.
    pub pairs_missing: usize,
    /// The folders of token shards, one per grid.
    pub folders: Vec<String>,
    /// Where the time of this run went.
    pub seconds: Timing,
}

impl ShardsSummary {
    /// Pairs that became tokens as they should: with the codes of their picture, if they had one.
    pub fn pictures(&self) -> u64 {
        self.counts.get("ok").copied().unwrap_or(0)
    }

    /// Pairs whose picture has no codes, most frequent reason first.
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

/// The models that a run needs, and what they make of the configuration, per grid.
struct Tokenizers {
    codec: Option<Codec>,
    bpe: Option<Bpe>,
    metas: Vec<TokenMeta>,
}

/// Makes (or goes on making) the token shards of `config`.
///
/// # Errors
/// An unusable configuration or model, damaged pair shards, another plan in the output folder, a full disk.
pub fn run(config: &ShardsConfig, options: &RunOptions) -> Result<ShardsSummary> {
    config.check()?;
    // Before the models are loaded, so that the first line comes at once.
    let waiting = Progress::begin(
        options.style,
        "pairs",
        if config.has_codec() { "loading the codec" } else { "loading the tokenizers" },
    );
    let tokenizers = Tokenizers::load(config)?;
    let inputs = plan::inputs(config)?;
    let targets = Target::all(config, &tokenizers.metas, &inputs.files, options.fresh)?;
    let todo = Todo::new(&targets, options.selection)?;
    drop(waiting);
    let progress = Progress::start(options.style, "pairs", Some(todo.rows), todo.rows_done);
    let talk = Talk::new(&progress, options.verbose);
    let clocks = Clocks::start();
    let columns = &inputs.columns;
    let run = Run { config, tokenizers: &tokenizers, targets: &targets, columns, clocks: &clocks };
    let worked = run.work_off(&todo, options, &talk);
    progress.finish();
    worked?;
    if options.selection == Selection::All {
        targets.iter().try_for_each(|target| unit::finish(&target.store).map(drop))?;
    }
    summary(&targets, &todo, inputs.missing, clocks.timing())
}

impl Tokenizers {
    fn load(config: &ShardsConfig) -> Result<Self> {
        let codec = match config.has_codec() {
            true => Some(Codec::load(&config.codec, &device::open(&config.device)?)?),
            false => None,
        };
        let bpe = config.has_bpe().then(|| Bpe::load(&config.bpe)).transpose()?;
        let bpe = bpe.map(|bpe| bpe.with_lowercase(config.lowercase));
        let text = TokenMeta {
            bpe_kind: bpe.as_ref().map_or_else(String::new, |bpe| bpe.kind().to_owned()),
            bpe_sha256: bpe.as_ref().map_or_else(String::new, |bpe| bpe.sha256().to_owned()),
            vocab_size: bpe.as_ref().map_or(0, Bpe::vocab_size),
            lowercase: bpe.as_ref().is_some_and(Bpe::lowercase),
            ..TokenMeta::default()
        };
        let metas = match &codec {
            Some(codec) => {
                let Sizes(sizes) = &config.image_size;
                sizes.iter().map(|size| meta(codec, *size, &text)).collect::<Result<_>>()?
            }
            None => vec![text],
        };
        Ok(Self { codec, bpe, metas })
    }
}

fn meta(codec: &Codec, size: usize, text: &TokenMeta) -> Result<TokenMeta> {
    let size = if size == 0 { codec.resolution() } else { size };
    let downsampling = codec.downsampling();
    if !size.is_multiple_of(downsampling) {
        return Err(Error::Config {
            key: "image_size".to_owned(),
            why: format!("{size} is not a multiple of the codec's {downsampling} pixels per code"),
        });
    }
    Ok(TokenMeta {
        codec_name: codec.name.clone(),
        codec_kind: codec.kind().name().to_owned(),
        codec_sha256: codec.sha256.clone(),
        codebook_size: codec.codebook_size(),
        grid: codec.grid(size),
        downsampling,
        preprocess: *codec.preprocess(),
        ..text.clone()
    })
}

/// What stays the same from unit to unit.
struct Run<'a> {
    config: &'a ShardsConfig,
    tokenizers: &'a Tokenizers,
    targets: &'a [Target],
    columns: &'a [Column],
    clocks: &'a Clocks,
}

impl Run<'_> {
    /// Works off the units one after the other, each in the grids that miss it.
    fn work_off(&self, todo: &Todo, options: &RunOptions, talk: &Talk<'_>) -> Result<()> {
        let written = columns::written(self.config, self.columns);
        for (unit, due) in &todo.units {
            options.interrupt.check()?;
            let due: Vec<&Target> = due.iter().filter_map(|place| self.targets.get(*place)).collect();
            self.unit(*unit, &due, &written, &options.interrupt, talk)?;
        }
        Ok(())
    }

    fn unit(
        &self,
        unit: usize,
        due: &[&Target],
        written: &[Column],
        interrupt: &Interrupt,
        talk: &Talk<'_>,
    ) -> Result<()> {
        let planned = due.first().and_then(|target| target.plan.units.get(unit));
        let file = planned.map_or("", |unit| unit.file.as_str());
        let job = Job {
            config: self.config,
            bpe: self.tokenizers.bpe.as_ref(),
            metas: due.iter().map(|target| &target.meta).collect(),
            columns: self.columns,
            written,
            has_pictures: self.config.has_codec() && work::has_pictures(file)?,
            clocks: self.clocks,
        };
        let outs: Vec<&str> = due.iter().map(|target| target.folder.as_str()).collect();
        let stores: Vec<_> = due.iter().map(|target| (&target.store, &target.plan)).collect();
        // The runner speaks the pipeline's errors; ours waits here until it has wound up.
        let failure = RefCell::new(None);
        let outcome = unit::run_together(&stores, unit, interrupt, |attempts| {
            let produced = work::unit(attempts, &outs, self.tokenizers.codec.as_ref(), &job, talk);
            produced.map_err(|error| work::lost(error, &failure))
        });
        match failure.into_inner() {
            Some(error) => Err(error),
            None => Ok(outcome?),
        }
    }
}

fn summary(targets: &[Target], todo: &Todo, pairs_missing: usize, seconds: Timing) -> Result<ShardsSummary> {
    let mut summary = ShardsSummary {
        units: todo.selected,
        already_done: todo.selected - todo.units.len(),
        pairs_missing,
        folders: targets.iter().map(|target| target.folder.clone()).collect(),
        seconds,
        ..ShardsSummary::default()
    };
    for (place, target) in targets.iter().enumerate() {
        let commits = unit::committed(&target.store)?;
        summary.missing = summary.missing.max(target.plan.units.len() - commits.len());
        if place > 0 {
            continue;
        }
        summary.rows = commits.iter().map(|commit| commit.rows).sum();
        for (code, n) in commits.iter().flat_map(|commit| &commit.counts) {
            *summary.counts.entry(code.clone()).or_insert(0) += n;
        }
    }
    Ok(summary)
}
