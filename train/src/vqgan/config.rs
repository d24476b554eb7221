//! The whole of `vqgan.toml`.

use std::path::PathBuf;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use tokenize::vqgan::{QuantizerKind, VqGanConfig};

use super::{AdversaryConfig, Augment, LossConfig, RestartConfig, VqGanLearner};
use crate::optim::OptimConfig;
use crate::run::{RunConfig, Task};
use crate::schedule::Schedule;
use crate::{Error, Result};

/// Configuration of a codec's training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VqGanTask {
    /// `vqgan`: tells this file from other training configurations.
    pub kind: String,
    /// When to log, validate, sample and keep.
    pub run: RunConfig,
    /// The pictures.
    pub data: PicturesConfig,
    /// The codec's shape.
    pub model: VqGanConfig,
    /// Weights of the losses.
    pub loss: LossConfig,
    /// The discriminator and when it begins to count.
    pub adversary: AdversaryConfig,
    /// What happens to codebook rows that nobody uses.
    pub restart: RestartConfig,
    /// The optimizer of the codec (and of the discriminator).
    pub optim: OptimConfig,
    /// The learning rate over the steps.
    pub schedule: Schedule,
}

/// Pair shards to learn from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PicturesConfig {
    /// Folder of pair shards.
    pub pairs: PathBuf,
    /// Side of the square pictures; others are resized and cut at the centre.
    pub image_size: usize,
    /// Pictures per step.
    pub batch_size: usize,
    /// Column that tells training rows from held-out ones; empty: the last `holdout` rows are held out.
    pub split: String,
    /// Its value on training rows.
    pub train: String,
    /// Its value on held-out rows.
    pub valid: String,
    /// Number of held-out rows where there is no split column.
    pub holdout: usize,
    /// Random changes to training pictures.
    pub augment: Augment,
}

impl Default for PicturesConfig {
    fn default() -> Self {
        Self {
            pairs: "data/pairs".into(),
            image_size: 256,
            batch_size: 12,
            split: String::new(),
            train: "train".to_owned(),
            valid: "test".to_owned(),
            holdout: 64,
            augment: Augment::default(),
        }
    }
}

impl Default for VqGanTask {
    fn default() -> Self {
        Self {
            kind: "vqgan".to_owned(),
            run: RunConfig { out: "runs/vqgan".into(), ..RunConfig::default() },
            data: PicturesConfig::default(),
            model: VqGanConfig::default(),
            loss: LossConfig::default(),
            adversary: AdversaryConfig::default(),
            restart: RestartConfig::default(),
            // taming trains with Adam(0.5, 0.9) and no decay (`taming/models/vqgan.py`).
            optim: OptimConfig { betas: [0.5, 0.9], weight_decay: 0.0, clip: 0.0, ..OptimConfig::default() },
            schedule: Schedule::default(),
        }
    }
}

impl VqGanTask {
    /// Checks what the layers and losses cannot express.
    ///
    /// # Errors
    /// Names the key.
    pub fn check(&self) -> Result<()> {
        self.run.check()?;
        self.model.validate()?;
        if self.model.quantizer == QuantizerKind::Gumbel {
            return Err(Error::config(
                "model.quantizer: a \"gumbel\" codec cannot be trained here: the projection that chooses its codes would get no gradient and never learn",
            )
            .with_hint("set `model.quantizer = \"vq\"`; published Gumbel codecs can be used as they are"));
        }
        let factor = self.model.downsampling();
        if self.data.image_size == 0 || !self.data.image_size.is_multiple_of(factor) {
            return Err(Error::config(format!(
                "data.image_size: {} is not a multiple of {factor}, the model's downsampling factor",
                self.data.image_size
            )));
        }
        if self.data.batch_size == 0 {
            return Err(Error::config("data.batch_size: must be at least 1"));
        }
        if self.loss.l1 <= 0.0 && self.loss.l2 <= 0.0 {
            return Err(Error::config("loss: l1 and l2 are both 0, nothing would be reconstructed"));
        }
        if self.adversary.weight > 0.0 {
            self.adversary.discriminator.check(self.data.image_size)?;
        }
        Ok(())
    }
}

impl Task for VqGanTask {
    type Learner = VqGanLearner;

    fn run(&self) -> &RunConfig {
        &self.run
    }

    fn run_mut(&mut self) -> &mut RunConfig {
        &mut self.run
    }

    fn learner(&self, device: &Device) -> Result<VqGanLearner> {
        self.check()?;
        VqGanLearner::new(self, device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vqgan::DiscriminatorConfig;

    #[test]
    fn faults_name_their_key() {
        let fault = |change: fn(&mut VqGanTask)| {
            let mut task = VqGanTask::default();
            change(&mut task);
            task.check().unwrap_err().to_string()
        };
        assert!(fault(|t| t.model.quantizer = QuantizerKind::Gumbel).starts_with("model.quantizer: "));
        assert!(fault(|t| t.data.image_size = 24).starts_with("data.image_size: 24 is not a multiple of 16"));
        assert!(fault(|t| t.data.image_size = 16).starts_with("data.image_size: 16 is too small"));
        assert!(
            fault(|t| t.adversary.discriminator.channels = 6).starts_with("adversary.discriminator.channels")
        );
        assert!(fault(|t| t.loss.l1 = 0.0).starts_with("loss: "));
        VqGanTask::default().check().unwrap();
    }

    #[test]
    fn a_discriminator_that_is_not_asked_for_need_not_fit() {
        let mut task = VqGanTask::default();
        task.adversary.weight = 0.0;
        task.adversary.discriminator = DiscriminatorConfig { channels: 6, layers: 9 };
        task.check().unwrap();
    }
}
