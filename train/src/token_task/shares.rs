//! How many rows of a run each task gets: exact counts as a function of the step.

use super::mix::TaskMix;
use crate::schedule::Track;

/// Rows of each task up to a step, for weights that may follow the step: a curriculum.
///
/// Weights that stay the same have a closed form. Others are added up from step 0: every step gives each task its share
/// of the rows, and what is left over by rounding to those that are owed most. The counts depend on the step alone.
#[derive(Clone, Debug)]
pub(super) struct Shares {
    mix: TaskMix,
    batch: u64,
    /// Where the sums stand; without any the weights stay the same.
    sums: Option<Sums>,
}

#[derive(Clone, Debug)]
struct Sums {
    step: u64,
    rows: Vec<u64>,
    /// Rows that each task is owed; together none.
    owed: Vec<f64>,
}

impl Sums {
    fn zero(tasks: usize) -> Self {
        Self { step: 0, rows: vec![0; tasks], owed: vec![0.0; tasks] }
    }

    /// One step of `batch` rows at these weights.
    fn advance(&mut self, weights: &[f64], batch: u64) {
        let sum: f64 = weights.iter().sum();
        for (owed, weight) in self.owed.iter_mut().zip(weights) {
            *owed += batch as f64 * weight / sum;
        }
        let mut left = batch;
        for (owed, rows) in self.owed.iter_mut().zip(&mut self.rows) {
            let whole = (owed.max(0.0).floor() as u64).min(left);
            (*owed, *rows, left) = (*owed - whole as f64, *rows + whole, left - whole);
        }
        for _ in 0..left {
            // Of tasks that are owed the same the first one.
            let most = (0..weights.len())
                .filter(|task| weights[*task] > 0.0)
                .reduce(|best, task| if self.owed[task] > self.owed[best] { task } else { best });
            let most = most.unwrap_or(0);
            self.owed[most] -= 1.0;
            self.rows[most] += 1;
        }
        self.step += 1;
    }
}

impl Shares {
    pub(super) fn new(mix: &TaskMix, batch: usize) -> Self {
        let steady = mix.0.values().all(|practice| matches!(practice.weight, Track::Constant(_)));
        let sums = (!steady).then(|| Sums::zero(mix.0.len()));
        Self { mix: mix.clone(), batch: batch as u64, sums }
    }

    /// Rows that each task has had before `step`. Cheap where steps are asked for in their order.
    pub(super) fn before(&mut self, step: u64) -> Vec<u64> {
        let Some(sums) = &mut self.sums else { return self.mix.until(step * self.batch) };
        if sums.step > step {
            *sums = Sums::zero(self.mix.0.len());
        }
        while sums.step < step {
            sums.advance(&self.mix.weights(sums.step), self.batch);
        }
        sums.rows.clone()
    }

    /// Each task's share of the rows of a run of so many steps.
    pub(super) fn over(&self, steps: u64) -> Vec<f64> {
        if self.sums.is_none() {
            let weights = self.mix.weights(0);
            let sum: f64 = weights.iter().sum();
            return weights.iter().map(|weight| weight / sum).collect();
        }
        let rows = self.clone().before(steps);
        rows.iter().map(|rows| *rows as f64 / (steps * self.batch).max(1) as f64).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mix(text: &str) -> TaskMix {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_curriculum_moves_from_one_task_to_another() {
        let text = "text_to_image = { weight = [[0, 0.0], [100, 1.0]] }\n\
                    image_to_text = { weight = [[0, 1.0], [100, 0.0]] }";
        let mut shares = Shares::new(&mix(text), 10);
        let (early, late) = (shares.before(10), shares.before(1000));
        // The tasks are in the order of their names.
        assert_eq!(early.iter().sum::<u64>(), 100);
        assert!(early[0] > 93 && late[1] - early[1] > 9300, "{early:?} {late:?}");
        let between: Vec<u64> = shares.before(1001).iter().zip(&late).map(|(b, a)| b - a).collect();
        assert_eq!(between, [0, 10], "a task of weight 0 gets nothing");
        assert_eq!(Shares::new(&mix(text), 10).before(10), early, "whatever was asked before");
        assert!((shares.over(100)[0] - 0.505).abs() < 0.01);
    }

    proptest! {
        #[test]
        fn every_step_has_all_its_rows_and_shares_hold_in_the_long_run(
            weights in proptest::collection::vec(0.0f64..5.0, 2..5), batch in 1usize..20, steps in 1u64..300,
        ) {
            prop_assume!(weights.iter().sum::<f64>() > 0.1);
            let lines: Vec<_> = weights.iter().enumerate().map(|(i, weight)| {
                format!("t{i} = {{ kind = 'text_to_image', weight = {{ jumps = [[0, {weight:?}]] }} }}")
            }).collect();
            let mut shares = Shares::new(&mix(&lines.join("\n")), batch);
            let sum: f64 = weights.iter().sum();
            let mut last = vec![0; weights.len()];
            for step in 1..=steps {
                let rows = shares.before(step);
                prop_assert_eq!(rows.iter().sum::<u64>(), step * batch as u64);
                prop_assert!(rows.iter().zip(&last).all(|(now, before)| now >= before));
                for (rows, weight) in rows.iter().zip(&weights) {
                    let wanted = step as f64 * batch as f64 * weight / sum;
                    prop_assert!((*rows as f64 - wanted).abs() < weights.len() as f64, "{} {}", rows, wanted);
                }
                last = rows;
            }
        }
    }
}
