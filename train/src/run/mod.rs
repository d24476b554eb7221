//! The training loop and the run folder: the part of `train` that does not know what is being trained.
//!
//! A [`Learner`] knows its model, data and optimizers and makes one step; the loop on this page decides when to log,
//! validate, sample and keep a checkpoint. A batch is a pure function of the seed and the step, and the device's random
//! numbers are seeded anew before everything that draws them, so a run that was killed and resumed equals one that
//! never stopped.

mod checkpoint;
mod config;
mod event;
mod folder;
mod journal;
mod kind;
mod learner;
mod sheet;
mod state;
mod tensorboard;
pub(crate) mod tensors;

use std::time::Instant;

use burn::tensor::Device;
use pipeline::interrupt::Interrupt;

pub use checkpoint::Checkpoints;
pub use config::RunConfig;
pub use event::{Event, Talk};
pub(crate) use folder::flat;
pub use folder::{Folder, Opening};
pub use journal::Journal;
pub use kind::Kind;
pub use learner::{Facts, Learner, Metrics, Task, sample_name};
pub use sheet::{grid, png, save_grid};
pub use state::{Means, State};
pub use tensorboard::TensorBoard;
pub use tensors::{load_module, save_module};

use crate::{Error, Result, device::mix};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All steps are made and the model is exported.
    Finished,
    /// A signal stopped it at a checkpoint; the same command continues.
    Interrupted,
}

/// Told about everything that happens; an error ends the run.
pub type Watch<'a> = &'a mut dyn FnMut(&Event) -> Result<()>;

/// A run in progress: a learner, its folder and where it stands.
pub struct Run<'a, L: Learner> {
    /// What is trained.
    pub learner: &'a mut L,
    /// Where everything is written; holding it keeps other processes out.
    pub folder: &'a Folder,
    /// When to do what.
    pub config: &'a RunConfig,
    /// Whose random numbers are seeded.
    pub device: &'a Device,
    /// Set by Ctrl-C and SIGTERM.
    pub interrupt: &'a Interrupt,
}

impl<L: Learner> Run<'_, L> {
    /// Trains from the last checkpoint to the last step, telling `watch` about everything that happens.
    ///
    /// # Errors
    /// Whatever the learner, the disk or the watcher report; the checkpoints written so far stay intact.
    pub fn train(&mut self, watch: Watch) -> Result<Outcome> {
        let facts = self.learner.facts();
        self.folder.begin()?;
        let checkpoints = Checkpoints::open(self.folder)?;
        let mut state = checkpoints.restore(self.learner, &facts)?;
        if state.step >= self.config.steps && self.folder.model().exists() {
            watch(&Event::NothingLeft { folder: self.folder.path(), step: state.step })?;
            return Ok(Outcome::Finished);
        }
        watch(&Event::Started { facts: &facts, step: state.step, steps: self.config.steps })?;
        let mut journal = Journal::open(self.folder, state.step)?;
        let (started, first, before) = (Instant::now(), state.step, state.seconds);
        while state.step < self.config.steps {
            if self.interrupt.is_set() {
                checkpoints.keep(self.learner, &state, self.config.keep)?;
                watch(&Event::Interrupted { step: state.step })?;
                return Ok(Outcome::Interrupted);
            }
            self.step(&mut state)?;
            let now = started.elapsed().as_secs_f64();
            state.seconds = before + now;
            let rate = (state.step - first) as f64 / now.max(1e-9);
            watch(&Event::Stepped { step: state.step })?;
            if self.config.due(self.config.log_every, state.step) {
                let metrics = state.means.take();
                journal.write("train", &state, &metrics, &[("steps_per_second", rate)])?;
                watch(&Event::Logged { step: state.step, metrics: &metrics, rate, facts: &facts })?;
            }
            self.now_and_then(&checkpoints, &mut journal, &mut state, watch)?;
        }
        self.folder.publish(&self.folder.model(), |dir| self.learner.export(dir))?;
        watch(&Event::Finished { folder: self.folder.path(), step: state.step, seconds: state.seconds })?;
        Ok(Outcome::Finished)
    }

    fn step(&mut self, state: &mut State) -> Result<()> {
        self.device.seed(mix(self.config.seed, state.step));
        let metrics = self.learner.step(state.step)?;
        state.step += 1;
        state.validation = None;
        if let Some((name, value)) = metrics.iter().find(|(_, value)| !value.is_finite()) {
            return Err(Error::Diverged { step: state.step, name: name.to_owned(), value });
        }
        state.means.add(&metrics);
        Ok(())
    }

    /// Validation, samples and a checkpoint, each where its interval is due.
    fn now_and_then(
        &mut self,
        checkpoints: &Checkpoints,
        journal: &mut Journal,
        state: &mut State,
        watch: Watch,
    ) -> Result<()> {
        let (config, step) = (self.config, state.step);
        if config.due(config.validate_every, step) {
            // The same random numbers each time, so that two validations differ by the weights alone.
            self.device.seed(config.seed);
            let metrics = self.learner.validate()?;
            state.validation = metrics.get("loss");
            if !metrics.is_empty() {
                journal.write("valid", state, &metrics, &[])?;
                watch(&Event::Validated { step, metrics: &metrics })?;
            }
        }
        if config.due(config.sample_every, step) {
            let dir = self.folder.samples()?;
            self.device.seed(config.seed);
            self.learner.sample(&dir, step)?;
            journal.pictures(&dir, step)?;
            watch(&Event::Sampled { step, dir: &dir })?;
        }
        if config.due(config.checkpoint_every, step) || step == config.steps {
            journal.sync()?;
            let path = checkpoints.keep(self.learner, state, config.keep)?;
            watch(&Event::Kept { step, path: &path })?;
        }
        Ok(())
    }
}
