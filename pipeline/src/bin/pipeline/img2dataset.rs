//! img2dataset's flags about the run, by their own names, so that old command lines run unchanged.
//!
//! A flag that means nothing here is accepted and says so once; one that asks for what this program does not do is an
//! error with the cure.

use clap::{Args, ValueEnum};
use pipeline::{Error, Result};

/// The flags; all hidden, as each has a name of its own here or no meaning.
#[derive(Args)]
pub(crate) struct Img2dataset {
    /// What is done about an output folder that holds shards
    #[arg(long, hide = true, value_enum)]
    incremental_mode: Option<IncrementalMode>,
    /// How the work is spread
    #[arg(long, hide = true)]
    distributor: Option<String>,
    /// Tries per shard
    #[arg(long, hide = true)]
    max_shard_retry: Option<u32>,
    /// Shards per Spark job
    #[arg(long, hide = true)]
    subjob_size: Option<u64>,
    /// Metrics to Weights & Biases
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "True")]
    enable_wandb: Option<String>,
    /// Project there
    #[arg(long, hide = true)]
    wandb_project: Option<String>,
}

/// img2dataset's `incremental_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum IncrementalMode {
    Incremental,
    Overwrite,
    Extend,
}

impl Img2dataset {
    /// Whether the output of an earlier run is to be deleted.
    pub(crate) fn overwrite(&self) -> bool {
        self.incremental_mode == Some(IncrementalMode::Overwrite)
    }

    /// Refuses what is not done here.
    ///
    /// # Errors
    /// Names the flag and what to do instead.
    pub(crate) fn check(&self) -> Result<()> {
        if self.incremental_mode == Some(IncrementalMode::Extend) {
            let error = Error::config("--incremental-mode extend", "a folder holds the shards of one list");
            return Err(error.with_hint(
                "crawl the new list into a folder of its own; or name old and new lists together and start over",
            ));
        }
        match self.distributor.as_deref() {
            None | Some("multiprocessing") => Ok(()),
            Some(other) => {
                let place = format!("--distributor {other}");
                let error = Error::config(place, "work is spread by unit numbers, not by a framework");
                Err(error.with_hint(
                    "start `--unit N` or `--unit env` on each machine, for example as an array job",
                ))
            }
        }
    }

    /// A line for each flag that was given and has no effect.
    pub(crate) fn notes(&self) -> Vec<String> {
        let wandb = self.enable_wandb.as_ref().is_some_and(|value| !is_false(value));
        let idle = [
            (
                self.max_shard_retry.is_some(),
                "--max-shard-retry",
                "a unit that failed is run by the next run",
            ),
            (self.subjob_size.is_some(), "--subjob-size", "there are no Spark jobs here"),
            (
                wandb,
                "--enable-wandb",
                "counts are in the progress line (--json) and the NNNNN_stats.json files",
            ),
            (self.wandb_project.is_some(), "--wandb-project", "nothing is sent to Weights & Biases"),
        ];
        let given = idle.into_iter().filter(|(given, ..)| *given);
        given.map(|(_, flag, why)| format!("note: {flag} has no effect: {why}")).collect()
    }
}

/// Python's false, as `fire` reads it.
fn is_false(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "false" | "0" | "none")
}
