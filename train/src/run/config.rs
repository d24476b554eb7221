//! The `[run]` table of every training configuration.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Metrics;
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
    /// Checkpoints at multiples of this many steps stay for good; 0 keeps none so.
    pub keep_every: u64,
    /// Steps in all whose loss or gradients may be NaN or infinite: they change nothing and are counted. At the next one
    /// the run stops; with 0 at the first.
    pub skip_nonfinite: u64,
    /// The device's peak in 10¹² operations a second, for the model FLOPs utilisation; 0 measures it with a large matrix
    /// product.
    pub peak_tflops: f64,
    /// Computes each layer once more on the way back instead of keeping what it needs there: less memory, a third more
    /// time. For the transformers; with dropout it draws other numbers than without.
    pub recompute: bool,
    /// `cpu`, `cuda:0` or `wgpu`.
    pub device: String,
    /// Several devices instead of one: the parts of a step go round them, and the first holds the weights. A step then
    /// needs at least as many `data.parts`; the result does not depend on how many devices there are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
    /// Which checkpoint is the best one.
    pub best: Best,
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
            keep_every: 0,
            skip_nonfinite: 0,
            peak_tflops: 0.0,
            recompute: false,
            device: "cpu".into(),
            devices: Vec::new(),
            best: Best::default(),
        }
    }
}

/// The held-out metric that chooses the best checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Best {
    /// Its name in the lines of `metrics.jsonl` of type `valid`.
    pub metric: String,
    /// Whether more is better.
    pub highest: bool,
}

impl Best {
    /// Its value among held-out metrics.
    ///
    /// # Errors
    /// There is none of this name.
    pub(super) fn of(&self, metrics: &Metrics) -> Result<f64> {
        metrics.get(&self.metric).ok_or_else(|| {
            let known: Vec<_> = metrics.iter().map(|(name, _)| name).collect();
            let why = format!("run.best.metric: no held-out metric `{}`", self.metric);
            Error::config(why).with_hint(format!("there are {}", known.join(", ")))
        })
    }
}

impl Default for Best {
    fn default() -> Self {
        Self { metric: "loss".into(), highest: false }
    }
}

/// Which checkpoints stay.
#[derive(Clone, Debug)]
pub struct Retention {
    /// How many of the newest.
    pub newest: usize,
    /// Those at multiples of this many steps; 0 for none.
    pub every: u64,
    /// And the best by this.
    pub best: Best,
}

/// Keys that may differ between the two halves of a resumed run, because they change no weight.
pub(super) const FREE_KEYS: [&str; 12] = [
    "run.out",
    "run.log_every",
    "run.validate_every",
    "run.sample_every",
    "run.checkpoint_every",
    "run.keep",
    "run.keep_every",
    "run.best.metric",
    "run.best.highest",
    "run.peak_tflops",
    "run.device",
    "run.devices",
];

impl RunConfig {
    /// Whether something with this interval is done after `step` steps.
    #[must_use]
    pub fn due(&self, every: u64, step: u64) -> bool {
        every > 0 && (step.is_multiple_of(every) || step == self.steps)
    }

    /// Names of the devices, at least one.
    pub fn devices(&self) -> impl Iterator<Item = &str> {
        let one = self.devices.is_empty().then_some(&self.device);
        one.into_iter().chain(&self.devices).map(String::as_str)
    }

    /// Which checkpoints stay.
    #[must_use]
    pub fn retention(&self) -> Retention {
        Retention { newest: self.keep, every: self.keep_every, best: self.best.clone() }
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
    fn the_best_is_chosen_by_a_metric_that_there_is() {
        let metrics = Metrics::new().with("loss", 2.0).with("accuracy", 0.5);
        let best = |metric: &str| Best { metric: metric.into(), highest: true };
        assert_eq!(best("accuracy").of(&metrics).unwrap(), 0.5);
        assert_eq!(best("psnr").of(&metrics).unwrap_err().hint().unwrap(), "there are loss, accuracy");
    }

    #[test]
    fn zero_steps_are_refused() {
        let run = RunConfig { steps: 0, ..RunConfig::default() };
        assert_eq!(run.check().unwrap_err().to_string(), "run.steps: must be at least 1");
    }
}
