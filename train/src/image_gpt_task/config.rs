//! The whole of `imagegpt.toml`.

use std::path::PathBuf;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use tokenize::codec::Codec;

use super::ImageGptLearner;
use crate::average::AverageConfig;
use crate::data::{Expected, Tokens, Where, split};
use crate::image_gpt::ImageGptConfig;
use crate::optim::OptimConfig;
use crate::run::{Kind, RunConfig, Task};
use crate::sampling::SamplingConfig;
use crate::schedule::Schedule;
use crate::{Error, Result};

/// Configuration of ImageGPT's training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageGptTask {
    /// `imagegpt`.
    pub kind: Kind,
    /// Weights to start from, published or own, for fine-tuning. Without them they are random.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
    /// Where, how long, and what now and then.
    pub run: RunConfig,
    /// What is learned from.
    pub data: PictureData,
    /// The model. With `bidirectional` it learns by BERT's objective, without it to tell the next pixel.
    pub model: ImageGptConfig,
    /// Share of the pixels that BERT's objective hides; 0.15 in the paper (section 2.2).
    pub hidden: f64,
    /// Fine-tuning: classes as well as pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classify: Option<ClassifyConfig>,
    /// How weights are updated.
    pub optim: OptimConfig,
    /// How fast.
    pub pace: Pace,
    /// The running mean of the weights.
    #[serde(skip_serializing_if = "AverageConfig::is_off")]
    pub average: AverageConfig,
    /// What is drawn while training.
    pub samples: SheetConfig,
}

/// The token shards and what made them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PictureData {
    /// A folder of token shards, or one shard.
    pub tokens: PathBuf,
    /// The palette, or any other codec.
    pub codec: PathBuf,
    /// Which rows are trained on.
    pub train: Where,
    /// Which rows the held-out losses are measured on.
    pub held_out: Where,
    /// Without such a condition: this many pictures, the last ones, are held out; 0 means no validation.
    pub holdout: usize,
    /// At most this many held-out rows are scored, spread over all of them; 0 scores all.
    pub held_out_rows: usize,
    /// Rows in a step; 128 in the paper.
    pub batch_size: usize,
    /// Parts of a step that are computed side by side; with fewer cores than parts it is gradient accumulation.
    pub parts: usize,
}

impl Default for PictureData {
    fn default() -> Self {
        Self {
            tokens: "data/tokens".into(),
            codec: "palette.safetensors".into(),
            train: Where::default(),
            held_out: Where::default(),
            holdout: 0,
            held_out_rows: 512,
            batch_size: 128,
            parts: 1,
        }
    }
}

/// Fine-tuning (section 2.3): the loss of a linear classifier of the mean output joins that of the pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClassifyConfig {
    /// Column of the shards with the class: a name or a number.
    pub label: String,
}

impl Default for ClassifyConfig {
    fn default() -> Self {
        Self { label: "label".into() }
    }
}

/// The published schedule: a linear warm-up, then half a cosine down to 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pace {
    /// The peak rate; ImageGPT-S and -M took 0.003, -L 0.001 (table 5 of the paper).
    pub lr: f64,
    /// Passes over the training rows from near zero to the peak; one in the paper, a fraction for short runs.
    pub warmup_epochs: f64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { lr: 3e-3, warmup_epochs: 1.0 }
    }
}

impl Pace {
    /// The schedule of a run whose epochs have so many steps.
    #[must_use]
    pub fn schedule(&self, steps_per_epoch: f64) -> Schedule {
        let warmup = (self.warmup_epochs * steps_per_epoch).round() as u64;
        // A cosine is the default decay.
        Schedule { lr: self.lr, warmup, end: 0.0, ..Schedule::default() }
    }
}

/// Pictures drawn while training: held-out ones, what is given of them, completions; and a row out of nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SheetConfig {
    /// Held-out pictures to complete.
    pub rows: usize,
    /// Completions of each.
    pub columns: usize,
    /// Share of a picture's rows that is given.
    pub given: f64,
    /// How the rest is drawn.
    pub sampling: SamplingConfig,
}

impl Default for SheetConfig {
    /// Half of each picture, as in the paper's figure 1; all colours, as in the published code.
    fn default() -> Self {
        let sampling = SamplingConfig { top_k: 0, top_p: 1.0, ..SamplingConfig::default() };
        Self { rows: 4, columns: 4, given: 0.5, sampling }
    }
}

