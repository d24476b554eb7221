//! `pipeline score`: its flags, and what it says at the end.

use std::cmp::Reverse;
use std::path::Path;

use clap::Args;
use pipeline::cli::Common;
use pipeline::crawl::ByteSize;
use pipeline::progress::clock;
use pipeline::score::{ScoreConfig, run};
use pipeline::unit::{RunOptions, Selection, StageSummary};
use pipeline::{Result, interrupt, settings};
use serde_json::json;

use crate::args::{is_toml, sets, text};
use crate::commands::record;

/// `pipeline score`.
#[derive(Args)]
#[command(after_help = "Examples:
  pipeline score data/pairs --open-nsfw open_nsfw.onnx --out data/scored
  pipeline score data/pairs --clip-image image.onnx --clip-text text.onnx --tokenizer tokenizer.json --out data/scored
  pipeline score score.toml     # any model of pictures or texts

The same command again continues where it stopped. Ctrl-C stops at the next safe point.")]
pub(crate) struct Score {
    /// A config file (.toml), or a folder of shards, a Parquet file, s3://… gs://… az://…
    input: String,
    /// Folder for the new shards, or a bucket: s3://…, gs://…, az://…
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    out: Option<String>,
    /// Yahoo's Open NSFW: a column `nsfw` between 0 and 1
    #[arg(long, value_name = "ONNX", help_heading = "Models")]
    open_nsfw: Option<String>,
    /// CLIP's picture tower: a column `clip_image`, a vector
    #[arg(long, value_name = "ONNX", help_heading = "Models")]
    clip_image: Option<String>,
    /// CLIP's text tower: `clip_text`; with both there is `clip_score`, their cosine, and no vectors
    #[arg(long, value_name = "ONNX", requires = "tokenizer", help_heading = "Models")]
    clip_text: Option<String>,
    /// The text tower's tokenizer.json
    #[arg(long, value_name = "FILE", requires = "clip_text", help_heading = "Models")]
    tokenizer: Option<String>,
    /// With both towers, keep their vectors too
    #[arg(long, help_heading = "Models")]
    vectors: bool,
    /// Threads [one per core]
    #[arg(long, value_name = "N", help_heading = "Run")]
    threads: Option<usize>,
    /// Score this unit alone; `env` takes its number from the array job
    #[arg(long, value_name = "N|env", help_heading = "Run", conflicts_with = "fresh")]
    unit: Option<Selection>,
    /// Delete the shards of an earlier plan in the folder and start over
    #[arg(long, help_heading = "Run")]
    fresh: bool,
    #[command(flatten)]
    common: Common,
}

impl Score {
    fn config_file(&self) -> Option<&Path> {
        is_toml(&self.input).then_some(Path::new(&self.input))
    }

    /// The flags as settings, then the `--set`s, which win.
    fn sets(&self) -> Vec<String> {
        let named = |value: &Option<String>| value.as_deref().map(text);
        let input = self.config_file().is_none().then(|| text(&self.input));
        let both = self.clip_image.is_some() && self.clip_text.is_some();
        let unstored = |name: &str| {
            (both && !self.vectors).then(|| format!("[{{name=\"{name}\",take=\"vector\",store=false}}]"))
        };
        let preset = |path: &Option<String>, preset: &str| path.as_ref().map(|_| preset.to_owned());
        let flags = [
            ("input.path", input),
            ("models.nsfw.path", named(&self.open_nsfw)),
            ("models.nsfw.preset", preset(&self.open_nsfw, "open-nsfw")),
            ("models.clip_image.path", named(&self.clip_image)),
            ("models.clip_image.preset", preset(&self.clip_image, "clip-image")),
            ("models.clip_image.columns", unstored("clip_image")),
            ("models.clip_text.path", named(&self.clip_text)),
            ("models.clip_text.preset", preset(&self.clip_text, "clip-text")),
            ("models.clip_text.text.tokenizer", named(&self.tokenizer)),
            ("models.clip_text.columns", unstored("clip_text")),
            ("cosine.clip_score.of", both.then(|| "[\"clip_image\",\"clip_text\"]".to_owned())),
            ("output.path", named(&self.out)),
            ("run.threads", self.threads.map(|threads| threads.to_string())),
        ];
        sets(flags, &self.common)
    }
}

pub(crate) fn score(args: &Score) -> Result<u8> {
    let config: ScoreConfig = settings::load(args.config_file(), &args.sets())?;
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
    args.common.say(&told(&summary));
    Ok(0)
}

/// The lines for people.
fn told(summary: &StageSummary) -> String {
    let StageSummary { units_done, units_missing, rows, bytes, output, seconds, .. } = summary;
    let first = match summary.already_done() {
        true => "nothing to do: all of this is done".to_owned(),
        false => format!("{units_done} shards in {}", clock(seconds.round() as u64)),
    };
    let mut counts: Vec<_> = summary.counts.iter().collect();
    counts.sort_by_key(|(_, rows)| Reverse(**rows));
    let share = |(outcome, rows): (&String, &u64)| {
        format!("{outcome} {:.1} %", 100.0 * *rows as f64 / summary.rows.max(1) as f64)
    };
    let shares: Vec<String> = counts.into_iter().map(share).collect();
    let mut lines = vec![first, format!("{rows} rows: {}", shares.join(", "))];
    lines.push(format!("{} in {output}", ByteSize(*bytes).human()));
    if *units_missing > 0 {
        lines.push(format!("{units_missing} units are missing: see `pipeline status {output}`"));
    }
    lines.join("\n")
}
