//! `checkpoints/step-*/`: written whole or not at all, in the background; the newest few, the best one and every M-th stay.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use super::snapshot::Moment;
use super::{Facts, Folder, Learner, Retention, State, folder};
use crate::{Error, Result};

const STATE: &str = "state.toml";

/// The folder of a checkpoint, and the buffers that it was written from.
type Written = (Result<PathBuf>, Vec<Vec<u8>>);

/// The checkpoints of one run folder.
#[derive(Debug)]
pub struct Checkpoints<'a> {
    folder: &'a Folder,
    dir: PathBuf,
    retention: Retention,
    /// The one that is being written.
    writing: Option<JoinHandle<Written>>,
    /// Makes the buffers of the first one.
    preparing: Option<JoinHandle<Vec<Vec<u8>>>>,
    /// Buffers of the one before.
    spare: Vec<Vec<u8>>,
}

impl<'a> Checkpoints<'a> {
    /// Opens the folder and removes what a killed process left half-done in it.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn open(folder: &'a Folder, retention: Retention) -> Result<Self> {
        let dir = folder.checkpoints();
        if folder.is_written() {
            std::fs::create_dir_all(&dir).map_err(Error::io(&dir))?;
            folder::sweep(&dir)?;
        }
        Ok(Self { folder, dir, retention, writing: None, preparing: None, spare: Vec::new() })
    }

    /// Steps and folders, oldest first, of a folder that another process may be training in; a missing one has none.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list_in(dir: &Path) -> Result<Vec<(u64, PathBuf)>> {
        let mut found = Vec::new();
        if !dir.exists() {
            return Ok(found);
        }
        for entry in std::fs::read_dir(dir).map_err(Error::io(dir))? {
            let path = entry.map_err(Error::io(dir))?.path();
            let step = path.file_name().and_then(|name| name.to_str()?.strip_prefix("step-")?.parse().ok());
            found.extend(step.map(|step| (step, path)));
        }
        found.sort();
        Ok(found)
    }

    /// The state that a checkpoint holds.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn state_in(checkpoint: &Path) -> Result<State> {
        read_state(checkpoint)
    }

    /// The steps that have a checkpoint, oldest first.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn steps(&self) -> Result<Vec<u64>> {
        Ok(Self::list_in(&self.dir)?.into_iter().map(|(step, _)| step).collect())
    }

    /// Loads the checkpoint of a step into the learner; without one the run is at step 0.
    ///
    /// # Errors
    /// The checkpoint cannot be read, or the run began with other data.
    pub fn restore<L: Learner>(&self, learner: &mut L, facts: &Facts, step: Option<u64>) -> Result<State> {
        let Some(path) = step.map(|step| self.path_of(step)) else {
            return Ok(State { fingerprint: facts.fingerprint.clone(), ..State::default() });
        };
        let state = read_state(&path)?;
        if state.fingerprint != facts.fingerprint {
            return Err(Error::Config {
                message: format!(
                    "{}: the data is not what this run began with",
                    self.folder.path().display()
                ),
                hint: Some("bring the data back, or start over with `--fresh`".into()),
            });
        }
        learner.load(&path)?;
        Ok(state)
    }

    fn path_of(&self, step: u64) -> PathBuf {
        self.dir.join(format!("step-{step:07}"))
    }

    /// Begins to make the buffers of the first checkpoint, once the learner has all its state: to touch gigabytes of new
    /// memory takes seconds, which the training need not wait for.
    ///
    /// # Errors
    /// As for [`Learner::snapshot`].
    pub fn prepare<L: Learner>(&mut self, learner: &L) -> Result<()> {
        if self.folder.is_written() {
            let sizes = learner.snapshot()?.sizes();
            // Any number but 0, which the system would not put into memory before it is read.
            let touched = move || sizes.into_iter().map(|size| vec![1; size]).collect();
            self.preparing = Some(std::thread::spawn(touched));
        }
        Ok(())
    }

    /// Begins to write a checkpoint of this moment, once the one before is written. Nothing is written where this step
    /// has one already.
    ///
    /// # Errors
    /// The checkpoint before could not be written: the disk is full. Earlier ones stay.
    pub fn keep<L: Learner>(&mut self, learner: &L, state: &State) -> Result<()> {
        self.wait()?;
        let path = self.path_of(state.step);
        if path.exists() || !self.folder.is_written() {
            return Ok(());
        }
        let state = toml::to_string(state).map_err(|error| Error::weights(&path, error))?;
        if let Some(thread) = self.preparing.take() {
            self.spare = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
        let moment = learner.snapshot()?.text(STATE, state).copied(std::mem::take(&mut self.spare));
        let (dir, retention) = (self.dir.clone(), self.retention.clone());
        self.writing = Some(std::thread::spawn(move || {
            yield_to_training();
            let written = write(&moment, path, &dir, &retention);
            (written, moment.into_buffers())
        }));
        Ok(())
    }

    /// The checkpoint that was being written, once it is there.
    ///
    /// # Errors
    /// It could not be written.
    pub fn written(&mut self) -> Result<Option<PathBuf>> {
        if self.writing.as_ref().is_some_and(JoinHandle::is_finished) { self.wait() } else { Ok(None) }
    }

    /// Waits for the checkpoint that is being written.
    ///
    /// # Errors
    /// As for [`Self::written`].
    pub fn wait(&mut self) -> Result<Option<PathBuf>> {
        let Some(thread) = self.writing.take() else { return Ok(None) };
        let (written, spare) = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        self.spare = spare;
        written.map(Some)
    }
}

