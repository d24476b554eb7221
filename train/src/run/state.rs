//! Where a run stands: everything besides weights and moments that a resumed run needs to continue exactly.

use serde::{Deserialize, Serialize};

use super::Metrics;

/// The loop's state, kept in each checkpoint as `state.toml` (TOML writes every f64 exactly).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Optimizer steps made.
    pub step: u64,
    /// Seconds spent training, over all processes.
    pub seconds: f64,
    /// The held-out metric that chooses the best checkpoint, where this very step was validated.
    pub validation: Option<f64>,
    /// Steps that were not made because a loss or gradient was not finite.
    #[serde(default)]
    pub skipped: u64,
    /// Hash of the data that the run began with.
    pub fingerprint: String,
    /// Metrics since the last logged line.
    pub means: Means,
}

/// Whether a metric says where a run stands, not how a step went.
fn is_standing(name: &str) -> bool {
    name == "lr" || name.starts_with(ROWS) || name.starts_with(EPOCHS)
}

/// How the metrics begin that count the rows of a source, from the beginning of the run, and its epochs.
pub(crate) const ROWS: &str = "rows/";
pub(crate) const EPOCHS: &str = "epochs/";

/// Running means of the metrics since the last logged line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Means(Vec<Mean>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Mean {
    name: String,
    sum: f64,
    count: u32,
}

impl Means {
    /// Takes one step's metrics in. Of the learning rate and of counts, which are no measurements, the last value stands.
    pub fn add(&mut self, metrics: &Metrics) {
        for (name, value) in metrics.iter() {
            match self.0.iter_mut().find(|mean| mean.name == name) {
                Some(mean) if is_standing(name) => mean.sum = value,
                Some(mean) => (mean.sum, mean.count) = (mean.sum + value, mean.count + 1),
                None => self.0.push(Mean { name: name.to_owned(), sum: value, count: 1 }),
            }
        }
    }

    /// The means, and a new beginning.
    pub fn take(&mut self) -> Metrics {
        std::mem::take(&mut self.0)
            .into_iter()
            .map(|mean| (mean.name, mean.sum / f64::from(mean.count)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_over_the_steps_that_have_the_metric() {
        let mut means = Means::default();
        means.add(&Metrics::new().with("loss", 1.0).with("lr", 0.1).with("rows/a", 4.0));
        means.add(&Metrics::new().with("loss", 3.0).with("lr", 0.2).with("rows/a", 8.0).with("right", 5.0));
        let expected =
            Metrics::new().with("loss", 2.0).with("lr", 0.2).with("rows/a", 8.0).with("right", 5.0);
        assert_eq!(means.take(), expected);
        assert!(means.take().is_empty());
    }

    proptest::proptest! {
        #[test]
        fn the_file_keeps_every_bit(sum in proptest::num::f64::NORMAL, seconds in 0.0..1e9) {
            let mut means = Means::default();
            means.add(&Metrics::new().with("loss", sum));
            let state = State { step: 7, seconds, validation: Some(sum), skipped: 2, fingerprint: "ab".into(), means };
            let text = toml::to_string(&state).unwrap();
            proptest::prop_assert_eq!(toml::from_str::<State>(&text).unwrap(), state);
        }
    }
}
