//! The learning rate as a function of the step alone, so that a resumed run continues on the same curve.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How the rate moves from its peak to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// Stays at the peak.
    Constant,
    /// A straight line down to the end.
    Linear,
    /// Half a cosine down to the end (Loshchilov and Hutter, 2017, without restarts), as in nanoGPT.
    #[default]
    Cosine,
}

/// Learning rate: a linear warm-up to a peak, then a decay to a fraction of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// The peak rate.
    pub lr: f64,
    /// Steps from near zero to the peak.
    pub warmup: u64,
    /// What follows the warm-up.
    pub decay: Decay,
    /// The last step's rate as a fraction of the peak; nanoGPT's rule of thumb is a tenth.
    pub end: f64,
    /// PyTorch's one-cycle policy in place of warm-up, decay and end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_cycle: Option<OneCycle>,
}

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
    fn at(&self, step: u64, steps: u64) -> f64 {
        let first = 1.0 / self.div_factor;
        let (step, last) = (step as f64, (steps as f64 - 1.0).max(1.0));
        let top = self.rise * steps as f64 - 1.0;
        let along = |from: f64, to: f64, done: f64| {
            to + (from - to) * 0.5 * (1.0 + (std::f64::consts::PI * done.clamp(0.0, 1.0)).cos())
        };
        if step <= top {
            return along(first, 1.0, step / top.max(1e-9));
        }
        along(1.0, first / self.final_div_factor, (step - top) / (last - top).max(1e-9))
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self { lr: 3e-4, warmup: 100, decay: Decay::Cosine, end: 0.1, one_cycle: None }
    }
}

impl Schedule {
    /// The learning rate of `step` (counted from 0) in a run of `steps`.
    #[must_use]
    pub fn at(&self, step: u64, steps: u64) -> f64 {
        if let Some(cycle) = &self.one_cycle {
            return self.lr * cycle.at(step, steps);
        }
        if step < self.warmup {
            return self.lr * (step + 1) as f64 / (self.warmup + 1) as f64;
        }
        let length = steps.saturating_sub(self.warmup).max(2) - 1;
        let done = ((step - self.warmup) as f64 / length as f64).min(1.0);
        let above_end = match self.decay {
            Decay::Constant => return self.lr,
            Decay::Linear => 1.0 - done,
            Decay::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
        };
        self.lr * (self.end + (1.0 - self.end) * above_end)
    }

    /// Refuses what is no schedule.
    ///
    /// # Errors
    /// Names the key.
    pub fn check(&self) -> Result<()> {
        if !self.lr.is_finite() || self.lr < 0.0 {
            return Err(Error::config("schedule.lr: must be a number that is not negative"));
        }
        let Some(cycle) = &self.one_cycle else { return Ok(()) };
        if !(0.0..1.0).contains(&cycle.rise) {
            return Err(Error::config("schedule.one_cycle.rise: must be in 0..1"));
        }
        if ![cycle.div_factor, cycle.final_div_factor].iter().all(|factor| *factor >= 1.0) {
            return Err(Error::config("schedule.one_cycle: both factors must be at least 1"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(decay: Decay) -> Schedule {
        Schedule { lr: 1.0, warmup: 4, decay, end: 0.1, one_cycle: None }
    }

    #[test]
    fn the_warm_up_rises_to_the_peak() {
        let rates: Vec<_> = (0..5).map(|step| schedule(Decay::Cosine).at(step, 100)).collect();
        assert_eq!(rates, [0.2, 0.4, 0.6, 0.8, 1.0]);
    }

    #[test]
    fn every_decay_ends_where_it_says() {
        for (decay, end) in [(Decay::Constant, 1.0), (Decay::Linear, 0.1), (Decay::Cosine, 0.1)] {
            assert!((schedule(decay).at(99, 100) - end).abs() < 1e-12, "{decay:?}");
            assert!((schedule(decay).at(500, 100) - end).abs() < 1e-12, "{decay:?} past the end");
        }
    }

    #[test]
    fn the_middle_of_the_decay_is_the_middle_of_the_range() {
        let s = Schedule { warmup: 0, ..schedule(Decay::Cosine) };
        assert!((s.at(50, 101) - 0.55).abs() < 1e-12);
        assert!((Schedule { decay: Decay::Linear, ..s }.at(50, 101) - 0.55).abs() < 1e-12);
    }

    #[test]
    fn a_run_shorter_than_its_warm_up_is_finite() {
        assert!((0..4).all(|step| schedule(Decay::Linear).at(step, 2).is_finite()));
    }

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

    #[test]
    fn what_is_no_cycle_is_refused() {
        let fault = |text: &str| toml::from_str::<Schedule>(text).unwrap().check().unwrap_err().to_string();
        assert!(fault("one_cycle = { rise = 1.0 }").starts_with("schedule.one_cycle.rise"));
        assert!(fault("one_cycle = { div_factor = 0.5 }").starts_with("schedule.one_cycle: "));
        assert!(fault("lr = -1.0").starts_with("schedule.lr"));
    }
}
