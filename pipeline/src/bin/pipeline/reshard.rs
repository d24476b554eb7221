//! `pipeline reshard`: its flags, and what it says at the end.

use std::path::Path;

use clap::Args;
use pipeline::cli::Common;
use pipeline::reshard::{ReshardConfig, run};
use pipeline::unit::{RunOptions, Selection};
use pipeline::{Result, interrupt, settings};
use serde_json::json;

use crate::args::{is_toml, sets, text, texts};
use crate::commands::record;

/// `pipeline reshard`.
#[derive(Args)]
#[command(after_help = "Examples:
  pipeline reshard data/pairs --shuffle --seed 7 --out data/shuffled
  pipeline reshard data/a data/b --rekey --out data/both
  pipeline reshard data/pairs --keep uids.npy --out data/subset             # DataComp's list of uids
  pipeline reshard data/pairs --drop seen.txt --on url --out data/unseen
  pipeline reshard data/pairs --split train=0.98,test=0.02 --out data/split # near-duplicates stay on one side

The same command again continues where it stopped. Ctrl-C stops at the next safe point.")]
pub(crate) struct Reshard {
    /// A config file (.toml), or folders of shards, Parquet files, s3://… gs://… az://…
    #[arg(required = true)]
    input: Vec<String>,
    /// Folder for the new shards, or a bucket: s3://…, gs://…, az://…
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    out: Option<String>,
    /// Rows in a shard [10000]
    #[arg(long, alias = "rows-per-shard", value_name = "N", help_heading = "Output")]
    rows_per_unit: Option<u64>,
    /// New keys, by shard and row; otherwise rows keep theirs
    #[arg(long, help_heading = "Output")]
    rekey: bool,
    /// Keep the rows of this list: DataComp's .npy, Parquet, CSV, JSON, or one per line
    #[arg(long, value_name = "FILE", help_heading = "Rows")]
    keep: Option<String>,
    /// Leave out the rows of this list
    #[arg(long, value_name = "FILE", help_heading = "Rows", conflicts_with = "keep")]
    drop: Option<String>,
    /// Column of the shards that is looked up in it [uid for .npy, else key]
    #[arg(long, value_name = "COLUMN", help_heading = "Rows")]
    on: Option<String>,
    /// Column of the list [of the same name]
    #[arg(long, value_name = "COLUMN", help_heading = "Rows")]
    list_column: Option<String>,
    /// Write a row as often as it is listed
    #[arg(long, help_heading = "Rows")]
    repeat: bool,
    /// Divide by the hash of a column, into a folder for each side
    #[arg(long, value_delimiter = ',', value_name = "NAME=SHARE,…", help_heading = "Rows")]
    split: Vec<String>,
    /// Column to divide by [cluster, else url, else key]
    #[arg(long, value_name = "COLUMN", help_heading = "Rows")]
    by: Option<String>,
    /// A random order, each equally likely
    #[arg(long, help_heading = "Order", conflicts_with = "sort")]
    shuffle: bool,
    /// Sort by columns
    #[arg(long, value_delimiter = ',', value_name = "COLUMN,…", help_heading = "Order")]
    sort: Vec<String>,
    /// Largest first
    #[arg(long, help_heading = "Order")]
    descending: bool,
    /// Decides the random order and the split [0]
    #[arg(long, value_name = "N", help_heading = "Order")]
    seed: Option<u64>,
    /// Shards in progress at a time [one per core]
    #[arg(long, value_name = "N", help_heading = "Run")]
    threads: Option<usize>,
    /// Folder for rows on their way into another order [the output folder]
    #[arg(long, value_name = "DIR", help_heading = "Run")]
    temp: Option<String>,
    /// Make this shard alone; `env` takes its number from the array job
    #[arg(long, value_name = "N|env", help_heading = "Run", conflicts_with = "fresh")]
    unit: Option<Selection>,
    /// Delete the shards of an earlier plan in the folder and start over
    #[arg(long, help_heading = "Run")]
    fresh: bool,
    #[command(flatten)]
    common: Common,
}

impl Reshard {
    fn config_file(&self) -> Option<&Path> {
        match self.input.as_slice() {
            [file] if is_toml(file) => Some(Path::new(file)),
            _ => None,
        }
    }

    /// The flags as settings, then the `--set`s, which win.
    fn sets(&self) -> Vec<String> {
        let named = |value: &Option<String>| value.as_deref().map(text);
        let on = |flag: bool| flag.then(|| "true".to_owned());
        let inputs = self.config_file().is_none().then_some(self.input.as_slice());
        let order = if self.shuffle { Some("shuffle") } else { (!self.sort.is_empty()).then_some("sort") };
        let flags = [
            ("seed", self.seed.map(|seed| seed.to_string())),
            ("input.paths", inputs.and_then(texts)),
            ("subset.keep", named(&self.keep)),
            ("subset.drop", named(&self.drop)),
            ("subset.column", named(&self.on)),
            ("subset.list_column", named(&self.list_column)),
            ("subset.repeat", on(self.repeat)),
            ("split.sides", texts(&self.split)),
            ("split.by", named(&self.by)),
            ("order.kind", order.map(str::to_owned)),
            ("order.by", texts(&self.sort)),
            ("order.descending", on(self.descending)),
            ("output.path", named(&self.out)),
            ("output.rows_per_unit", self.rows_per_unit.map(|rows| rows.to_string())),
            ("output.rekey", on(self.rekey)),
            ("run.threads", self.threads.map(|threads| threads.to_string())),
            ("run.temp", named(&self.temp)),
        ];
        sets(flags, &self.common)
    }
}

pub(crate) fn reshard(args: &Reshard) -> Result<u8> {
    let config: ReshardConfig = settings::load(args.config_file(), &args.sets())?;
    let options = RunOptions {
        selection: args.unit.unwrap_or(Selection::All),
        fresh: args.fresh,
        style: args.common.progress_style(),
        verbose: args.common.verbose,
        interrupt: interrupt::install(),
    };
    let summary = run(&config, &options)?;
    if args.common.json {
        return record("summary", json!(summary)).map(|()| 0);
    }
    args.common.say(&summary.text());
    for stage in summary.sides.iter().map(|side| &side.stage).filter(|stage| stage.units_missing > 0) {
        let (missing, output) = (stage.units_missing, &stage.output);
        args.common.say(&format!("{missing} units are missing: see `pipeline status {output}`"));
    }
    Ok(0)
}
