//! The command line of `cargo demo`, and which `--set` belongs to which of the demo's configurations.

use std::path::PathBuf;

use clap::Parser;
use pipeline::cli::Common;

use crate::{Error, Result};

/// The whole road on real data, offline: crawl, tokenize, train, draw.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "demo",
    version,
    about,
    long_about = None,
    after_help = "Nothing outside the --out folder is written. Ctrl-C stops at a safe point; the same command continues.

Examples:
  cargo demo
  cargo demo -- --steps 15000 --out demo-long       about an hour on two cores
  cargo demo -- --from-scratch                      train the image codec too
  cargo demo -- --set model.dim=256 --set crawl.image.background='[0, 0, 0]' --out demo-wide"
)]
pub struct Args {
    /// Folder for everything that is made
    #[arg(long, value_name = "DIR", default_value = "demo-out")]
    pub out: PathBuf,
    /// Training steps of the text-image model [default: as in configs/demo/rudolph.toml]
    #[arg(long, value_name = "N")]
    pub steps: Option<u64>,
    /// Train the image codec instead of using the one that comes with the demo
    #[arg(long)]
    pub from_scratch: bool,
    /// Use the first N pictures only
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Remove what an earlier demo left in the folder and start over
    #[arg(long)]
    pub fresh: bool,
    /// Flags of all programs. `--set` changes rudolph.toml; crawl.KEY, tokens.KEY and vqgan.KEY the other three files
    #[command(flatten)]
    pub common: Common,
}

/// `--set` by configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sets {
    pub(super) crawl: Vec<String>,
    pub(super) tokens: Vec<String>,
    pub(super) rudolph: Vec<String>,
    pub(super) vqgan: Vec<String>,
}

impl Args {
    /// Sorts the `--set` flags; `--steps` is one of them.
    ///
    /// # Errors
    /// A limit of 0.
    pub(super) fn sets(&self) -> Result<Sets> {
        if self.limit == Some(0) {
            return Err(Error::config("--limit: must be at least 1"));
        }
        let mut sets = Sets::default();
        for set in &self.common.sets {
            match set.split_once('.') {
                Some(("crawl", rest)) => sets.crawl.push(rest.to_owned()),
                Some(("tokens", rest)) => sets.tokens.push(rest.to_owned()),
                Some(("vqgan", rest)) => sets.vqgan.push(rest.to_owned()),
                Some(("rudolph", rest)) => sets.rudolph.push(rest.to_owned()),
                _ => sets.rudolph.push(set.clone()),
            }
        }
        sets.rudolph.extend(self.steps.map(|steps| format!("run.steps={steps}")));
        Ok(sets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_flags_fit_together_and_help_fits_on_a_screen() {
        Args::command().debug_assert();
        let help = Args::command().term_width(100).render_help().to_string();
        assert!(help.lines().count() <= 40, "{help}");
    }

    #[test]
    fn every_set_finds_its_file() {
        let line = "demo --set crawl.image.size=8 --set model.dim=64 --set rudolph.run.seed=2 --set vqgan.run.steps=3 --steps 9";
        let sets = Args::parse_from(line.split(' ')).sets().unwrap();
        assert_eq!(sets.crawl, ["image.size=8"]);
        assert_eq!(sets.rudolph, ["model.dim=64", "run.seed=2", "run.steps=9"]);
        assert_eq!((sets.vqgan.as_slice(), sets.tokens.len()), (&["run.steps=3".to_owned()][..], 0));
        assert!(Args::parse_from(["demo", "--limit", "0"]).sets().is_err());
    }
}
