//! What training asks of a model of texts and images, and of its hyper-parameters.

use std::fmt::Debug;
use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::mix::{TaskKind, TaskMix};
use crate::Result;
use crate::gpt::{Batch, GptConfig};
use crate::model::{Model, ModelConfig, TokenModel};
use crate::objective::{LossWeights, Losses, PositionLosses};
use crate::run::Kind;

/// A model that learns from texts and images.
pub trait TextImage: TokenModel + Module + Sync {
    /// The losses of `asked`, weighted by `weights`, from the hidden states `[b, t, d]` of a batch of the same shapes.
    fn losses_from(&self, hidden: Tensor<3>, asked: &Batch, weights: &LossWeights) -> Losses;

    /// The loss of every trained position of a batch.
    fn position_losses(&self, batch: &Batch) -> PositionLosses;

    /// The same among the other kinds of models.
    fn into_any(self) -> Model;
}

/// The hyper-parameters of such a model: the table `[model]`.
pub trait TextImageConfig:
    Clone + Debug + Default + PartialEq + Send + Sync + Serialize + DeserializeOwned
{
    /// What they describe.
    type Model: TextImage;

    /// What trains it.
    const KIND: Kind;

    /// The key of the left text's length.
    const LEFT: &'static str;

    /// Those of a model folder, if it is one of this kind.
    fn of(config: ModelConfig) -> Option<Self>;

    /// Checks what the types cannot.
    ///
    /// # Errors
    /// Names the key.
    fn check(&self) -> Result<()>;

    /// The core's configuration.
    fn core(&self) -> GptConfig;

    /// A new model with random weights from the device's generator.
    fn new_model(&self, device: &Device) -> Self::Model;

    /// A model with published or own weights.
    ///
    /// # Errors
    /// The file does not hold exactly its weights.
    fn read_model(&self, weights: &Path, device: &Device) -> Result<Self::Model>;

    /// Weights of the losses, where a task does not give its own.
    fn loss_weights(&self) -> LossWeights;

    /// The special tokens that begin the left and the right text of a task, as offsets from the first special id; none in
    /// a model without special tokens.
    fn tokens(&self, kind: TaskKind) -> [Option<u32>; 2];

    /// What is practised where a configuration has no table `[tasks]`.
    fn usual_tasks() -> TaskMix;
}