/// A run that ends with an error still finishes the checkpoint that it began.
impl Drop for Checkpoints<'_> {
    fn drop(&mut self) {
        if let Some(thread) = self.writing.take() {
            // The error that ends the run is the one to tell.
            drop(thread.join());
        }
    }
}

/// Lets the threads that train go first: a checkpoint has until the next one.
fn yield_to_training() {
    #[cfg(target_os = "linux")]
    // There it is this thread's alone. That a system may refuse it changes nothing but the speed.
    let _ = rustix::process::nice(5);
}

fn write(moment: &Moment, path: PathBuf, dir: &Path, retention: &Retention) -> Result<PathBuf> {
    folder::publish(&path, |dir| moment.write(dir))?;
    let all = Checkpoints::list_in(dir)?;
    for (_, path) in expendable(all, retention, |path| read_state(path).ok()?.validation) {
        folder::remove(&path)?;
    }
    Ok(path)
}

fn read_state(checkpoint: &Path) -> Result<State> {
    let path = checkpoint.join(STATE);
    let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
    toml::from_str(&text).map_err(|error| Error::weights(&path, error.message()))
}

/// All but the newest, the best by the held-out metric (of equals the newest) and every M-th.
fn expendable(
    mut all: Vec<(u64, PathBuf)>,
    retention: &Retention,
    metric: impl Fn(&Path) -> Option<f64>,
) -> Vec<(u64, PathBuf)> {
    let better = |a: f64, b: f64| if retention.best.highest { a >= b } else { a <= b };
    let best = all
        .iter()
        .filter_map(|(step, path)| Some((*step, metric(path)?)))
        .reduce(|best, next| if better(next.1, best.1) { next } else { best });
    all.truncate(all.len().saturating_sub(retention.newest));
    all.retain(|(step, _)| best.is_none_or(|(best, _)| best != *step));
    all.retain(|(step, _)| retention.every == 0 || !step.is_multiple_of(retention.every));
    all
}

#[cfg(test)]
mod tests {
    use super::super::Best;
    use super::*;

    fn steps(metrics: &[(u64, Option<f64>)], retention: &Retention) -> Vec<u64> {
        let all = metrics.iter().map(|(step, _)| (*step, step.to_string().into())).collect();
        let metric = |path: &Path| metrics.iter().find(|(step, _)| Path::new(&step.to_string()) == path)?.1;
        expendable(all, retention, metric).into_iter().map(|(step, _)| step).collect()
    }

    fn newest(newest: usize) -> Retention {
        Retention { newest, every: 0, best: Best::default() }
    }

    const METRICS: [(u64, Option<f64>); 5] =
        [(1, Some(3.0)), (2, Some(1.0)), (3, None), (4, Some(2.0)), (5, Some(2.5))];

    #[test]
    fn the_newest_and_the_best_stay() {
        assert_eq!(steps(&METRICS, &newest(2)), [1, 3]);
        assert_eq!(steps(&METRICS, &newest(9)), [0; 0]);
    }

    #[test]
    fn the_best_may_be_the_highest() {
        let best = Best { highest: true, ..Best::default() };
        assert_eq!(steps(&METRICS, &Retention { best, ..newest(2) }), [2, 3]);
    }

    #[test]
    fn every_so_manieth_stays() {
        assert_eq!(steps(&METRICS, &Retention { every: 3, ..newest(1) }), [1, 4]);
    }

    #[test]
    fn without_validation_only_the_newest_stay() {
        assert_eq!(steps(&[(1, None), (2, None), (3, None)], &newest(1)), [1, 2]);
    }
}
