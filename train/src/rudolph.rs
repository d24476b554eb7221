//! RuDOLPH: left text, image and right text in one sequence, so that one model draws, captions and writes.
//!
//! Source: `ai-forever/ru-dolph` (`rudolph/model`, `rudolph/api.py`). The transformer is [`Gpt`]; here are its
//! hyper-parameters as published, the objective, and how rows of a token shard become a batch.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::draw::Draws;
use crate::error::{Error, Result};
use crate::gpt::{Batch, Framed, Gpt, GptConfig, MaskSchedule, frame, ids};
use crate::objective::{self, LossLayout, LossWeights, Losses, PositionLosses};
use crate::weights::{self, KeyNames};

/// The hyper-parameters. Defaults: RuDOLPH-350M v2 with the corrected loss layout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RudolphConfig {
    /// Transformer layers.
    pub layers: usize,
    /// Width of the residual stream.
    pub dim: usize,
    /// Attention heads; they divide `dim`.
    pub heads: usize,
    /// Left-text positions.
    pub left: usize,
    /// Image codes per side.
    pub grid: usize,
    /// Right-text positions.
    pub right: usize,
    /// Side of the square that every fourth layer sees of the image.
    pub kernel: usize,
    /// The same of the last layer.
    pub last_kernel: usize,
    /// BPE ids.
    pub text_vocab: usize,
    /// Special text tokens; 0 leaves the task tokens out.
    pub text_special: usize,
    /// Codes of the image codec.
    pub image_vocab: usize,
    /// Special image tokens.
    pub image_special: usize,
    /// What the border between left text and image is trained on.
    pub loss_layout: LossLayout,
    /// Weights of the three losses.
    pub loss: LossWeights,
    /// Task tokens by their ids, where `text_special` is not 0.
    pub tokens: TaskTokens,
    /// The embeddings' share of their gradient.
    pub gradient_shrink: f64,
    /// Share of the elements that each layer's two branches lose in training; 0.1 in the published code.
    pub dropout: f64,
    /// Standard deviation of new token and position vectors. The published 0.02 is drowned by the first branch, whose
    /// norm puts out 1, and takes long to grow.
    pub embedding_std: f64,
    /// First gain of the norms before each addition to the residual stream; 1 in the published code.
    pub branch_gain: f64,
}

impl Default for RudolphConfig {
    fn default() -> Self {
        let core = GptConfig::default();
        Self {
            layers: core.layers,
            dim: core.dim,
            heads: core.heads,
            left: core.left,
            grid: core.grid,
            right: core.right,
            kernel: 7,
            last_kernel: 9,
            text_vocab: core.text_vocab,
            text_special: core.text_special,
            image_vocab: core.image_vocab,
            image_special: core.image_special,
            loss_layout: LossLayout::default(),
            loss: LossWeights::default(),
            tokens: TaskTokens::default(),
            gradient_shrink: core.gradient_shrink,
            dropout: 0.0,
            embedding_std: core.embedding_std,
            branch_gain: core.branch_gain,
        }
    }
}

/// Offsets of the task tokens from the first special id, in the published order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskTokens {
    /// `<LT_UNK>`: no task.
    pub left_unknown: u32,
    /// `<RT_UNK>`: no task.
    pub right_unknown: u32,
    /// `<LT_T2I>`: text to image.
    pub left_text_to_image: u32,
    /// `<LT_I2T>`: image to text.
    pub left_image_to_text: u32,
    /// `<LT_T2T>`: text to text.
    pub left_text_to_text: u32,
    /// `<RT_I2T>`: image to text.
    pub right_image_to_text: u32,
    /// `<LT_TQA>`: a question about a text, or about an image; from the published notebook for text questions.
    pub left_question: u32,
    /// `<RT_TQA>`: its answer.
    pub right_answer: u32,
}

impl Default for TaskTokens {
    /// The order of `DEFAULT_SPC_TOKENS` in `rudolph/api.py`, then the two that the notebook adds.
    fn default() -> Self {
        Self {
            left_unknown: 0,
            right_unknown: 1,
            left_text_to_image: 2,
            left_image_to_text: 3,
            left_text_to_text: 4,
            right_image_to_text: 5,
            left_question: 6,
            right_answer: 7,
        }
    }
}

/// What a row teaches, and with it where its text goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Caption left, image; the right text is empty.
    #[default]
    TextToImage,
    /// No caption left, image, caption right.
    ImageToText,
    /// Left text alone.
    TextToText,
}

/// One row of a token shard for one task.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// What it teaches.
    pub task: Task,
    /// Bare BPE ids.
    pub text: &'a [u32],
    /// `grid²` codes in raster order; ignored by [`Task::TextToText`].
    pub codes: &'a [u16],
}

