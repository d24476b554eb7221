//! The learning rate as a function of the step alone, so that a resumed run continues on the same curve; and other numbers
//! that follow the step, each a [`Track`].

mod one_cycle;
mod steps;
mod track;

use serde::{Deserialize, Serialize};

pub use one_cycle::OneCycle;
pub use steps::StepDecay;
pub use track::Track;

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
    /// Steps down in place of decay and end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<StepDecay>,
}

/// From one number to another along half a cosine; `done` is the share of the way.
pub(crate) fn half_cosine(from: f64, to: f64, done: f64) -> f64 {
    to + (from - to) * 0.5 * (1.0 + (std::f64::consts::PI * done.clamp(0.0, 1.0)).cos())
}

impl Default for Schedule {
    fn default() -> Self {
        Self { lr: 3e-4, warmup: 100, decay: Decay::Cosine, end: 0.1, one_cycle: None, step: None }
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
        if let Some(decay) = &self.step {
            return self.lr * decay.at(step);
        }
        let length = steps.saturating_sub(self.warmup).max(2) - 1;
        let done = ((step - self.warmup) as f64 / length as f64).min(1.0);
        let above_end = match self.decay {
            Decay::Constant => return self.lr,
            Decay::Linear => 1.0 - done,
            Decay::Cosine => half_cosine(1.0, 0.0, done),
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
        if self.one_cycle.is_some() && self.step.is_some() {
            return Err(Error::config("schedule.step: there is schedule.one_cycle as well")
                .with_hint("leave one of them out"));
        }
        self.one_cycle.as_ref().map_or(Ok(()), OneCycle::check)?;
        self.step.as_ref().map_or(Ok(()), StepDecay::check)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(decay: Decay) -> Schedule {
        Schedule { lr: 1.0, warmup: 4, decay, end: 0.1, ..Schedule::default() }
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
    fn what_is_no_cycle_is_refused() {
        let fault = |text: &str| toml::from_str::<Schedule>(text).unwrap().check().unwrap_err().to_string();
        assert!(fault("one_cycle = { rise = 1.0 }").starts_with("schedule.one_cycle.rise"));
        assert!(fault("one_cycle = { div_factor = 0.5 }").starts_with("schedule.one_cycle: "));
        assert!(fault("lr = -1.0").starts_with("schedule.lr"));
        assert!(fault("step = { every = 5 }\none_cycle = {}").starts_with("schedule.step: "));
    }
}
