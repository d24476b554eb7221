//! The whole of `rudolph.toml`.

use std::path::PathBuf;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use tokenize::bpe::{Bpe, Specials};
use tokenize::codec::Codec;

use super::{Distraction, RudolphLearner};
use crate::data::{Expected, Tokens, Where};
use crate::optim::OptimConfig;
use crate::rudolph::RudolphConfig;
use crate::run::{Kind, RunConfig, Task};
use crate::sampling::SamplingConfig;
use crate::schedule::Schedule;
use crate::{Error, Result};

/// Configuration of RuDOLPH's training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RudolphTask {
    /// `rudolph`.
    pub kind: Kind,
    /// Weights to start from, published or own, for fine-tuning. Without them they are random.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
    /// Where, how long, and what now and then.
    pub run: RunConfig,
    /// What is learned from.
    pub data: DataConfig,
    /// The model.
    pub model: RudolphConfig,
    /// How often each task is practised.
    pub tasks: TaskShares,
    /// How weights are updated.
    pub optim: OptimConfig,
    /// How fast.
    pub schedule: Schedule,
    /// What is drawn while training.
    pub samples: SampleConfig,
}

/// The token shards and what made them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// A folder of token shards, or one shard.
    pub tokens: PathBuf,
    /// The codec's weights.
    pub codec: PathBuf,
    /// The vocabulary.
    pub bpe: PathBuf,
    /// Which rows are trained on.
    pub train: Where,
    /// Which rows the held-out losses are measured on.
    pub held_out: Where,
    /// Without such a condition: this many images, the last ones, are held out; 0 means no validation.
    pub holdout: usize,
    /// At most this many held-out rows are scored, spread over all of them; 0 scores all.
    pub held_out_rows: usize,
    /// Rows in a step.
    pub batch_size: usize,
    /// Parts of a step that are computed side by side. Their gradients are added in a fixed order, so the result depends
    /// on this number and not on the cores; with fewer cores than parts it is gradient accumulation.
    pub parts: usize,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            tokens: "data/tokens".into(),
            codec: "codec.safetensors".into(),
            bpe: "bpe.model".into(),
            train: Where::default(),
            held_out: Where::default(),
            holdout: 0,
            held_out_rows: 512,
            batch_size: 16,
            parts: 1,
        }
    }
}

/// Shares of the rows of a step; they are divided by their sum.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskShares {
    /// Caption, then image.
    pub text_to_image: f64,
    /// Image, then caption.
    pub image_to_text: f64,
    /// Share of the text-to-image rows whose caption is left out, for guidance when drawing.
    pub text_dropout: f64,
    /// How much the model is kept from recognising an image by its first codes; off, as published, by default.
    pub distraction: Distraction,
}

impl Default for TaskShares {
    /// The mix of the published pre-training is not known.
    fn default() -> Self {
        Self {
            text_to_image: 0.75,
            image_to_text: 0.25,
            text_dropout: 0.0,
            distraction: Distraction::default(),
        }
    }
}

impl TaskShares {
    /// How many of a step's `batch` rows are image to text. Fractions are carried from step to step, so that the shares
    /// hold in the long run for any batch.
    #[must_use]
    pub fn captions(&self, step: u64, batch: usize) -> usize {
        let share = self.image_to_text / (self.image_to_text + self.text_to_image);
        carried(step, batch as f64 * share).min(batch)
    }

    /// How many of a step's text-to-image rows are drawn without their caption.
    #[must_use]
    pub fn without_text(&self, step: u64, batch: usize) -> usize {
        let drawn = self.text_to_image / (self.image_to_text + self.text_to_image);
        carried(step, batch as f64 * drawn * self.text_dropout)
    }
}

/// The whole part of `each` a step, its fraction carried from step to step.
fn carried(step: u64, each: f64) -> usize {
    let until = |step: u64| (step as f64 * each).floor();
    (until(step + 1) - until(step)) as usize
}

/// Pictures drawn while training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SampleConfig {
    /// One row of the picture each. Without any, the first captions of the held-out rows.
    pub prompts: Vec<String>,
    /// Pictures in a row; 0 means four.
    pub columns: usize,
    /// How they are drawn.
    pub sampling: SamplingConfig,
}

impl Default for RudolphTask {
    fn default() -> Self {
        Self {
            kind: Kind::Rudolph,
            from: None,
            run: RunConfig { out: "runs/rudolph".into(), ..RunConfig::default() },
            data: DataConfig::default(),
            model: RudolphConfig::default(),
            tasks: TaskShares::default(),
            optim: OptimConfig::default(),
            schedule: Schedule::default(),
            samples: SampleConfig::default(),
        }
    }
}

impl RudolphTask {
    /// Refuses what cannot be run.
    ///
    /// # Errors
    /// Names the key.
    pub fn check(&self) -> Result<()> {
        self.model.validate()?;
        self.samples.sampling.validate()?;
        if self.data.batch_size == 0 {
            return Err(Error::config("data.batch_size: must be at least 1"));
        }
        if self.data.parts == 0 {
            return Err(Error::config("data.parts: must be at least 1"));
        }
        let shares = [self.tasks.text_to_image, self.tasks.image_to_text];
        let sound = |share: &f64| share.is_finite() && *share >= 0.0;
        if !shares.iter().all(sound) || shares.iter().sum::<f64>() <= 0.0 {
            return Err(Error::config("tasks: shares must not be negative, and not all 0"));
        }
        if !(0.0..=1.0).contains(&self.tasks.text_dropout) {
            return Err(Error::config("tasks.text_dropout: must be in 0..=1"));
        }
        if let Some(fault) = self.tasks.distraction.fault() {
            return Err(Error::config(format!("tasks.distraction: {fault}")));
        }
        if self.tasks.image_to_text > 0.0 && self.model.right == 0 {
            return Err(Error::config("tasks.image_to_text: the model has no right text (model.right is 0)"));
        }
        Ok(())
    }

