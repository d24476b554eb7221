//! `tokenize show`.

use std::path::PathBuf;

use pipeline::cli::{Common, print};
use pipeline::settings;

use crate::shards::ShardsConfig;
use crate::{Error, Result, show};

/// Flags of `tokenize show`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tokenize show data/tokens
  tokenize show data/tokens/00000.parquet --json
  tokenize show tokens.toml --set image_size=128")]
pub(super) struct Args {
    /// A folder of token shards, one shard, or a configuration of `tokenize shards`
    path: PathBuf,
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
        let summary = show::summarise(&self.path, common.progress_style())?;
        if common.json {
            super::print_json("tokens", &summary)?;
        } else {
            show::print(&mut std::io::stdout().lock(), &self.path, &summary).map_err(Error::io("stdout"))?;
        }
        Ok(0)
    }
}
