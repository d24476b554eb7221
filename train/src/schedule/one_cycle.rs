//! PyTorch's one-cycle policy.

use serde::{Deserialize, Serialize};

use super::half_cosine;
use crate::{Error, Result};

/// One cycle (Smith and Topin 2017) as `torch.optim.lr_scheduler.OneCycleLR` has it by default: half a cosine up to the
/// peak, half a cosine down. That class also moves Adam's first beta, from 0.95 to 0.85 and back, which is not done here.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OneCycle {
    /// Share of the steps that the rise takes.
    pub rise: f64,
    /// The first rate is the peak divided by this.
    pub div_factor: f64,
    /// The last rate is the first divided by this.
    pub final_div_factor: f64,
}

impl Default for OneCycle {
    /// PyTorch's defaults.
    fn default() -> Self {
        Self { rise: 0.3, div_factor: 25.0, final_div_factor: 1e4 }
    }
}

impl OneCycle {
    /// The rate of `step` as a fraction of the peak.
    pub(super) fn at(&self, step: u64, steps: u64) -> f64 {
        let first = 1.0 / self.div_factor;
        let (step, last) = (step as f64, (steps as f64 - 1.0).max(1.0));
        let top = self.rise * steps as f64 - 1.0;
        if step <= top {
            return half_cosine(first, 1.0, step / top.max(1e-9));
        }
        half_cosine(1.0, first / self.final_div_factor, (step - top) / (last - top).max(1e-9))
    }

    /// Refuses what is no cycle.
    ///
    /// # Errors
    /// Names the key.
    pub(super) fn check(&self) -> Result<()> {
        if !(0.0..1.0).contains(&self.rise) {
            return Err(Error::config("schedule.one_cycle.rise: must be in 0..1"));
        }
        if ![self.div_factor, self.final_div_factor].iter().all(|factor| *factor >= 1.0) {
            return Err(Error::config("schedule.one_cycle: both factors must be at least 1"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Schedule;

    #[test]
    fn one_cycle_is_that_of_pytorch() {
        let rates = |cycle, steps| -> Vec<f64> {
            let schedule = Schedule { lr: 1.0, one_cycle: Some(cycle), ..Schedule::default() };
            schedule.check().unwrap();
            (0..steps).map(|step| schedule.at(step, steps)).collect()
        };
        let near = |found: &[f64], expected: &[f64]| {
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
        };
        // torch 2.15: OneCycleLR(Adam, max_lr, total_steps=20, final_div_factor=500), and 10 steps with all defaults.
        let notebooks = rates(OneCycle { final_div_factor: 500.0, ..OneCycle::default() }, 20);
        near(
            &notebooks[..4],
            &[0.04, 0.131_671_842_700_025_2, 0.371_671_842_700_025_2, 0.668_328_157_299_974_7],
        );
        near(&notebooks[5..8], &[1.0, 0.987_464_958_974_424_5, 0.950_488_395_196_493_4]);
        near(&notebooks[18..], &[0.012_615_041_025_575_464, 8e-5]);
        let defaults = rates(OneCycle::default(), 10);
        near(&defaults[..4], &[0.04, 0.52, 1.0, 0.950_484_632_013_473_7]);
        near(&defaults[9..], &[4e-6]);
        assert!(
            rates(OneCycle::default(), 1)
                .iter()
                .chain(&rates(OneCycle::default(), 2))
                .all(|rate| rate.is_finite())
        );
    }
}
