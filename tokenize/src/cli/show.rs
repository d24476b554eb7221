//! `tokenize show`.

use std::path::PathBuf;

use pipeline::cli::{Common, print};
use pipeline::settings;

use crate::bpe::Bpe;
use crate::shards::ShardsConfig;
use crate::show::ShowOptions;
use crate::{Error, Result, shard_list, show};

/// Flags of `tokenize show`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tokenize show data/tokens
  tokenize show data/tokens/00000.parquet --json
  tokenize show data/tokens --rows 3 --bpe bpe.model
  tokenize show tokens.toml --set image_size=128")]
pub(super) struct Args {
    /// A folder of token shards or of several grids, one shard, or a configuration of `tokenize shards`
    path: PathBuf,
    /// Show so many of the first rows
    #[arg(long, default_value_t = 0)]
    rows: usize,
    /// The text tokenizer that made the shards: turns the ids of these rows back into text
    #[arg(long, requires = "rows")]
    bpe: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

impl Args {
    pub(super) fn run(self) -> Result<u8> {
        let common = &self.common;
        if self.path.extension().is_some_and(|ending| ending == "toml") {
            let config: ShardsConfig = settings::load(Some(&self.path), &common.sets)?;
            if common.json {
                super::print_json("config", &config)?;
            } else {
                print(settings::to_toml(&config)?.trim_end())?;
            }
            return Ok(0);
        }
        let bpe = self.bpe.as_ref().map(Bpe::load).transpose()?;
        let options = ShowOptions { rows: self.rows, bpe };
        for path in shard_list::grids(&self.path)?.unwrap_or_else(|| vec![self.path.clone()]) {
            let summary = show::summarise(&path, &options, common.progress_style())?;
            if common.json {
                super::print_json("tokens", &summary)?;
            } else {
                show::print(&mut std::io::stdout().lock(), &path, &summary).map_err(Error::io("stdout"))?;
            }
        }
        Ok(0)
    }
}
