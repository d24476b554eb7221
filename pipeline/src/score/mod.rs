//! Columns from models: ONNX files over the pictures or the texts of a table, which is rewritten shard by shard with the
//! new columns before the pictures.
//!
//! A row whose picture does not decode, or that has none, gets nulls. The models run on rten.
//!
//! ```no_run
//! use pipeline::score::{ScoreConfig, run};
//! use pipeline::unit::RunOptions;
//! let sets = [
//!     "input.path=data/pairs", "models.nsfw.path=open_nsfw.onnx", "models.nsfw.preset=open-nsfw",
//!     "output.path=data/scored",
//! ];
//! let config: ScoreConfig = pipeline::settings::load(None, &sets.map(str::to_owned))?;
//! let summary = run(&config, &RunOptions::default())?;
//! println!("{} rows: {:?}", summary.rows, summary.counts);
//! # Ok::<(), pipeline::Error>(())
//! ```

mod column;
mod config;
mod cosine;
mod network;
mod pixels;
mod preset;
mod scorer;
mod text;

use std::collections::BTreeMap;

use crate::pairs::Table;
use crate::pairs::sift::{Sift, annotate};
use crate::progress::Progress;
use crate::store::same_place;
use crate::unit::{Attempt, Produced, RunOptions, StageSummary, run_stage};
use crate::{Error, Result};

pub use config::{
    Activation, Channels, Column, Cosine, ImageInput, InputConfig, Layout, ModelConfig, OutputConfig, Resize,
    RunConfig, ScoreConfig, Take, TakeWord, TextInput,
};
pub use preset::Preset;
use scorer::Scorer;

/// Shards in progress at a time: while one is read or written, the other has the threads.
const LANES: usize = 2;

/// Rewrites the shards with the new columns; a second run finds them done.
///
/// The counts of the summary are `scored`, for rows of which every model had something to say, and why others have nulls:
/// `no_picture`, `no_text`, or a [`crate::reason::Reason`].
///
/// # Errors
/// A bad config, a model or a table that cannot be used, another plan in the output folder, a full disk, an interrupt.
pub fn run(config: &ScoreConfig, options: &RunOptions) -> Result<StageSummary> {
    config.validate()?;
    if same_place(&config.input.path, &config.output.path) {
        let error = Error::config("output.path", "is the input too");
        return Err(error.with_hint("choose another --out"));
    }
    let progress = Progress::begin(options.style, "rows", "loading the models");
    let done = run_with(config, options, &progress);
    progress.finish();
    done
}

fn run_with(config: &ScoreConfig, options: &RunOptions, progress: &Progress) -> Result<StageSummary> {
    let table = Table::open(&config.input.path)?;
    let scorer = Scorer::load(config, &table)?;
    let plan = table.plan(&scorer.decides)?;
    let metadata = vec![("troika.score".to_owned(), plan.plan_id.clone())];
    let stage = Sift { extra: scorer.fields.clone(), metadata };
    let work = |attempt: &Attempt<'_>| -> Result<Produced> {
        let mut counts = BTreeMap::new();
        let produced = annotate(attempt, &table, &stage, |batch| {
            let scores = scorer.score(batch)?;
            for outcome in scores.outcomes {
                *counts.entry(outcome.to_owned()).or_insert(0) += 1;
            }
            progress.add(batch.num_rows() as u64);
            Ok(scores.columns)
        })?;
        Ok(Produced { counts, ..produced })
    };
    let lanes = LANES.min(scorer.threads.current_num_threads());
    run_stage(&plan, &config.output.path, lanes, options, progress, work)
}

#[cfg(test)]
mod tests;
