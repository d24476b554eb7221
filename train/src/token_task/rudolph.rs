//! RuDOLPH among the models of texts and images.

use std::path::Path;

use burn::tensor::{Device, Tensor};

use super::mix::{Practice, TaskKind, TaskMix};
use super::{TextImage, TextImageConfig};
use crate::Result;
use crate::gpt::{Batch, GptConfig};
use crate::model::{Model, ModelConfig};
use crate::objective::{LossWeights, Losses, PositionLosses, losses};
use crate::rudolph::{Rudolph, RudolphConfig};
use crate::run::Kind;

impl TextImage for Rudolph {
    fn losses_from(&self, hidden: Tensor<3>, asked: &Batch, weights: &LossWeights) -> Losses {
        losses(&self.gpt, hidden, asked, self.config().loss_layout, weights)
    }

    fn position_losses(&self, batch: &Batch) -> PositionLosses {
        Self::position_losses(self, batch)
    }

    fn into_any(self) -> Model {
        Model::Rudolph(self)
    }
}

impl TextImageConfig for RudolphConfig {
    type Model = Rudolph;

    const KIND: Kind = Kind::Rudolph;
    const LEFT: &'static str = "model.left";

    fn of(config: ModelConfig) -> Option<Self> {
        match config {
            ModelConfig::Rudolph(config) => Some(config),
            _ => None,
        }
    }

    fn check(&self) -> Result<()> {
        self.validate()
    }

    fn core(&self) -> GptConfig {
        self.gpt()
    }

    fn new_model(&self, device: &Device) -> Rudolph {
        self.init(device)
    }

    fn read_model(&self, weights: &Path, device: &Device) -> Result<Rudolph> {
        Rudolph::load(self, weights, device)
    }

    fn loss_weights(&self) -> LossWeights {
        self.loss
    }

    fn tokens(&self, kind: TaskKind) -> [Option<u32>; 2] {
        let tokens = &self.tokens;
        let [left, right] = match kind {
            TaskKind::TextToImage => [tokens.left_text_to_image, tokens.right_unknown],
            TaskKind::ImageToText => [tokens.left_image_to_text, tokens.right_image_to_text],
            TaskKind::TextToText => [tokens.left_text_to_text, tokens.right_unknown],
            TaskKind::TextQuestion | TaskKind::VisualQuestion => [tokens.left_question, tokens.right_answer],
        };
        [left, right].map(|token| (self.text_special > 0).then_some(token))
    }

    /// Mostly drawing; the mix of the published pre-training is not known.
    fn usual_tasks() -> TaskMix {
        let practice = |weight: f64| Practice { weight: weight.into(), ..Practice::default() };
        let tasks = [("text_to_image", 0.75), ("image_to_text", 0.25)];
        TaskMix(tasks.map(|(name, weight)| (name.to_owned(), practice(weight))).into())
    }
}
