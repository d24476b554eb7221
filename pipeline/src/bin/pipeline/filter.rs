//! `pipeline filter`: the rows of a table that rules keep.

use std::path::Path;

use clap::Args;
use pipeline::cli::{Common, print};
use pipeline::filter::{self, FilterConfig, FilterSummary, Preset};
use pipeline::unit::{RunOptions, Selection};
use pipeline::{Result, interrupt, settings};
use serde_json::json;

use crate::args::{is_toml, sets, text};
use crate::commands::record;
use crate::stage;

/// `pipeline filter`.
#[derive(Args)]
#[command(after_help = "Examples:
  pipeline filter data/links --preset laion --dry-run      # before the download: rows lost per rule, by a sample
  pipeline filter data/pairs --preset datacomp-basic --out data/clean
  pipeline filter filter.toml --set language_model=lid.176.ftz

Rules stand in a config file: see configs/filter.toml. The first rule that takes a row gets it; what is removed lies in
NNNNN.dropped.parquet beside each shard, with the rule in the column dropped_by. The same command again continues.")]
pub(crate) struct Filter {
    /// A config file (.toml), or shards or links: a folder, a bucket, a Parquet file
    input: String,
    /// Folder for the kept rows, or a bucket: s3://…, gs://…, az://…
    #[arg(long, value_name = "DIR")]
    out: Option<String>,
    /// A published filter, before the rules of the config: datacomp-basic, laion
    #[arg(long, value_enum, hide_possible_values = true, value_name = "NAME")]
    preset: Option<Preset>,
    /// Column of the captions [caption]
    #[arg(long, alias = "caption_col", value_name = "NAME")]
    caption_col: Option<String>,
    /// Column of the pictures' addresses [url]
    #[arg(long, alias = "url_col", value_name = "NAME")]
    url_col: Option<String>,
    /// fastText's lid.176.ftz or lid.176.bin, for rules about languages [whatlang]
    #[arg(long, value_name = "FILE")]
    language_model: Option<String>,
    /// Show what the rules would do with a sample, and write nothing
    #[arg(long, help_heading = "Dry run")]
    dry_run: bool,
    /// Rows of the sample, spread over all shards
    #[arg(long, value_name = "N", default_value_t = 10_000, requires = "dry_run", help_heading = "Dry run")]
    sample: u64,
    /// What chooses them
    #[arg(long, value_name = "N", default_value_t = 1, requires = "dry_run", help_heading = "Dry run")]
    seed: u64,
    /// Shards worked on at a time [one per core]
    #[arg(long, value_name = "N", help_heading = "Run")]
    threads: Option<usize>,
    /// Work on this unit alone; `env` takes its number from the array job
    #[arg(long, value_name = "N|env", help_heading = "Run", conflicts_with = "fresh")]
    unit: Option<Selection>,
    /// Delete the output of an earlier plan in the folder and start over
    #[arg(long, help_heading = "Run")]
    fresh: bool,
    #[command(flatten)]
    common: Common,
}

impl Filter {
    /// The flags as settings, then the `--set`s, which win.
    fn config(&self) -> Result<FilterConfig> {
        let file = is_toml(&self.input).then(|| Path::new(&self.input));
        let preset = self.preset.and_then(|preset| serde_json::to_string(&preset).ok());
        let flags = [
            ("input", file.is_none().then(|| text(&self.input))),
            ("out", self.out.as_deref().map(text)),
            ("preset", preset),
            ("caption_col", self.caption_col.as_deref().map(text)),
            ("url_col", self.url_col.as_deref().map(text)),
            ("language_model", self.language_model.as_deref().map(text)),
            ("threads", self.threads.map(|n| n.to_string())),
        ];
        settings::load(file, &sets(flags, &self.common))
    }
}

pub(crate) fn run(args: &Filter) -> Result<u8> {
    let config = args.config()?;
    let options = RunOptions {
        selection: args.unit.unwrap_or(Selection::All),
        fresh: args.fresh,
        style: args.common.progress_style(),
        verbose: args.common.verbose,
        interrupt: interrupt::install(),
    };
    if args.dry_run {
        let preview = filter::preview(&config, args.sample, args.seed, &options)?;
        match args.common.json {
            true => record("funnel", json!(preview))?,
            false => print(&preview.text())?,
        }
        return Ok(0);
    }
    conclude(&args.common, &filter::run(&config, &options)?)?;
    Ok(0)
}

fn conclude(common: &Common, summary: &FilterSummary) -> Result<()> {
    if common.json {
        return record("summary", json!(summary));
    }
    common.say(&format!("{}\n\n{}", stage::text(&summary.stage), summary.funnel.text()));
    Ok(())
}