impl RudolphConfig {
    /// The core's configuration.
    pub fn gpt(&self) -> GptConfig {
        GptConfig {
            layers: self.layers,
            dim: self.dim,
            heads: self.heads,
            left: self.left,
            grid: self.grid,
            right: self.right,
            text_vocab: self.text_vocab,
            text_special: self.text_special,
            image_vocab: self.image_vocab,
            image_special: self.image_special,
            masks: MaskSchedule::Rudolph { kernel: self.kernel, last_kernel: self.last_kernel },
            gradient_shrink: self.gradient_shrink,
            dropout: self.dropout,
            embedding_std: self.embedding_std,
            branch_gain: self.branch_gain,
            ..GptConfig::default()
        }
    }

    /// Checks what the types cannot.
    ///
    /// # Errors
    /// [`Error::Config`] with the key and the reason.
    pub fn validate(&self) -> Result<()> {
        let t = &self.tokens;
        let used = [
            t.left_unknown,
            t.right_unknown,
            t.left_text_to_image,
            t.left_image_to_text,
            t.left_text_to_text,
        ];
        let last = used.into_iter().chain([t.right_image_to_text]).max().unwrap_or(0) as usize;
        if self.left == 0 || self.grid == 0 {
            return Err(Error::config("left, grid: RuDOLPH needs a left text and an image"));
        }
        if self.text_special > 0 && last >= self.text_special {
            return Err(Error::config(format!(
                "tokens: {last} is not below text_special {}",
                self.text_special
            )));
        }
        if [self.loss.left, self.loss.image, self.loss.right]
            .iter()
            .any(|weight| weight.is_nan() || *weight < 0.0)
        {
            return Err(Error::config("loss: weights must not be negative"));
        }
        self.gpt().validate()
    }

    /// A new model with random weights from the device's generator.
    pub fn init(&self, device: &Device) -> Rudolph {
        Rudolph { gpt: self.gpt().init(device), config: self.clone() }
    }

    /// The task token of a left text, as an id; none in a model without special tokens.
    pub fn left_token(&self, task: Task) -> Option<u32> {
        self.token(match task {
            Task::TextToImage => self.tokens.left_text_to_image,
            Task::ImageToText => self.tokens.left_image_to_text,
            Task::TextToText => self.tokens.left_text_to_text,
        })
    }

    /// The task token of a right text, as an id.
    pub fn right_token(&self) -> Option<u32> {
        self.token(self.tokens.right_image_to_text)
    }

    fn token(&self, offset: u32) -> Option<u32> {
        (self.text_special > 0).then(|| self.text_vocab as u32 + offset)
    }

    /// Positions that a batch of one task takes; [`Self::batch`] leaves out segments that no row needs.
    pub fn positions(&self, task: Task) -> usize {
        match task {
            Task::TextToImage => self.left + self.grid * self.grid,
            Task::ImageToText => self.left + self.grid * self.grid + self.right,
            Task::TextToText => self.left,
        }
    }

    /// Rows as a batch, and how many of their texts were cut to their segment.
    ///
    /// The batch has the segments that its rows need, so a batch of one task costs no more than that task. In a mixed
    /// batch the right texts of rows without one are all pads, which are not trained.
    ///
    /// # Errors
    /// [`Error::Config`] when a row's codes or ids do not fit the model.
    pub fn batch(&self, rows: &[Row<'_>], device: &Device) -> Result<(Batch, usize)> {
        let mut cut = 0;
        let mut framed = |text: &[u32], special, len| {
            let framed = frame(text, special, len);
            cut += usize::from(framed.truncated);
            framed.ids
        };
        let (mut left, mut image, mut right) = (Vec::new(), Vec::new(), Vec::new());
        let has_image = rows.iter().any(|row| row.task != Task::TextToText);
        let has_right = rows.iter().any(|row| row.task == Task::ImageToText);
        for row in rows {
            self.check(row)?;
            let shown = if row.task == Task::ImageToText { &[] } else { row.text };
            left.push(framed(shown, self.left_token(row.task), self.left));
            if has_image {
                image.push(row.codes.to_vec());
            }
            if has_right {
                right.push(match row.task {
                    Task::ImageToText => framed(row.text, self.right_token(), self.right),
                    Task::TextToImage | Task::TextToText => vec![0; self.right],
                });
            }
        }
        if has_image && rows.iter().any(|row| row.task == Task::TextToText) {
            return Err(Error::config("a batch cannot mix text_to_text rows with rows that have an image"));
        }
        Ok((Batch { left: ids(&left, device), image: ids(&image, device), right: ids(&right, device) }, cut))
    }

    fn check(&self, row: &Row<'_>) -> Result<()> {
        self.gpt().check_text(row.text)?;
        if row.task != Task::TextToText {
            self.gpt().check_codes(row.codes)?;
        }
        if row.task == Task::ImageToText && self.right == 0 {
            return Err(Error::config("right: image_to_text needs right-text positions"));
        }
        Ok(())
    }
}

/// The model.
#[derive(Module, Debug)]
pub struct Rudolph {
    /// The transformer.
    pub gpt: Gpt,
    #[module(skip)]
    config: RudolphConfig,
}

impl Rudolph {
    /// The hyper-parameters.
    pub const fn config(&self) -> &RudolphConfig {
        &self.config
    }

