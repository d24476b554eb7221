//! The whole of `vqgan.toml`.

use std::path::PathBuf;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use tokenize::vqgan::{QuantizerKind, VqGanConfig};

use super::{
    AdversaryConfig, Augment, CodebookConfig, CodebookKind, GumbelConfig, LossConfig, RestartConfig,
    VqGanLearner,
};
use crate::average::AverageConfig;
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
    /// How the codebook of a `vq` quantiser learns.
    pub codebook: CodebookConfig,
    /// How a `gumbel` quantiser learns.
    pub gumbel: GumbelConfig,
    /// What happens to codebook rows that nobody uses.
    pub restart: RestartConfig,
    /// The optimizer of the codec (and of the discriminator).
    pub optim: OptimConfig,
    /// The learning rate over the steps.
    pub schedule: Schedule,
    /// The running mean of the weights.
    pub average: AverageConfig,
}

/// Pair shards to learn from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PicturesConfig {
    /// Folder of pair shards.
    pub pairs: PathBuf,
    /// Side of the square pictures; others are resized and cut at the centre.
    pub image_size: usize,
    /// Pictures that are computed together.
    pub batch_size: usize,
    /// Such batches in one step, whose gradients are added up: a large batch on a small card. Apart from rounding it is one
    /// batch of all pictures, except for the adversary, whose batch norms and adaptive weight see each batch by itself.
    pub accumulate: usize,
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
            accumulate: 1,
            split: String::new(),
            train: "train".to_owned(),
            valid: "test".to_owned(),
            holdout: 64,
            augment: Augment::default(),
        }
    }
}

impl PicturesConfig {
    /// Pictures that one step sees.
    pub(super) fn pictures_per_step(&self) -> usize {
        self.batch_size * self.accumulate
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
            codebook: CodebookConfig::default(),
            gumbel: GumbelConfig::default(),
            restart: RestartConfig::default(),
            // taming trains with Adam(0.5, 0.9) and no decay (`taming/models/vqgan.py`).
            optim: OptimConfig { betas: [0.5, 0.9], weight_decay: 0.0, clip: 0.0, ..OptimConfig::default() },
            schedule: Schedule::default(),
            average: AverageConfig::default(),
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
        self.check_quantizer()?;
        let factor = self.model.downsampling();
        if self.data.image_size == 0 || !self.data.image_size.is_multiple_of(factor) {
            return Err(Error::config(format!(
                "data.image_size: {} is not a multiple of {factor}, the model's downsampling factor",
                self.data.image_size
            )));
        }
        if self.data.pictures_per_step() == 0 {
            return Err(Error::config("data: batch_size and accumulate must be at least 1"));
        }
        if self.loss.l1 <= 0.0 && self.loss.l2 <= 0.0 {
            return Err(Error::config("loss: l1 and l2 are both 0, nothing would be reconstructed"));
        }
        if let Some(lpips) = &self.loss.lpips {
            lpips.check(self.data.image_size)?;
        }
        self.adversary.check(self.data.image_size)?;
        self.optim.check()?;
        self.average.check()
    }

    fn check_quantizer(&self) -> Result<()> {
        if self.model.quantizer == QuantizerKind::Vq {
            return self.codebook.check();
        }
        // Its codes come from a projection: the rows lie in no space in which a latent could be near them.
        if self.codebook.kind == CodebookKind::Ema {
            return Err(Error::config("codebook.kind: a \"gumbel\" codebook learns by gradient")
                .with_hint("`codebook.kind = \"gradient\"`"));
        }
        if self.restart.after > 0 {
            return Err(Error::config(
                "restart.after: the rows of a \"gumbel\" codebook cannot be placed on latents",
            )
            .with_hint("`restart.after = 0`; the temperature and `gumbel.kl_weight` keep its codes in use"));
        }
        self.gumbel.check()
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
    use crate::vqgan::{DiscriminatorConfig, LpipsConfig};

    #[test]
    fn faults_name_their_key() {
        let fault = |change: fn(&mut VqGanTask)| {
            let mut task = VqGanTask::default();
            change(&mut task);
            task.check().unwrap_err().to_string()
        };
        assert!(fault(|t| t.model.quantizer = QuantizerKind::Gumbel).starts_with("restart.after: "));
        assert!(
            fault(|t| {
                t.model.quantizer = QuantizerKind::Gumbel;
                t.codebook.kind = CodebookKind::Ema;
            })
            .starts_with("codebook.kind: ")
        );
        let mut task = VqGanTask::default();
        task.model.quantizer = QuantizerKind::Gumbel;
        task.restart.after = 0;
        task.check().unwrap();
        assert!(fault(|t| t.codebook.decay = 1.0).starts_with("codebook.decay: 1 "));
        assert!(fault(|t| t.average.decay = -0.1).starts_with("average.decay: "));
        assert!(fault(|t| t.data.accumulate = 0).starts_with("data: "));
        assert!(fault(|t| t.adversary.factor = 0.0).starts_with("adversary: "));
        assert!(fault(|t| t.loss.lpips = Some(LpipsConfig::default())).starts_with("loss.lpips.weights: "));
        assert!(fault(|t| t.data.image_size = 24).starts_with("data.image_size: 24 is not a multiple of 16"));
        assert!(fault(|t| t.data.image_size = 16).starts_with("data.image_size: 16 is too small"));
        assert!(
            fault(|t| t.adversary.discriminator.channels = 0).starts_with("adversary.discriminator.channels")
        );
        assert!(fault(|t| t.loss.l1 = 0.0).starts_with("loss: "));
        VqGanTask::default().check().unwrap();
    }

    #[test]
    fn a_discriminator_that_is_not_asked_for_need_not_fit() {
        let mut task = VqGanTask::default();
        task.adversary.weight = 0.0;
        task.adversary.discriminator = DiscriminatorConfig { channels: 0, layers: 9, ..Default::default() };
        task.check().unwrap();
    }
    #[test]
    fn the_shipped_configurations_run_as_they_stand_at_the_published_rate() {
        let configs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs");
        for name in ["vqgan", "vqgan-f16-256", "vqgan-f8-256", "vqgan-f8-demo", "demo/vqgan"] {
            let path = configs.join(format!("{name}.toml"));
            let task: VqGanTask = pipeline::settings::load(Some(&path), &[]).unwrap();
            task.check().unwrap_or_else(|fault| panic!("{name}: {fault}"));
            if !name.contains("demo") {
                let published = 4.5e-6 * task.data.pictures_per_step() as f64;
                assert!((task.schedule.lr / published - 1.0).abs() < 1e-6, "{name}: {}", task.schedule.lr);
            }
        }
    }
}
