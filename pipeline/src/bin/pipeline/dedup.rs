//! `pipeline dedup`: its flags, which become `--set`s of the config, and what it says.

use std::path::Path;

use clap::{Args, ValueEnum};
use pipeline::cli::Common;
use pipeline::dedup::{self, DedupConfig, DedupSummary, Link, Merge, Stage};
use pipeline::unit::{RunOptions, Selection, StageSummary};
use pipeline::{Result, interrupt, settings};
use serde_json::json;

use crate::args::{is_toml, sets, text, texts};
use crate::commands::record;

/// `pipeline dedup`.
#[derive(Args)]
#[command(after_help = "Examples:
  pipeline dedup data/pairs --out data/unique
  pipeline dedup data/pairs --out data/unique --against coco/val2017 --against imagenet-val.parquet
  pipeline dedup links.parquet --url-col URL --caption-col TEXT --stages url_caption --out data/links
  pipeline dedup dedup.toml --set near.distance=6 --merge-captions list

Stages, in this order: url or url_caption, placeholder, contaminated, sha256, near. Dropped rows lie beside the
shards in NNNNN.dropped.parquet, decisions.parquet tells of every row. The same command again continues.")]
pub(crate) struct Dedup {
    /// A config file (.toml), or a folder or bucket of shards, or a Parquet file
    input: String,
    /// Folder for the new shards, or a bucket
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    out: Option<String>,
    /// Captions of dropped rows go to the kept one: no, list (a column `captions`), join (into its caption) [no]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "HOW", help_heading = "Output")]
    merge_captions: Option<Merge>,
    /// Column of the URL [url]
    #[arg(long, value_name = "NAME", help_heading = "Input")]
    url_col: Option<String>,
    /// Column of the caption [caption]
    #[arg(long, value_name = "NAME", help_heading = "Input")]
    caption_col: Option<String>,
    /// Evaluation set: rows near to its pictures are dropped
    #[arg(long, value_name = "PATH", help_heading = "Input")]
    against: Vec<String>,
    /// What to look for [url,placeholder,contaminated,sha256,near]
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        hide_possible_values = true,
        value_name = "STAGE,…",
        help_heading = "Comparison"
    )]
    stages: Vec<Stage>,
    /// Most bits of 64 in which hashes of near pictures differ, 0 to 8 [6]
    #[arg(long, value_name = "BITS", help_heading = "Comparison")]
    distance: Option<u32>,
    /// representative: all near to the kept picture; single: to any other [representative]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "LINK", help_heading = "Comparison")]
    link: Option<Link>,
    /// Threads [one per core]
    #[arg(long, value_name = "N", help_heading = "Run")]
    threads: Option<usize>,
    /// Hash the pictures of this unit alone; `env` takes its number from the array job
    #[arg(long, value_name = "N|env", help_heading = "Run", conflicts_with = "fresh")]
    unit: Option<Selection>,
    /// Delete the shards of an earlier plan in the folder and start over (hashes of the same pictures serve again)
    #[arg(long, help_heading = "Run")]
    fresh: bool,
    #[command(flatten)]
    common: Common,
}

impl Dedup {
    /// The flags as settings, then the `--set`s, which win.
    fn sets(&self) -> Vec<String> {
        let stages: Vec<String> = self.stages.iter().map(|stage| stage.code().to_owned()).collect();
        let input = (!is_toml(&self.input)).then(|| text(&self.input));
        let flags = [
            ("input.path", input),
            ("input.url_col", self.url_col.as_deref().map(text)),
            ("input.caption_col", self.caption_col.as_deref().map(text)),
            ("output.path", self.out.as_deref().map(text)),
            ("captions.merge", name(self.merge_captions)),
            ("against.paths", texts(&self.against)),
            ("stages", texts(&stages)),
            ("near.distance", self.distance.map(|bits| bits.to_string())),
            ("against.distance", self.distance.map(|bits| bits.to_string())),
            ("near.link", name(self.link)),
            ("run.threads", self.threads.map(|n| n.to_string())),
        ];
        sets(flags, &self.common)
    }
}

fn name(value: Option<impl ValueEnum>) -> Option<String> {
    value.and_then(|value| value.to_possible_value()).map(|value| value.get_name().to_owned())
}

/// The exit code.
pub(crate) fn dedup(args: &Dedup) -> Result<u8> {
    let file = Some(args.input.as_str()).filter(|input| is_toml(input)).map(Path::new);
    let config: DedupConfig = settings::load(file, &args.sets())?;
    let options = RunOptions {
        selection: args.unit.unwrap_or(Selection::All),
        fresh: args.fresh,
        style: args.common.progress_style(),
        verbose: args.common.verbose,
        interrupt: interrupt::install(),
    };
    match args.unit {
        Some(_) => conclude_unit(&args.common, &dedup::hash_units(&config, &options)?)?,
        None => conclude(&args.common, &dedup::run(&config, &options)?)?,
    }
    Ok(0)
}

fn conclude(common: &Common, summary: &DedupSummary) -> Result<()> {
    if common.json {
        return record("summary", json!(summary));
    }
    common.say(&summary.text());
    Ok(())
}

fn conclude_unit(common: &Common, summary: &StageSummary) -> Result<()> {
    if common.json {
        return record("hashes", json!(summary));
    }
    let (units, missing) = (summary.units, summary.units_missing);
    common.say(&match missing {
        0 => format!("all {units} units are hashed; next: the same command without --unit"),
        _ => format!("{} of {units} units are hashed", units - missing),
    });
    Ok(())
}
