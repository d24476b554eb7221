//! A rate that falls in steps.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Multiplies the rate by a factor every so many steps (`torch.optim.lr_scheduler.StepLR`) or at given ones
/// (`MultiStepLR`). Steps are the run's, those of the warm-up included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StepDecay {
    /// What the rate is multiplied by each time; PyTorch's default.
    pub factor: f64,
    /// Steps from one time to the next; 0 where they are given.
    pub every: u64,
    /// The steps at which the rate falls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub at: Vec<u64>,
}

impl Default for StepDecay {
    fn default() -> Self {
        Self { factor: 0.1, every: 0, at: Vec::new() }
    }
}

impl StepDecay {
    /// The rate of `step` as a fraction of the peak.
    pub(super) fn at(&self, step: u64) -> f64 {
        let regular = step.checked_div(self.every).unwrap_or(0);
        let given = self.at.iter().filter(|at| **at <= step).count() as u64;
        // Past this many times the rate is 0 or the factor 1.
        self.factor.powi(i32::try_from(regular + given).unwrap_or(i32::MAX))
    }

    /// Refuses what never falls, or in two ways.
    ///
    /// # Errors
    /// Names the key.
    pub(super) fn check(&self) -> Result<()> {
        if !(self.factor > 0.0 && self.factor <= 1.0) {
            return Err(Error::config("schedule.step.factor: must be above 0 and at most 1"));
        }
        if (self.every > 0) != self.at.is_empty() {
            return Err(Error::config("schedule.step: give one of `every` and `at`")
                .with_hint("`every = 30000`, or `at = [60000, 80000]`"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Schedule;

    fn rates(text: &str, steps: &[u64]) -> Vec<f64> {
        let schedule: Schedule = toml::from_str(&format!("lr = 1.0\n{text}")).unwrap();
        schedule.check().unwrap();
        steps.iter().map(|step| schedule.at(*step, 100)).collect()
    }

    #[test]
    fn the_rate_falls_at_its_steps() {
        let every = rates("warmup = 0\nstep = { factor = 0.5, every = 10 }", &[0, 9, 10, 19, 20, 99]);
        assert_eq!(every, [1.0, 1.0, 0.5, 0.5, 0.25, 0.5f64.powi(9)]);
        let given = rates("warmup = 4\nstep = { factor = 0.5, at = [10, 15] }", &[0, 4, 9, 10, 14, 15, 99]);
        assert_eq!(given, [0.2, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25]);
    }

    #[test]
    fn what_is_no_decay_is_refused() {
        let fault = |text: &str| toml::from_str::<StepDecay>(text).unwrap().check().unwrap_err().to_string();
        assert!(fault("factor = 0.5").starts_with("schedule.step: give one"));
        assert!(fault("every = 5\nat = [7]").starts_with("schedule.step: give one"));
        assert!(fault("every = 5\nfactor = 2.0").starts_with("schedule.step.factor"));
        assert!(toml::from_str::<StepDecay>("evry = 5").is_err());
    }
}
