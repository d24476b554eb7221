//! How fast a run goes, and what it waits for.

use std::time::{Duration, Instant};

use super::{Facts, Step};
use crate::machine;

/// Time spent in steps, and waiting; all of this process, and since the last line.
#[derive(Debug)]
pub(super) struct Pace {
    began: Instant,
    /// Seconds of the processes before.
    before: f64,
    all: Spent,
    since: Spent,
    /// Operations a second that the device can do at best.
    peak: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    steps: u64,
    /// In steps, waiting for batches included.
    stepping: Duration,
    /// For batches.
    waiting: Duration,
    /// Taking checkpoints, and waiting for the one before to be written.
    keeping: Duration,
}

impl Pace {
    /// Begins after `before` seconds of earlier processes, on a device of `peak` operations a second.
    pub(super) fn new(before: f64, peak: f64) -> Self {
        Self { began: Instant::now(), before, all: Spent::default(), since: Spent::default(), peak }
    }

    /// Seconds of training over all processes.
    pub(super) fn seconds(&self) -> f64 {
        self.before + self.began.elapsed().as_secs_f64()
    }

    /// Counts a step that took `time`.
    pub(super) fn stepped(&mut self, step: &Step, time: Duration) {
        for spent in [&mut self.all, &mut self.since] {
            spent.steps += 1;
            spent.stepping += time;
            spent.waiting += step.waited;
        }
    }

    /// Counts the time that a checkpoint kept the training waiting.
    pub(super) fn kept(&mut self, time: Duration) {
        self.all.keeping += time;
        self.since.keeping += time;
    }

    /// Steps made by this process.
    pub(super) fn steps(&self) -> u64 {
        self.all.steps
    }

    /// Steps per second of this process, validation and samples included: what the time that is left follows from.
    pub(super) fn rate(&self) -> f64 {
        self.all.steps as f64 / self.began.elapsed().as_secs_f64().max(1e-9)
    }

    /// What is measured since the last line: steps and items per second of training, the share of it that waited for
    /// batches, seconds that checkpoints held it up, utilisation of the device, and the most memory held, in bytes.
    pub(super) fn line(&mut self, facts: &Facts) -> Vec<(String, f64)> {
        let since = std::mem::take(&mut self.since);
        let seconds = since.stepping.as_secs_f64().max(1e-9);
        let rate = since.steps as f64 / seconds;
        let mut line = vec![
            ("steps_per_second".to_owned(), rate),
            (format!("{}_per_second", facts.items), rate * facts.items_per_step as f64),
            ("stall".to_owned(), since.waiting.as_secs_f64() / seconds),
            ("checkpoint_stall".to_owned(), since.keeping.as_secs_f64()),
        ];
        line.extend(self.utilisation(facts, rate).map(|share| ("mfu".to_owned(), share)));
        line.extend(machine::peak_memory().map(|bytes| ("memory".to_owned(), bytes as f64)));
        line
    }

    /// Model FLOPs utilisation: operations that the model asks for, as a share of the device's peak.
    fn utilisation(&self, facts: &Facts, rate: f64) -> Option<f64> {
        (facts.flops_per_step > 0.0 && self.peak > 0.0).then(|| facts.flops_per_step * rate / self.peak)
    }

    /// The same over all steps of this process.
    pub(super) fn overall(&self, facts: &Facts) -> Option<f64> {
        self.utilisation(facts, self.all.steps as f64 / self.all.stepping.as_secs_f64().max(1e-9))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_counts_what_came_since_the_last_one() {
        let facts = Facts { items: "tokens", items_per_step: 100, flops_per_step: 5e9, ..Facts::default() };
        let mut pace = Pace::new(0.0, 1e11);
        let step = Step { waited: Duration::from_millis(50), ..Step::default() };
        pace.stepped(&step, Duration::from_millis(200));
        drop(pace.line(&facts));
        pace.stepped(&Step::default(), Duration::from_millis(100));
        pace.stepped(&step, Duration::from_millis(100));
        pace.kept(Duration::from_millis(30));
        let line = pace.line(&facts);
        let of = |name: &str| line.iter().find(|(known, _)| known == name).unwrap().1;
        assert!((of("steps_per_second") - 10.0).abs() < 1e-9);
        assert!((of("tokens_per_second") - 1000.0).abs() < 1e-6);
        assert!((of("stall") - 0.25).abs() < 1e-9 && (of("checkpoint_stall") - 0.03).abs() < 1e-9);
        assert!((of("mfu") - 0.5).abs() < 1e-9);
        assert_eq!(pace.steps(), 3);
        assert!((pace.overall(&facts).unwrap() - 5e9 * 7.5 / 1e11).abs() < 1e-9);
    }
}
