//! `tokenize shards`.

use std::path::{Path, PathBuf};

use pipeline::cli::Common;
use pipeline::unit::Selection;
use pipeline::{interrupt, settings};

use crate::Result;
use crate::shards::{RunOptions, ShardsConfig, ShardsSummary, Sizes, run};
use crate::show::count;

/// Flags of `tokenize shards`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tokenize shards tokens.toml
  tokenize shards data/pairs --codec vqgan.safetensors --bpe bpe.json --out data/tokens
  tokenize shards data/pairs --codec vqgan.safetensors --image-size 128,192,256 --out data/tokens
  tokenize shards tokens.toml --set augment.flip=true --set 'captions=[\"caption\", \"caption_ru\"]'")]
pub(super) struct Args {
    /// A configuration (.toml), or the pair shards: a folder or a Parquet file
    input: PathBuf,
    /// Weights of the image codec; none for text-only shards
    #[arg(long)]
    codec: Option<PathBuf>,
    /// The text tokenizer
    #[arg(long)]
    bpe: Option<PathBuf>,
    /// Folder for the token shards
    #[arg(short, long)]
    out: Option<String>,
    /// Text columns; each gives a picture a row of its own [default: caption]
    #[arg(long, value_delimiter = ',')]
    captions: Option<Vec<String>>,
    /// Columns of the pairs to pass through with their types
    #[arg(long, value_delimiter = ',')]
    columns: Option<Vec<String>>,
    /// Sides of the pictures in pixels; several make a folder per grid [default: the codec's own resolution]
    #[arg(long, value_delimiter = ',')]
    image_size: Option<Vec<usize>>,
    /// cpu, cuda:0 or wgpu
    #[arg(long)]
    device: Option<String>,
    /// Work on one unit alone: its number, or `env` for the index of a cluster's array job
    #[arg(long)]
    unit: Option<Selection>,
    /// Delete what an earlier run left and start over
    #[arg(long)]
    fresh: bool,
    #[command(flatten)]
    common: Common,
}

impl Args {
    pub(super) fn run(self) -> Result<u8> {
        let common = self.common.clone();
        let options = RunOptions {
            fresh: self.fresh,
            selection: self.unit.unwrap_or_default(),
            style: common.progress_style(),
            verbose: common.verbose,
            interrupt: interrupt::install(),
        };
        let config = self.config(&common.sets)?;
        let summary = run(&config, &options)?;
        if common.json {
            super::print_json("summary", &summary)?;
        } else {
            talk(&common, &config, &summary);
        }
        Ok(u8::from(summary.pictures() == 0 && summary.missing == 0))
    }

    /// The file or the defaults, then `--set`, then the flags.
    fn config(self, sets: &[String]) -> Result<ShardsConfig> {
        let is_file = self.input.extension().is_some_and(|ending| ending == "toml");
        let file: Option<&Path> = is_file.then_some(&self.input);
        let mut config: ShardsConfig = settings::load(file, sets)?;
        if !is_file {
            config.pairs = self.input;
        }
        replace(&mut config.codec, self.codec);
        replace(&mut config.bpe, self.bpe);
        replace(&mut config.out, self.out);
        replace(&mut config.captions, self.captions);
        replace(&mut config.columns, self.columns);
        replace(&mut config.image_size, self.image_size.map(Sizes));
        replace(&mut config.device, self.device);
        Ok(config)
    }
}

fn replace<T>(value: &mut T, flag: Option<T>) {
    if let Some(flag) = flag {
        *value = flag;
    }
}

fn talk(common: &Common, config: &ShardsConfig, summary: &ShardsSummary) {
    let ShardsSummary { units, already_done, .. } = summary;
    if *already_done == *units {
        common.say(&format!("nothing to do: {already_done} of {} already done", count(*units, "unit")));
    } else if *already_done > 0 {
        common.say(&format!("{already_done} of {} were already done", count(*units, "unit")));
    }
    let rows = usize::try_from(summary.rows).unwrap_or(usize::MAX);
    let folders = summary.folders.join(", ");
    let what = if config.codec.as_os_str().is_empty() { "texts" } else { "pictures" };
    common.say(&format!("{folders}: {} of {} {what}", count(rows, "row"), summary.pictures()));
    let skipped: Vec<String> = summary.skipped().iter().map(|(code, n)| format!("{code} {n}")).collect();
    if !skipped.is_empty() {
        common.say(&format!("without codes: {} (`pipeline explain REASON` says more)", skipped.join(", ")));
    }
    if summary.pairs_missing > 0 {
        let missing = count(summary.pairs_missing, "unit");
        common.say(&format!(
            "note: {missing} of the pairs are not crawled yet; finish the crawl and use --fresh"
        ));
    }
    if summary.missing > 0 {
        common.say(&format!("{} still to do: the same command continues", count(summary.missing, "unit")));
    } else if summary.pictures() == 0 {
        common.say("no pair has a usable picture");
    } else if let Some(folder) = summary.folders.first() {
        common.say(&format!("next: train rudolph.toml --set data.tokens={folder}"));
    }
}