    /// The three losses of a batch and their weighted mean.
    pub fn losses(&self, batch: &Batch) -> Losses {
        objective::losses(&self.gpt, self.hidden(batch), batch, self.config.loss_layout, &self.config.loss)
    }

    /// The losses of `asked` where the model reads the images of `read`: a batch of the same shapes.
    pub fn losses_of(&self, asked: &Batch, read: &Batch) -> Losses {
        objective::losses(&self.gpt, self.hidden(read), asked, self.config.loss_layout, &self.config.loss)
    }

    /// The loss of every trained position of a batch.
    pub fn position_losses(&self, batch: &Batch) -> PositionLosses {
        objective::position_losses(&self.gpt, self.hidden(batch), batch, self.config.loss_layout)
    }

    /// What the last layer's norm puts out: `[b, t, d]`.
    pub fn hidden(&self, batch: &Batch) -> Tensor<3> {
        self.gpt.hidden(batch)
    }

    /// Parameters, one number each.
    pub fn size(&self) -> usize {
        self.gpt.num_params()
    }

    /// Reads published or own weights: safetensors or a `torch.save` file with RuDOLPH's key names.
    ///
    /// # Errors
    /// The configuration is not valid, or the file does not hold exactly its weights.
    pub fn load(config: &RudolphConfig, path: &Path, device: &Device) -> Result<Self> {
        config.validate()?;
        let gpt = weights::load(config.gpt().init(device), path, KeyNames::Rudolph)?;
        Ok(Self { gpt, config: config.clone() })
    }

    /// Writes safetensors with the published key names.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        weights::save(&self.gpt, path, KeyNames::Rudolph, &[])
    }
}

impl Draws for Rudolph {
    fn gpt(&self) -> &Gpt {
        &self.gpt
    }

    fn asks(&self, text: &[u32]) -> Option<Framed> {
        Some(frame(text, self.config.left_token(Task::TextToImage), self.config.left))
    }

    fn asks_nothing(&self) -> Option<Framed> {
        let unknown = self.config.token(self.config.tokens.left_unknown);
        Some(frame(&[], unknown, self.config.left))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::gpt::{Cache, Vocabulary};
    use crate::sampling::Stream;
    use burn::module::{ModuleMapper, ModuleVisitor, Param};
    use burn::optim::GradientsParams;
    use burn::tensor::TensorData;
    use proptest::prelude::*;

    /// A model small enough to run in a moment, with weights large enough that its choices differ.
    pub(crate) fn tiny() -> RudolphConfig {
        RudolphConfig {
            layers: 4,
            dim: 16,
            heads: 2,
            left: 6,
            grid: 3,
            right: 5,
            kernel: 3,
            last_kernel: 3,
            text_vocab: 20,
            text_special: 6,
            image_vocab: 12,
            image_special: 2,
            ..RudolphConfig::default()
        }
    }

    /// The same weights each time: burn's generator is shared by all tests.
    pub(crate) fn model(config: &RudolphConfig) -> Rudolph {
        fill(config.init(&Device::flex()))
    }

    /// Other weights: the same each time for a model of the same shapes.
    pub(crate) fn fill<M: Module>(model: M) -> M {
        model.map(&mut Fill(Stream::new(7, 0)))
    }

    /// All gradients one behind the other, 0 where there is none.
    pub(crate) struct Flat(pub(crate) GradientsParams, pub(crate) Vec<f32>);

    impl ModuleVisitor for Flat {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            match self.0.remove::<D>(param.id) {
                Some(grad) => self.1.extend(grad.into_data().iter::<f32>()),
                None => self.1.extend(std::iter::repeat_n(0.0, param.val().shape().num_elements())),
            }
        }
    }

    struct Fill(Stream);

