//! A trained codec as a file that `tokenize` reads: of a finished run or of any of its checkpoints.

use std::path::Path;

use burn::tensor::Device;
use tokenize::vqgan::{Precision, VqGan, VqGanConfig};

use super::VqGanTask;
use super::keep::MODEL;
use crate::average;
use crate::run::{Checkpoints, Folder, load_module};
use crate::{Error, Result};

/// A codec out of a run folder.
#[derive(Debug)]
pub struct Trained {
    /// Its weights: the running mean, where the run keeps one.
    pub model: VqGan,
    /// Its run's configuration.
    pub task: VqGanTask,
    /// Steps that it was trained.
    pub step: u64,
}

impl Trained {
    /// Reads the checkpoint after `step` steps, or the newest one, of a run that may be going on.
    ///
    /// # Errors
    /// No such checkpoint, or one that cannot be read.
    pub fn read(run: &Path, step: Option<u64>, device: &Device) -> Result<Self> {
        let task: VqGanTask = pipeline::settings::load(Some(&Folder::config_of(run)), &[])?;
        let (step, dir) = checkpoint(run, step)?;
        let model = task.model.init(&device.clone().without_autodiff())?;
        Ok(Self { model: load_module(model, &average::weights_in(&dir, MODEL))?, task, step })
    }

    /// Writes weights and configuration, see [`save`].
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, path: &Path, full: bool) -> Result<()> {
        save(&self.model, &self.task.model, path, full)
    }
}

fn checkpoint(run: &Path, step: Option<u64>) -> Result<(u64, std::path::PathBuf)> {
    let known = Checkpoints::list_in(&run.join("checkpoints"))?;
    let found = match step {
        None => known.last(),
        Some(step) => known.iter().find(|(known, _)| *known == step),
    };
    found.cloned().ok_or_else(|| {
        let steps = known.iter().map(|(step, _)| step.to_string()).collect::<Vec<_>>().join(", ");
        let run = run.display();
        match step {
            Some(step) if !known.is_empty() => {
                Error::config(format!("{run}: no checkpoint of step {step}; there are {steps}"))
            }
            _ => Error::config(format!("{run}: no checkpoint yet")),
        }
    })
}

/// Writes a codec's weights under taming's names, in half precision unless `full`, and its configuration beside them:
/// the same name with `.toml`.
///
/// # Errors
/// A file cannot be written.
pub(super) fn save(model: &VqGan, config: &VqGanConfig, path: &Path, full: bool) -> Result<()> {
    model.save(path, if full { Precision::Full } else { Precision::Half })?;
    let text = pipeline::settings::to_toml(config)?;
    Ok(pipeline::atomic::write(path.with_extension("toml"), text)?)
}
