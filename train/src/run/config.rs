//! The `[run]` table of every training configuration.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Where a run writes, how long it is and what it does now and then. An interval of 0 means never.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// The run folder.
    pub out: PathBuf,
    /// Decides weights, batches and samples.
    pub seed: u64,
    /// Optimizer steps in all.
    pub steps: u64,
    /// Steps between lines of `metrics.jsonl`; a line holds the means since the last one.
    pub log_every: u64,
    /// Steps between validations; the last step is always validated.
    pub validate_every: u64,
    /// Steps between samples; the last step is always sampled.
    pub sample_every: u64,
    /// Steps between checkpoints; the last step always has one.
    pub checkpoint_every: u64,
    /// How many of the newest checkpoints stay, besides the best one.
    pub keep: usize,
    /// `cpu`, `cuda:0` or `wgpu`.
    pub device: String,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            out: "runs/model".into(),
            seed: 1,
            steps: 10_000,
            log_every: 10,
            validate_every: 500,
            sample_every: 500,
            checkpoint_every: 500,
            keep: 2,
            device: "cpu".into(),
        }
    }
}

/// Keys that may differ between the two halves of a resumed run, because they change no weight.
pub(super) const FREE_KEYS: [&str; 7] = [
    "run.out",
    "run.log_every",
    "run.validate_every",
    "run.sample_every",
    "run.checkpoint_every",
    "run.keep",
    "run.device",
];

impl RunConfig {
    /// Whether something with this interval is done after `step` steps.
    #[must_use]
    pub fn due(&self, every: u64, step: u64) -> bool {
        every > 0 && (step.is_multiple_of(every) || step == self.steps)
    }

    /// Refuses what cannot be run.
    ///
    /// # Errors
    /// Names the key.
    pub fn check(&self) -> Result<()> {
        if self.steps == 0 {
            return Err(Error::config("run.steps: must be at least 1"));
        }
        if self.keep == 0 {
            return Err(Error::config(
                "run.keep: must be at least 1, a run without checkpoints cannot be resumed",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_step_is_always_due_unless_never_is_asked_for() {
        let run = RunConfig { steps: 25, ..RunConfig::default() };
        let due: Vec<_> = (1..=25).filter(|step| run.due(10, *step)).collect();
        assert_eq!(due, [10, 20, 25]);
        assert!((1..=25).all(|step| !run.due(0, step)));
    }

    #[test]
    fn zero_steps_are_refused() {
        let run = RunConfig { steps: 0, ..RunConfig::default() };
        assert_eq!(run.check().unwrap_err().to_string(), "run.steps: must be at least 1");
    }
}
