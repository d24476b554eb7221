//! DALL·E among the models of texts and images.

use std::path::Path;

use burn::tensor::{Device, Tensor};

use super::mix::{Practice, TaskKind, TaskMix};
use super::{TextImage, TextImageConfig};
use crate::Result;
use crate::dalle::{Dalle, DalleConfig};
use crate::gpt::{Batch, GptConfig};
use crate::model::{Model, ModelConfig};
use crate::objective::{LossWeights, Losses, PositionLosses, losses};
use crate::run::Kind;

impl TextImage for Dalle {
    fn losses_from(&self, hidden: Tensor<3>, asked: &Batch, weights: &LossWeights) -> Losses {
        losses(&self.gpt, hidden, asked, self.config().loss_layout, weights)
    }

    fn position_losses(&self, batch: &Batch) -> PositionLosses {
        Self::position_losses(self, batch)
    }

    fn into_any(self) -> Model {
        Model::Dalle(self)
    }
}

impl TextImageConfig for DalleConfig {
    type Model = Dalle;

    const KIND: Kind = Kind::Dalle;
    const LEFT: &'static str = "model.text";

    fn of(config: ModelConfig) -> Option<Self> {
        match config {
            ModelConfig::Dalle(config) => Some(config),
            _ => None,
        }
    }

    fn check(&self) -> Result<()> {
        self.validate()
    }

    fn core(&self) -> GptConfig {
        self.gpt()
    }

    fn new_model(&self, device: &Device) -> Dalle {
        self.init(device)
    }

    fn read_model(&self, weights: &Path, device: &Device) -> Result<Dalle> {
        Dalle::load(self, weights, device)
    }

    fn loss_weights(&self) -> LossWeights {
        Self::loss_weights(self)
    }

    fn tokens(&self, _: TaskKind) -> [Option<u32>; 2] {
        [None, None]
    }

    /// Drawing is all that it can do.
    fn usual_tasks() -> TaskMix {
        TaskMix([("text_to_image".to_owned(), Practice::default())].into())
    }
}