    /// Refuses a vocabulary whose special ids are not those that the model frames texts with.
    pub(super) fn fits(&self, bpe: &Bpe) -> Result<()> {
        let (found, needed) = (bpe.specials(), Specials::default());
        if found == needed {
            return Ok(());
        }
        let ids = |specials: Specials| {
            let Specials { pad, unk, bos, eos } = specials;
            let [pad, unk, bos, eos] =
                [pad, unk, bos, eos].map(|id| id.map_or("none".to_owned(), |id| id.to_string()));
            format!("pad {pad}, unk {unk}, bos {bos}, eos {eos}")
        };
        Err(Error::config(format!(
            "data.bpe: {}: its special ids are {}; the model needs {}",
            self.data.bpe.display(),
            ids(found),
            ids(needed)
        ))
        .with_hint("train one with `tokenize bpe`, which gives these ids, and make the shards again with it"))
    }

    /// Training rows and held-out rows.
    pub(super) fn sets(&self, codec: &Codec, bpe: &Bpe) -> Result<(Tokens, Option<Tokens>)> {
        let train = self.tokens(&self.data.train, codec, bpe)?;
        if !self.data.held_out.is_any() {
            return Ok((train, Some(self.tokens(&self.data.held_out, codec, bpe)?)));
        }
        match self.data.holdout {
            0 => Ok((train, None)),
            n if n >= train.images().len() => Err(Error::config(format!(
                "data.holdout: {n} leaves none of {} images to train on",
                train.images().len()
            ))),
            n => {
                let (train, held_out) = train.hold_out(n);
                Ok((train, Some(held_out)))
            }
        }
    }

    /// Rows that the model can be trained on.
    fn tokens(&self, filter: &Where, codec: &Codec, bpe: &Bpe) -> Result<Tokens> {
        let expected = Expected {
            codec: Some((self.data.codec.clone(), codec.sha256.clone())),
            bpe: Some((self.data.bpe.clone(), bpe.sha256().to_owned())),
            grid: self.model.grid,
            codebook_size: self.model.image_vocab,
            vocab_size: self.model.text_vocab,
        };
        let tokens = Tokens::load(&self.data.tokens, filter, &expected)?.with_images();
        if tokens.is_empty() {
            return Err(Error::data(&self.data.tokens, "no row has an image"));
        }
        Ok(tokens)
    }
}

impl Task for RudolphTask {
    type Learner = RudolphLearner;

    fn run(&self) -> &RunConfig {
        &self.run
    }

    fn run_mut(&mut self) -> &mut RunConfig {
        &mut self.run
    }

    fn learner(&self, device: &Device) -> Result<RudolphLearner> {
        RudolphLearner::new(self, device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn shares_hold_in_the_long_run(batch in 1usize..40, share in 0.0f64..=1.0) {
            let tasks = TaskShares { text_to_image: 2.0 * (1.0 - share), image_to_text: 2.0 * share, text_dropout: 0.1, ..TaskShares::default() };
            let captions: usize = (0..100).map(|step| tasks.captions(step, batch)).sum();
            prop_assert!((captions as f64 - 100.0 * batch as f64 * share).abs() <= 1.0);
            let without: usize = (0..100).map(|step| tasks.without_text(step, batch)).sum();
            prop_assert!((without as f64 - 10.0 * batch as f64 * (1.0 - share)).abs() <= 1.0);
            prop_assert!((0..100).all(|step| tasks.captions(step, batch) <= batch));
        }
    }

    #[test]
    fn special_ids_must_be_those_of_the_model() {
        let bpe = |specials| {
            let model = tokenize::bpe::yttm::Model::new("▁cat".chars().collect(), vec![], specials);
            Bpe::from(model.unwrap())
        };
        let task = RudolphTask::default();
        task.fits(&bpe(Specials::default())).unwrap();
        let others = Specials { pad: Some(3), unk: Some(0), bos: Some(2), eos: None };
        let error = task.fits(&bpe(others)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "data.bpe: bpe.model: its special ids are pad 3, unk 0, bos 2, eos none; the model needs pad 0, unk 1, bos 2, eos 3"
        );
        assert!(error.hint().unwrap().contains("tokenize bpe"));
    }

    #[test]
    fn faults_name_their_key() {
        let fault = |change: fn(&mut RudolphTask)| {
            let mut task = RudolphTask::default();
            change(&mut task);
            task.check().unwrap_err().to_string()
        };
        assert!(fault(|t| t.data.batch_size = 0).starts_with("data.batch_size"));
        assert!(
            fault(
                |t| t.tasks = TaskShares { text_to_image: 0.0, image_to_text: 0.0, ..TaskShares::default() }
            )
            .starts_with("tasks")
        );
        assert!(fault(|t| t.tasks.distraction.most = 1.5).starts_with("tasks.distraction"));
        assert!(fault(|t| t.model.right = 0).starts_with("tasks.image_to_text"));
        assert!(RudolphTask::default().check().is_ok());
    }

    #[test]
    fn the_configuration_survives_its_own_toml() {
        let task = RudolphTask { from: Some("a.bin".into()), ..RudolphTask::default() };
        let text = pipeline::settings::to_toml(&task).unwrap();
        assert_eq!(toml::from_str::<RudolphTask>(&text).unwrap(), task);
    }
}
