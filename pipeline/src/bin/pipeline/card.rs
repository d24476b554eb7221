//! `pipeline card`: the page about folders of shards, and its figures.

use clap::Args;
use pipeline::card::{CardConfig, make, page};
use pipeline::cli::Common;
use pipeline::crawl::{ByteSize, RunOptions};
use pipeline::page::thousands;
use pipeline::{Result, atomic, interrupt, settings};
use serde_json::json;

use crate::args::{sets, text};
use crate::commands::record;

/// `pipeline card`.
#[derive(Args)]
#[command(after_help = "Examples:
  pipeline card data/unique --out card.html           # and the folders that it was made from, as far as they are there
  pipeline card data/pairs data/clean data/unique --out card.html --title 'Birds of the north'
  pipeline card data/pairs --json | jq .failures.reasons

The page is one file that loads nothing. The same folders give the same bytes; --seed chooses other rows.")]
pub(crate) struct Card {
    /// Folders or buckets of shards, or Parquet files, in the order in which data passed them: the card is about the last
    #[arg(required = true, value_name = "DIR")]
    dirs: Vec<String>,
    /// The page
    #[arg(long, value_name = "FILE", required_unless_present = "json")]
    out: Option<String>,
    /// The headline [name of the last folder]
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// What chooses the rows that are shown [0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Rows that are shown, and as many that were removed [64]
    #[arg(long, value_name = "N")]
    samples: Option<usize>,
    #[command(flatten)]
    common: Common,
}

impl Card {
    /// The flags as settings, then the `--set`s, which win.
    fn sets(&self) -> Vec<String> {
        let flags = [
            ("title", self.title.as_deref().map(text)),
            ("seed", self.seed.map(|seed| seed.to_string())),
            ("samples", self.samples.map(|samples| samples.to_string())),
        ];
        sets(flags, &self.common)
    }
}

/// Writes the page, the figures, or both.
pub(crate) fn card(args: &Card) -> Result<()> {
    let config: CardConfig = settings::load(None, &args.sets())?;
    let options = RunOptions {
        style: args.common.progress_style(),
        verbose: args.common.verbose,
        interrupt: interrupt::install(),
        ..RunOptions::default()
    };
    let card = make(&args.dirs, &config, &options)?;
    if let Some(out) = &args.out {
        let page = page(&card);
        atomic::write(out, &page)?;
        let rows = card.road.last().map_or(0, |stop| stop.rows);
        args.common.say(&format!(
            "{} rows in {out}, {}",
            thousands(rows),
            ByteSize(page.len() as u64).human()
        ));
    }
    match args.common.json {
        true => record("card", json!(card)),
        false => Ok(()),
    }
}