    impl ModuleMapper for Fill {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            if D == 1 {
                return param;
            }
            let shape = param.val().dims();
            let draws = vec![1.0 / 256.0; 256];
            let value = |_| (self.0.draw(&draws) as f32 - 127.5) / 256.0;
            let values = (0..shape.iter().product()).map(value).collect::<Vec<f32>>();
            param.map(|old| Tensor::from_data(TensorData::new(values, shape), &old.device()))
        }
    }

    fn host(ids: Option<Tensor<2, burn::tensor::Int>>) -> Vec<i64> {
        ids.map_or(Vec::new(), |ids| ids.into_data().convert::<i64>().try_to_vec::<i64>().unwrap())
    }

    #[test]
    fn rows_become_segments() {
        let (config, device) = (tiny(), Device::flex());
        let codes = [1u16, 2, 3, 4, 5, 6, 7, 8, 9];
        let row = |task, text| Row { task, text, codes: &codes };
        let (batch, cut) = config.batch(&[row(Task::TextToImage, &[7, 8])], &device).unwrap();
        assert_eq!((host(batch.left), host(batch.right), cut), (vec![2, 22, 7, 8, 3, 0], vec![], 0));
        let rows = [row(Task::ImageToText, &[7, 8, 9, 10][..]), row(Task::TextToImage, &[5][..])];
        let (batch, cut) = config.batch(&rows, &device).unwrap();
        assert_eq!(host(batch.left), [2, 23, 3, 0, 0, 0, 2, 22, 5, 3, 0, 0]);
        assert_eq!((host(batch.right), cut), (vec![2, 25, 7, 8, 9, 0, 0, 0, 0, 0], 1));
        assert_eq!(host(batch.image).len(), 18);
    }

    #[test]
    fn rows_that_do_not_fit_are_refused() {
        let (config, device) = (tiny(), Device::flex());
        let fault = |text: &[u32], codes: &[u16]| {
            config.batch(&[Row { task: Task::TextToImage, text, codes }], &device).unwrap_err().to_string()
        };
        assert_eq!(fault(&[20], &[0; 9]), "text id 20 is not below text_vocab 20");
        assert_eq!(fault(&[5], &[0; 8]), "8 codes, a grid of 3 has 9");
        assert_eq!(fault(&[5], &[12; 9]), "code 12 is not below image_vocab 12");
    }

    #[test]
    fn faults_of_the_configuration_are_named() {
        let fault = |change: fn(&mut RudolphConfig)| {
            let mut config = tiny();
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        assert_eq!(fault(|c| c.text_special = 3), "tokens: 5 is not below text_special 3");
        assert!(fault(|c| c.loss.image = -1.0).starts_with("loss: "));
        assert!(fault(|c| c.kernel = 2).starts_with("masks: "));
        assert!(tiny().validate().is_ok() && RudolphConfig::default().validate().is_ok());
    }

    #[test]
    fn gradients_reach_every_parameter_that_the_batch_uses() {
        let (config, device) = (tiny(), Device::flex().autodiff());
        let model = config.init(&device);
        let codes = [1u16; 9];
        let rows = [Row { task: Task::ImageToText, text: &[7, 8], codes: &codes }];
        let (batch, _) = config.batch(&rows, &device).unwrap();
        let grads = model.losses(&batch).total.backward();
        let grads = burn::optim::GradientsParams::from_grads(grads, &model);
        // 5 tables of text, image and positions + 2 more for the grid, and weight and bias of 2 norms and of the head.
        let per_layer = 4 * 2 + 4 * 2;
        assert_eq!(grads.len(), 6 + 2 + 4 + config.layers * per_layer);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn cached_steps_equal_the_full_forward(
            (left, grid, right) in (3usize..7, 1usize..4, 3usize..6), cuts in prop::collection::vec(1usize..6, 1..8),
        ) {
            let config = RudolphConfig { left, grid, right, ..tiny() };
            let (model, device) = (model(&config), Device::flex());
            let codes = (0..grid * grid).map(|i| (i * 5 % 12) as u16).collect::<Vec<_>>();
            let rows = [[7u32, 8, 9], [10, 11, 12]].map(|text| (text, codes.clone()));
            let rows = rows.iter().map(|(text, codes)| Row { task: Task::ImageToText, text, codes }).collect::<Vec<_>>();
            let (batch, _) = config.batch(&rows, &device).unwrap();
            let x = model.gpt.embed(&batch).unwrap();
            let full = model.gpt.logits(model.gpt.forward(x.clone(), None), Vocabulary::All);
            let (mut cache, mut at, total) = (Cache::new(&config.gpt(), 2, &device), 0, x.dims()[1]);
            for cut in cuts.iter().cycle() {
                let n = (*cut).min(total - at);
                let hidden = model.gpt.forward(x.clone().narrow(1, at, n), Some(&mut cache));
                let step = model.gpt.logits(hidden, Vocabulary::All);
                let off = (step - full.clone().narrow(1, at, n)).abs().max().into_scalar::<f32>();
                prop_assert!(off <= 1e-5, "{} at {}", off, at);
                at += n;
                if at == total { break }
            }
            prop_assert_eq!(cache.len(), total);
        }
    }
}
