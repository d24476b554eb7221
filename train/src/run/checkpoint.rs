//! `checkpoints/step-*/`: written whole or not at all; the newest few and the best one stay.

use std::path::{Path, PathBuf};

use super::{Facts, Folder, Learner, State, folder};
use crate::{Error, Result};

const STATE: &str = "state.toml";

/// The checkpoints of one run folder.
#[derive(Debug)]
pub struct Checkpoints<'a> {
    folder: &'a Folder,
    dir: PathBuf,
}

impl<'a> Checkpoints<'a> {
    /// Opens the folder and removes what a killed process left half-done in it.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn open(folder: &'a Folder) -> Result<Self> {
        let dir = folder.checkpoints();
        std::fs::create_dir_all(&dir).map_err(Error::io(&dir))?;
        folder::sweep(&dir)?;
        Ok(Self { folder, dir })
    }

    /// Steps and folders, oldest first.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(&self) -> Result<Vec<(u64, PathBuf)>> {
        Self::list_in(&self.dir)
    }

    /// The same for a folder that another process may be training in; a missing one has no checkpoints.
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

    /// Loads the newest checkpoint into the learner; without one the run is at step 0.
    ///
    /// # Errors
    /// The checkpoint cannot be read, or the run began with other data.
    pub fn restore<L: Learner>(&self, learner: &mut L, facts: &Facts) -> Result<State> {
        let Some((_, path)) = self.list()?.pop() else {
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

    /// Writes a checkpoint and removes those that need not stay. Nothing is written where this step has one already.
    ///
    /// # Errors
    /// The disk is full or cannot be written; earlier checkpoints stay.
    pub fn keep<L: Learner>(&self, learner: &L, state: &State, keep: usize) -> Result<PathBuf> {
        let path = self.dir.join(format!("step-{:07}", state.step));
        if path.exists() {
            return Ok(path);
        }
        self.folder.publish(&path, |dir| {
            learner.save(dir)?;
            let text = toml::to_string(state).map_err(|error| Error::weights(dir, error))?;
            Ok(pipeline::atomic::write(dir.join(STATE), text)?)
        })?;
        for (_, path) in expendable(self.list()?, keep, |path| read_state(path).ok()?.validation) {
            self.folder.remove(&path)?;
        }
        Ok(path)
    }
}

fn read_state(checkpoint: &Path) -> Result<State> {
    let path = checkpoint.join(STATE);
    let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
    toml::from_str(&text).map_err(|error| Error::weights(&path, error.message()))
}

/// All but the newest `keep` and the one with the lowest held-out loss (of equals the newest).
fn expendable(
    mut all: Vec<(u64, PathBuf)>,
    keep: usize,
    loss: impl Fn(&Path) -> Option<f64>,
) -> Vec<(u64, PathBuf)> {
    let best = all
        .iter()
        .filter_map(|(step, path)| Some((*step, loss(path)?)))
        .reduce(|best, next| if next.1 <= best.1 { next } else { best });
    all.truncate(all.len().saturating_sub(keep));
    all.retain(|(step, _)| best.is_none_or(|(best, _)| best != *step));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(losses: &[(u64, Option<f64>)], keep: usize) -> Vec<u64> {
        let all = losses.iter().map(|(step, _)| (*step, step.to_string().into())).collect();
        let loss = |path: &Path| losses.iter().find(|(step, _)| Path::new(&step.to_string()) == path)?.1;
        expendable(all, keep, loss).into_iter().map(|(step, _)| step).collect()
    }

    #[test]
    fn the_newest_and_the_best_stay() {
        let losses = [(1, Some(3.0)), (2, Some(1.0)), (3, None), (4, Some(2.0)), (5, Some(2.5))];
        assert_eq!(steps(&losses, 2), [1, 3]);
        assert_eq!(steps(&losses, 9), [0; 0]);
    }

    #[test]
    fn without_validation_only_the_newest_stay() {
        assert_eq!(steps(&[(1, None), (2, None), (3, None)], 1), [1, 2]);
    }
}
