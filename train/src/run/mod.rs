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
mod memory;
mod pace;
mod parts;
mod sheet;
mod snapshot;
mod state;
mod tensorboard;
pub(crate) mod tensors;

use std::time::Instant;

use burn::tensor::Device;
use pipeline::interrupt::Interrupt;

pub use checkpoint::Checkpoints;
pub use config::{Best, Retention, RunConfig};
pub use event::{Event, Talk};
pub use folder::{Folder, Opening};
pub use journal::Journal;
pub use kind::Kind;
pub use learner::{Facts, Learner, Metrics, Step, Task, sample_name};
pub use memory::Memory;
pub use parts::{Said, in_parts};
pub use sheet::{grid, png, save_grid};
pub use snapshot::Snapshot;
pub use state::{Means, State};
pub use tensorboard::TensorBoard;
pub use tensors::{load_module, save_module};

use pace::Pace;

use crate::device::{self, mix};
use crate::machine;
use crate::{Error, Result};

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

/// Steps after which the speed is told: the first ones are slower than the rest.
const SETTLED: u64 = 20;

impl<L: Learner> Run<'_, L> {
    /// Trains from the last checkpoint to the last step, telling `watch` about everything that happens.
    ///
    /// # Errors
    /// Whatever the learner, the disk or the watcher report; the checkpoints written so far stay intact.
    pub fn train(&mut self, watch: Watch) -> Result<Outcome> {
        let facts = self.learner.facts();
        self.folder.begin()?;
        let mut checkpoints = Checkpoints::open(self.folder, self.config.retention())?;
        let mut state = checkpoints.restore(self.learner, &facts)?;
        if state.step >= self.config.steps && self.folder.model().exists() {
            watch(&Event::NothingLeft { folder: self.folder.path(), step: state.step })?;
            return Ok(Outcome::Finished);
        }
        self.check_memory(&facts)?;
        watch(&Event::Started { facts: &facts, step: state.step, steps: self.config.steps })?;
        let mut journal = Journal::open(self.folder, state.step)?;
        let mut pace = Pace::new(state.seconds, self.peak(&facts));
        while state.step < self.config.steps {
            if self.interrupt.is_set() {
                checkpoints.keep(self.learner, &state)?;
                checkpoints.wait()?;
                watch(&Event::Interrupted { step: state.step })?;
                return Ok(Outcome::Interrupted);
            }
            self.step(&mut state, &mut pace, watch)?;
            if self.config.due(self.config.log_every, state.step) {
                let (metrics, measured) = (state.means.take(), pace.line(&facts));
                journal.write("train", &state, &metrics, &measured)?;
                let rate = pace.rate();
                watch(&Event::Logged { step: state.step, metrics: &metrics, rate, facts: &facts })?;
            }
            if pace.steps() == SETTLED {
                let (rate, mfu) = (pace.rate(), pace.overall(&facts));
                watch(&Event::Settled { step: state.step, rate, mfu, facts: &facts })?;
            }
            self.now_and_then(&mut checkpoints, &mut journal, &mut state, &mut pace, watch)?;
        }
        tell_kept(checkpoints.wait()?, watch)?;
        self.folder.publish(&self.folder.model(), |dir| self.learner.export(dir))?;
        watch(&Event::Finished { folder: self.folder.path(), step: state.step, seconds: state.seconds })?;
        Ok(Outcome::Finished)
    }

    /// Refuses a run that would not fit into what is left beside the loaded data and weights.
    fn check_memory(&self, facts: &Facts) -> Result<()> {
        let free = device::is_host(self.device).then(machine::free_memory).flatten();
        match free.filter(|free| *free < facts.memory.ahead()) {
            None => Ok(()),
            Some(free) => Err(Error::config(format!("{}; {} is free", facts.memory.words(), machine::in_words(free)))
                .with_hint(
                    "make `data.batch_size` smaller, cut the batch into more `data.parts` than there are cores, or set `run.recompute = true`",
                )),
        }
    }

    /// Operations a second that the device can do at best; measured only where the model's own are counted.
    fn peak(&self, facts: &Facts) -> f64 {
        match (self.config.peak_tflops, facts.flops_per_step > 0.0) {
            (_, false) => 0.0,
            (given, true) if given > 0.0 => given * 1e12,
            (_, true) => machine::product_speed(self.device),
        }
    }

    fn step(&mut self, state: &mut State, pace: &mut Pace, watch: Watch) -> Result<()> {
        self.device.seed(mix(self.config.seed, state.step));
        let began = Instant::now();
        let step = self.learner.step(state.step)?;
        pace.stepped(&step, began.elapsed());
        state.step += 1;
        state.seconds = pace.seconds();
        state.validation = None;
        match step.metrics.not_finite() {
            None => state.means.add(&step.metrics),
            Some((name, value)) if state.skipped >= self.config.skip_nonfinite => {
                let (step, name, tensor) = (state.step, name.to_owned(), step.bad);
                return Err(Error::Diverged { step, name, value, tensor });
            }
            Some((name, value)) => {
                state.skipped += 1;
                watch(&Event::Skipped { step: state.step, name, value, bad: step.bad.as_ref() })?;
            }
        }
        watch(&Event::Stepped { step: state.step })
    }

    /// Validation, samples and a checkpoint, each where its interval is due.
    fn now_and_then(
        &mut self,
        checkpoints: &mut Checkpoints,
        journal: &mut Journal,
        state: &mut State,
        pace: &mut Pace,
        watch: Watch,
    ) -> Result<()> {
        let (config, step) = (self.config, state.step);
        if config.due(config.validate_every, step) {
            // The same random numbers each time, so that two validations differ by the weights alone.
            self.device.seed(config.seed);
            let metrics = self.learner.validate()?;
            if !metrics.is_empty() {
                state.validation = Some(config.best.of(&metrics)?);
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
        tell_kept(checkpoints.written()?, watch)?;
        if config.due(config.checkpoint_every, step) || step == config.steps {
            journal.sync()?;
            let began = Instant::now();
            tell_kept(checkpoints.wait()?, watch)?;
            checkpoints.keep(self.learner, state)?;
            pace.kept(began.elapsed());
        }
        Ok(())
    }
}

fn tell_kept(path: Option<std::path::PathBuf>, watch: Watch) -> Result<()> {
    path.map_or(Ok(()), |path| watch(&Event::Kept { path: &path }))
}