impl Default for ImageGptTask {
    fn default() -> Self {
        Self {
            kind: Kind::ImageGpt,
            from: None,
            run: RunConfig { out: "runs/imagegpt".into(), ..RunConfig::default() },
            data: PictureData::default(),
            model: ImageGptConfig::default(),
            hidden: 0.15,
            classify: None,
            // Section 3.2: Adam, 0.9 and 0.95, no weight decay.
            optim: OptimConfig { betas: [0.9, 0.95], weight_decay: 0.0, ..OptimConfig::default() },
            pace: Pace::default(),
            average: AverageConfig::default(),
            samples: SheetConfig::default(),
        }
    }
}

impl ImageGptTask {
    /// Refuses what cannot be run.
    ///
    /// # Errors
    /// Names the key.
    pub fn check(&self) -> Result<()> {
        self.model.validate()?;
        self.samples.sampling.validate()?;
        self.optim.check()?;
        self.average.check()?;
        let faults = [
            ("data.batch_size", self.data.batch_size == 0, "must be at least 1"),
            ("data.parts", self.data.parts == 0, "must be at least 1"),
            ("hidden", !(self.hidden > 0.0 && self.hidden <= 1.0), "must be above 0 and at most 1"),
            ("samples.given", !(0.0..=1.0).contains(&self.samples.given), "must be in 0..=1"),
            (
                "pace.lr",
                !(self.pace.lr.is_finite() && self.pace.lr >= 0.0),
                "must be a number that is not negative",
            ),
            ("pace.warmup_epochs", !(0.0..1e9).contains(&self.pace.warmup_epochs), "must not be negative"),
        ];
        match faults.into_iter().find(|(_, wrong, _)| *wrong) {
            Some((key, _, why)) => Err(Error::config(format!("{key}: {why}"))),
            None => Ok(()),
        }
    }

    /// Training rows and held-out rows.
    pub(super) fn sets(&self, codec: &Codec) -> Result<(Tokens, Option<Tokens>)> {
        let PictureData { train, held_out, holdout, .. } = &self.data;
        split(|filter| self.tokens(filter, codec), train, held_out, *holdout)
    }

    fn tokens(&self, filter: &Where, codec: &Codec) -> Result<Tokens> {
        let expected = Expected {
            codec: Some((self.data.codec.clone(), codec.sha256.clone())),
            grid: self.model.grid,
            codebook_size: self.model.colours,
            // Captions may be there; nobody reads them.
            vocab_size: usize::MAX,
            ..Expected::default()
        };
        let tokens = Tokens::load(&self.data.tokens, filter, &expected)?.with_images();
        if tokens.is_empty() {
            return Err(Error::data(&self.data.tokens, "no row has a picture"));
        }
        Ok(tokens)
    }
}

impl Task for ImageGptTask {
    type Learner = ImageGptLearner;

    fn run(&self) -> &RunConfig {
        &self.run
    }

    fn run_mut(&mut self) -> &mut RunConfig {
        &mut self.run
    }

    fn learner(&self, device: &Device) -> Result<ImageGptLearner> {
        ImageGptLearner::new(self, device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_epoch_up_and_half_a_cosine_down_to_nothing() {
        let schedule = Pace::default().schedule(20.0);
        assert_eq!(schedule.warmup, 20);
        assert!((schedule.at(20, 100) - 3e-3).abs() < 1e-12 && schedule.at(99, 100).abs() < 1e-12);
    }

    #[test]
    fn faults_name_their_key() {
        let fault = |change: fn(&mut ImageGptTask)| {
            let mut task = ImageGptTask::default();
            change(&mut task);
            task.check().unwrap_err().to_string()
        };
        assert!(fault(|t| t.data.batch_size = 0).starts_with("data.batch_size"));
        assert!(fault(|t| t.hidden = 0.0).starts_with("hidden"));
        assert!(fault(|t| t.pace.lr = f64::NAN).starts_with("pace.lr"));
        assert!(fault(|t| t.model.heads = 3).starts_with("heads"));
        assert!(ImageGptTask::default().check().is_ok());
    }

    #[test]
    fn the_configuration_survives_its_own_toml() {
        let task = ImageGptTask { classify: Some(ClassifyConfig::default()), ..ImageGptTask::default() };
        let text = pipeline::settings::to_toml(&task).unwrap();
        assert_eq!(toml::from_str::<ImageGptTask>(&text).unwrap(), task);
    }
}
