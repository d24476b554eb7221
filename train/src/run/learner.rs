//! What the loop asks of anything that can be trained.

use std::path::Path;
use std::time::Duration;

use burn::tensor::Device;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Memory, RunConfig, Snapshot};
use crate::ranks::Team;
use crate::{Error, Result};

/// A model with its data and optimizers. RuDOLPH has one optimizer, VQGAN two, hence no finer split.
pub trait Learner {
    /// Makes the next steps together with others: each computes its share and all make the same step. A kind that says
    /// nothing here trains by itself.
    ///
    /// # Errors
    /// The kind cannot, or the batch cannot be shared out.
    fn join(&mut self, team: &Team) -> Result<()> {
        if team.size() == 1 {
            return Ok(());
        }
        Err(Error::config("this kind does not train over several processes or devices yet")
            .with_hint("start it without `mpirun`, with one `run.device`"))
    }

    /// Makes the optimizer step number `step` (counted from 0). The batch and the learning rate depend on the seed and
    /// on `step` alone. A step whose loss or gradient is not finite changes nothing.
    ///
    /// # Errors
    /// A batch cannot be made or the device fails.
    fn step(&mut self, step: u64) -> Result<Step>;

    /// Losses on held-out data, with the same random numbers each time; none without such data. The one named `loss`
    /// chooses the best checkpoint.
    ///
    /// # Errors
    /// As for [`Learner::step`].
    fn validate(&mut self) -> Result<Metrics>;

    /// Writes pictures into `dir`, each file named by [`sample_name`].
    ///
    /// # Errors
    /// A picture cannot be made or written.
    fn sample(&mut self, dir: &Path, step: u64) -> Result<()>;

    /// Weights and optimizer state of this moment, exactly: [`Learner::load`] must restore every bit. It is written
    /// while the next steps are made.
    ///
    /// # Errors
    /// A setting cannot be put into words.
    fn snapshot(&self) -> Result<Snapshot>;

    /// Restores what [`Learner::snapshot`] held.
    ///
    /// # Errors
    /// A file is missing, truncated or of another model.
    fn load(&mut self, dir: &Path) -> Result<()>;

    /// Writes the finished model into `dir`: published key names, configuration, codec and vocabulary.
    ///
    /// # Errors
    /// A file cannot be written.
    fn export(&self, dir: &Path) -> Result<()>;

    /// What is said before the first step.
    fn facts(&self) -> Facts;
}

/// A configuration file that can be trained: the whole of `rudolph.toml` or `vqgan.toml`.
pub trait Task: Serialize + DeserializeOwned {
    /// What trains it.
    type Learner: Learner;

    /// The loop's part of the configuration.
    fn run(&self) -> &RunConfig;

    /// The same, to be changed: `train resume RUN` sets the folder.
    fn run_mut(&mut self) -> &mut RunConfig;

    /// Fills in what other files decide, such as the shape of published weights.
    ///
    /// # Errors
    /// A file that is missing or contradicts the configuration.
    fn complete(self) -> Result<Self> {
        Ok(self)
    }

    /// Loads the data and makes the model with its first weights.
    ///
    /// # Errors
    /// Data that is missing or does not fit.
    fn learner(&self, device: &Device) -> Result<Self::Learner>;
}

/// Name of a sample's file; `what` is empty or says which of several it is.
#[must_use]
pub fn sample_name(step: u64, what: &str) -> String {
    let dash = if what.is_empty() { "" } else { "-" };
    format!("step-{step:07}{dash}{what}.png")
}

/// What is known before the first step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Number of trained weights.
    pub parameters: usize,
    /// What one step sees: tokens or pixels.
    pub items_per_step: u64,
    /// The name of these items, in the plural.
    pub items: &'static str,
    /// Floating-point operations that the model asks for in one step, forward and backward; 0 where they are not counted.
    pub flops_per_step: f64,
    /// Steps for one pass over the training rows.
    pub steps_per_epoch: f64,
    /// What the run will hold.
    pub memory: Memory,
    /// Hash of the data; a resumed run must find the same.
    pub fingerprint: String,
    /// More lines for the reader, such as baselines.
    pub notes: Vec<String>,
}

/// What one step leaves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// Losses, gradient norm, learning rate.
    pub metrics: Metrics,
    /// How long the step waited for its batch.
    pub waited: Duration,
    /// The first parameter whose gradient is not finite, if the step was not made for that reason.
    pub bad: Option<String>,
}

impl From<Metrics> for Step {
    fn from(metrics: Metrics) -> Self {
        Self { metrics, ..Self::default() }
    }
}

/// Named numbers in a fixed order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics(Vec<(String, f64)>);

impl Metrics {
    /// No numbers yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a number.
    pub fn push(&mut self, name: impl Into<String>, value: f64) {
        self.0.push((name.into(), value));
    }

    /// Appends a number, for building in one expression.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: f64) -> Self {
        self.push(name, value);
        self
    }

    /// Appends those numbers that there are.
    pub fn extend<N: Into<String>>(&mut self, numbers: impl IntoIterator<Item = Option<(N, f64)>>) {
        self.0.extend(numbers.into_iter().flatten().map(|(name, value)| (name.into(), value)));
    }

    /// The number of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<f64> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The first number that is NaN or infinite.
    #[must_use]
    pub fn not_finite(&self) -> Option<(&str, f64)> {
        self.iter().find(|(_, value)| !value.is_finite())
    }

    /// Names and numbers in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<String>> FromIterator<(N, f64)> for Metrics {
    fn from_iter<T: IntoIterator<Item = (N, f64)>>(iter: T) -> Self {
        Self(iter.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}
