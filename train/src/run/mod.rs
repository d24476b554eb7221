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
#[cfg(test)]
mod together;

use std::time::Instant;

use pipeline::interrupt::Interrupt;

pub use checkpoint::Checkpoints;
pub use config::{Best, Retention, RunConfig};
pub use event::{Event, Talk};
pub(crate) use folder::flat;
pub use folder::{Folder, Opening};
pub use journal::Journal;
pub use kind::Kind;
pub use learner::{Facts, Learner, Metrics, Step, Task, sample_name};
pub use memory::Memory;
pub use parts::{Said, in_parts};
pub use sheet::{grid, png, save_grid};
pub use snapshot::Snapshot;
pub(crate) use state::{EPOCHS, ROWS};
pub use state::{Means, State};
pub use tensorboard::TensorBoard;
pub use tensors::{load_module, save_module};

use pace::Pace;

use crate::device::{self, mix};
use crate::machine;
use crate::ranks::{Held, Team};
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
    /// Who computes: the processes, and the devices whose random numbers are seeded.
    pub team: &'a Team,
    /// Set by Ctrl-C and SIGTERM.
    pub interrupt: &'a Interrupt,
}

/// What a run keeps up to date while it goes on.
struct Books<'a> {
    checkpoints: Checkpoints<'a>,
    journal: Journal,
    state: State,
    pace: Pace,
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
        let ranks = self.team.ranks();
        ranks.agree(self.folder.begin())?;
        let checkpoints = ranks.agree(Checkpoints::open(self.folder, self.config.retention()))?;
        let newest = ranks.first(|| checkpoints.steps())?.pop();
        let state = ranks.agree(checkpoints.restore(self.learner, &facts, newest))?;
        if state.step >= self.config.steps && ranks.first(|| Ok(self.folder.model().exists()))? {
            watch(&Event::NothingLeft { folder: self.folder.path(), step: state.step })?;
            return Ok(Outcome::Finished);
        }
        ranks.agree(self.check_memory(&facts))?;
        let started = Event::Started { facts: &facts, step: state.step, steps: self.config.steps };
        ranks.agree(watch(&started))?;
        self.compare(&state, watch)?;
        let journal = ranks.agree(Journal::open(self.folder, state.step))?;
        let pace = Pace::new(state.seconds, self.peak(&facts));
        let mut books = Books { checkpoints, journal, state, pace };
        let mut made = Ok(());
        while self.go_on(made)? {
            if books.state.step >= self.config.steps {
                return self.finish(&mut books, watch);
            }
            made = self.turn(&facts, &mut books, watch);
        }
        let Books { checkpoints, state, .. } = &mut books;
        ranks.agree(checkpoints.keep(self.learner, state).and_then(|()| checkpoints.wait()))?;
        watch(&Event::Interrupted { step: state.step })?;
        Ok(Outcome::Interrupted)
    }

    /// Whether there is another turn after the one that was made. An error or a signal on one rank is one on all.
    fn go_on(&self, made: Result<()>) -> Result<bool> {
        let codes = self.team.ranks().tell(made.map(|()| self.interrupt.code()))?;
        let Some(code) = codes.into_iter().find(|code| *code != 0) else { return Ok(true) };
        self.interrupt.set(code);
        Ok(false)
    }

    /// One step, and what is due after it.
    fn turn(&mut self, facts: &Facts, books: &mut Books, watch: Watch) -> Result<()> {
        if let Err(error) = self.step(books, watch) {
            self.keep_after(&error, books);
            return Err(error);
        }
        let Books { checkpoints, journal, state, pace } = books;
        if pace.steps() == 1 && self.config.checkpoint_every > 0 {
            checkpoints.prepare(self.learner)?;
        }
        if self.config.due(self.config.log_every, state.step) {
            let (metrics, measured) = (state.means.take(), pace.line(facts));
            journal.write("train", state, &metrics, &measured)?;
            let rate = pace.rate();
            let (metrics, measured) = (&metrics, &measured[..]);
            watch(&Event::Logged { step: state.step, metrics, measured, rate, facts })?;
        }
        if pace.steps() == SETTLED {
            let (rate, mfu) = (pace.rate(), pace.overall(facts));
            watch(&Event::Settled { step: state.step, rate, mfu, facts })?;
        }
        self.now_and_then(books, watch)
    }

    /// Exports the model, once the last checkpoint is written.
    fn finish(&mut self, books: &mut Books, watch: Watch) -> Result<Outcome> {
        let State { step, seconds, .. } = books.state;
        let published = books.checkpoints.wait().and_then(|path| {
            tell_kept(path, watch)?;
            self.folder.publish(&self.folder.model(), |dir| self.learner.export(dir))?;
            watch(&Event::Finished { folder: self.folder.path(), step, seconds })
        });
        self.team.ranks().agree(published)?;
        Ok(Outcome::Finished)
    }

    /// Refuses to go on where ranks hold different weights, configurations or data.
    fn compare(&self, state: &State, watch: Watch) -> Result<()> {
        let ranks = self.team.ranks();
        if ranks.world() == 1 {
            return Ok(());
        }
        // Weights are drawn when they are first looked at. For one process that is in its first step, hence this seed.
        self.team.device().seed(mix(self.config.seed, state.step));
        let weights = ranks.agree(self.learner.snapshot())?.sha256();
        let data = state.fingerprint.clone();
        let held = Held { step: state.step, config: self.folder.config_sha256(), data, weights };
        ranks.agree(watch(&Event::Compared { held: &held.compare(ranks)? }))
    }

    /// A batch that cannot be read leaves the weights as the last step made them: they are kept.
    fn keep_after(&self, error: &Error, books: &mut Books) {
        let Books { checkpoints, state, .. } = books;
        if !matches!(error, Error::Diverged { .. }) {
            // The error that ends the run is the one to tell; the checkpoints before stay in any case.
            drop(checkpoints.keep(self.learner, state).and_then(|()| checkpoints.wait()));
        }
    }

    /// Refuses a run that would not fit into what is left beside the loaded data and weights.
    fn check_memory(&self, facts: &Facts) -> Result<()> {
        let free = device::is_host(self.team.device()).then(machine::free_memory).flatten();
        match free.filter(|free| *free < facts.memory.ahead()) {
            None => Ok(()),
            Some(free) => Err(Error::config(format!("{}; {} is free", facts.memory.words(), machine::in_words(free)))
                .with_hint(
                    "make `data.batch_size` smaller, cut the batch into more `data.parts` than there are cores, or set `run.recompute = true`",
                )),
        }
    }

    /// Operations a second that all devices can do at best; measured only where the model's own are counted.
    fn peak(&self, facts: &Facts) -> f64 {
        let one = match (self.config.peak_tflops, facts.flops_per_step > 0.0) {
            (_, false) => 0.0,
            (given, true) if given > 0.0 => given * 1e12,
            (_, true) => machine::product_speed(self.team.device()),
        };
        one * self.team.size() as f64
    }

    fn step(&mut self, books: &mut Books, watch: Watch) -> Result<()> {
        let Books { state, pace, .. } = books;
        self.team.seed(mix(self.config.seed, state.step));
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

    /// Validation, samples and a checkpoint, each where its interval is due. Rank 0 makes them, the others wait.
    fn now_and_then(&mut self, books: &mut Books, watch: Watch) -> Result<()> {
        let Books { checkpoints, journal, state, pace } = books;
        let (config, step) = (self.config, state.step);
        let first = self.team.ranks().is_first();
        if first && config.due(config.validate_every, step) {
            // The same random numbers each time, so that two validations differ by the weights alone.
            self.team.seed(config.seed);
            let metrics = self.learner.validate()?;
            if !metrics.is_empty() {
                state.validation = Some(config.best.of(&metrics)?);
                journal.write("valid", state, &metrics, &[])?;
                watch(&Event::Validated { step, metrics: &metrics })?;
            }
        }
        if first && config.due(config.sample_every, step) {
            let dir = self.folder.samples()?;
            self.team.seed(config.seed);
            self.learner.sample(&dir, step)?;
            journal.samples(&dir, step)?;
            watch(&Event::Sampled { step, dir: &dir })?;
        }
        tell_kept(checkpoints.written()?, watch)?;
        if config.due(config.checkpoint_every, step) || step == config.steps {
            self.compare(state, watch)?;
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
