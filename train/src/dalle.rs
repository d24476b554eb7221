//! DALL·E 1 as ruDALL·E published it: a text, then the codes of an image.
//!
//! Source: `ai-forever/ru-dalle` (`rudalle/dalle`), after Ramesh et al. 2021, "Zero-shot text-to-image generation". The
//! transformer is [`Gpt`]; here are its hyper-parameters, the objective, and how rows of a token shard become a batch.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use tokenize::checkpoint::Checkpoint;

use crate::dalle_pytorch::{self, DallePytorch};
use crate::draw::Draws;
use crate::error::{Error, Result};
use crate::gpt::{Batch, Framed, Gpt, GptConfig, MaskSchedule, Start, frame, ids, padded};
use crate::objective::{self, LossLayout, LossWeights, Losses, PositionLosses};
use crate::weights::{self, KeyNames};

/// The hyper-parameters. Defaults: Malevich v2 (`rudalle/dalle/__init__.py`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DalleConfig {
    /// Transformer layers.
    pub layers: usize,
    /// Width of the residual stream.
    pub dim: usize,
    /// Attention heads; they divide `dim`.
    pub heads: usize,
    /// Text positions.
    pub text: usize,
    /// Image codes per side.
    pub grid: usize,
    /// Side of the square that the last layer sees of the image; in the form of DALLE-pytorch, that `conv_like` layers see.
    pub kernel: usize,
    /// BPE ids. One pad per text position comes after them.
    pub text_vocab: usize,
    /// Codes of the image codec.
    pub image_vocab: usize,
    /// `v2`: a second BOS stands before the text, every token is predicted, and the last layer's square wraps around the
    /// image's borders. `v3`: none of these, and the first code is learned as a text id.
    pub loss_layout: LossLayout,
    /// Weights of the two losses.
    pub loss: DalleLoss,
    /// The embeddings' share of their gradient.
    pub gradient_shrink: f64,
    /// Share of the elements that each layer's two branches lose in training; 0.1 in the published code.
    pub dropout: f64,
    /// Standard deviation of new token and position vectors.
    pub embedding_std: f64,
    /// First gain of the norms before each addition to the residual stream; 1 in the published code.
    pub branch_gain: f64,
    /// Norms before each addition to the residual stream (CogView); OpenAI's model had none.
    pub sandwich: bool,
    /// A second norm between the last layer's and the logits.
    pub head_norm: bool,
    /// Present in a model of lucidrains' DALLE-pytorch: what is different there. Its texts are bare ids.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dalle_pytorch: Option<DallePytorch>,
}

/// How much each segment's mean loss counts; their sum divides the total.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DalleLoss {
    /// Text.
    pub text: f64,
    /// Image.
    pub image: f64,
}

impl Default for DalleLoss {
    /// 1 and 7, as published.
    fn default() -> Self {
        Self { text: 1.0, image: 7.0 }
    }
}

impl Default for DalleConfig {
    fn default() -> Self {
        let core = GptConfig::default();
        Self {
            layers: 24,
            dim: 2048,
            heads: 16,
            text: 128,
            grid: 32,
            kernel: 11,
            text_vocab: 16384,
            image_vocab: 8192,
            loss_layout: LossLayout::V2,
            loss: DalleLoss::default(),
            gradient_shrink: core.gradient_shrink,
            dropout: 0.0,
            embedding_std: core.embedding_std,
            branch_gain: core.branch_gain,
            sandwich: core.sandwich,
            head_norm: core.head_norm,
            dalle_pytorch: None,
        }
    }
}

impl DalleConfig {
    /// The core's configuration.
    pub fn gpt(&self) -> GptConfig {
        let v2 = self.loss_layout == LossLayout::V2;
        let core = GptConfig {
            layers: self.layers,
            dim: self.dim,
            heads: self.heads,
            left: self.text,
            grid: self.grid,
            right: 0,
            text_vocab: self.text_vocab,
            text_special: 0,
            image_vocab: self.image_vocab,
            image_special: 0,
            masks: MaskSchedule::Dalle { kernel: self.kernel, wrap: v2 },
            start: if v2 { Start::Text } else { Start::None },
            gradient_shrink: self.gradient_shrink,
            dropout: self.dropout,
            embedding_std: self.embedding_std,
            branch_gain: self.branch_gain,
            sandwich: self.sandwich,
            head_norm: self.head_norm,
            ..GptConfig::default()
        };
        match &self.dalle_pytorch {
            Some(form) => form.gpt(core, self.kernel),
            None => core,
        }
    }

    /// A text as the model reads it.
    pub fn framed(&self, text: &[u32]) -> Framed {
        match &self.dalle_pytorch {
            Some(_) => padded(text, self.text),
            None => frame(text, None, self.text),
        }
    }

    /// Whose key names the model's files have.
    pub fn key_names(&self) -> KeyNames {
        match &self.dalle_pytorch {
            Some(form) => KeyNames::DallePytorch { shift_tokens: form.shift_tokens },
            None => KeyNames::Rudalle,
        }
    }

    /// A checkpoint with one name for each of its tensors.
    pub(crate) fn without_seconds(&self, file: Checkpoint) -> Checkpoint {
        match &self.dalle_pytorch {
            Some(_) => dalle_pytorch::without_seconds(file, &self.gpt().shared),
            None => file,
        }
    }

    /// Checks what the types cannot.
    ///
    /// # Errors
    /// [`Error::Config`] with the key and the reason.
    pub fn validate(&self) -> Result<()> {
        if self.text == 0 || self.grid == 0 {
            return Err(Error::config("text, grid: DALL·E needs a text and an image"));
        }
        if [self.loss.text, self.loss.image].iter().any(|weight| weight.is_nan() || *weight < 0.0) {
            return Err(Error::config("loss: weights must not be negative"));
        }
        if self.dalle_pytorch.is_some() && self.loss_layout == LossLayout::V3 {
            return Err(Error::config("loss_layout: a model of DALLE-pytorch has v2"));
        }
        self.gpt().validate()
    }

    /// A new model with random weights from the device's generator.
    pub fn init(&self, device: &Device) -> Dalle {
        Dalle { gpt: self.gpt().init(device), config: self.clone() }
    }

    /// The weights of the objective's segments.
    pub const fn loss_weights(&self) -> LossWeights {
        LossWeights { left: self.loss.text, image: self.loss.image, right: 0.0 }
    }

    /// `(text, codes)` rows as a batch, and how many of their texts were cut to their segment.
    ///
    /// # Errors
    /// [`Error::Config`] when a row's codes or ids do not fit the model.
    pub fn batch(&self, rows: &[(&[u32], &[u16])], device: &Device) -> Result<(Batch, usize)> {
        let (mut left, mut image, mut cut) = (Vec::new(), Vec::new(), 0);
        for (text, codes) in rows {
            self.gpt().check_text(text)?;
            self.gpt().check_codes(codes)?;
            let framed = self.framed(text);
            cut += usize::from(framed.truncated);
            left.push(framed.ids);
            image.push(codes.to_vec());
        }
        Ok((Batch { left: ids(&left, device), image: ids(&image, device), right: None }, cut))
    }
}

/// The model.
#[derive(Module, Debug)]
pub struct Dalle {
    /// The transformer.
    pub gpt: Gpt,
    #[module(skip)]
    config: DalleConfig,
}

impl Dalle {
    /// The hyper-parameters.
    pub const fn config(&self) -> &DalleConfig {
        &self.config
    }

    /// The two losses of a batch and their weighted mean.
    pub fn losses(&self, batch: &Batch) -> Losses {
        self.losses_of(batch, batch, &self.config.loss_weights())
    }

    /// The losses of `asked` where the model reads the images of `read`: a batch of the same shapes.
    pub fn losses_of(&self, asked: &Batch, read: &Batch, weights: &LossWeights) -> Losses {
        objective::losses(&self.gpt, self.hidden(read), asked, self.config.loss_layout, weights)
    }

    /// The loss of every trained position of a batch.
    pub fn position_losses(&self, batch: &Batch) -> PositionLosses {
        objective::position_losses(&self.gpt, self.hidden(batch), batch, self.config.loss_layout)
    }

    /// What the last layer's norm puts out: `[b, t, d]`.
    pub fn hidden(&self, batch: &Batch) -> Tensor<3> {
        self.gpt.hidden(batch)
    }

    /// Reads published or own weights: safetensors or a `torch.save` file with ruDALL·E's key names, or DALLE-pytorch's.
    ///
    /// # Errors
    /// The configuration is not valid, or the file does not hold exactly its weights.
    pub fn load(config: &DalleConfig, path: &Path, device: &Device) -> Result<Self> {
        config.validate()?;
        let file = config.without_seconds(Checkpoint::open_unhashed(path)?);
        let gpt = weights::fill(config.gpt().init(device), file, config.key_names())?;
        Ok(Self { gpt, config: config.clone() })
    }

    /// Writes safetensors with the published key names.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        weights::save(&self.gpt, path, self.config.key_names(), &[])
    }
}

impl Draws for Dalle {
    fn gpt(&self) -> &Gpt {
        &self.gpt
    }

    fn asks(&self, text: &[u32]) -> Option<Framed> {
        Some(self.config.framed(text))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::draw::{Drawing, draw};
    use crate::rudolph::tests::fill;
    use crate::sampling::SamplingConfig;

    /// A model small enough to run in a moment.
    pub(crate) fn tiny() -> DalleConfig {
        DalleConfig {
            layers: 4,
            dim: 16,
            heads: 2,
            text: 6,
            grid: 3,
            kernel: 3,
            text_vocab: 20,
            image_vocab: 12,
            ..DalleConfig::default()
        }
    }

    const CODES: [u16; 9] = [1, 2, 3, 4, 5, 6, 7, 8, 9];

    #[test]
    fn both_layouts_have_losses_and_draw() {
        let device = Device::flex();
        for loss_layout in [LossLayout::V2, LossLayout::V3] {
            let config = DalleConfig { loss_layout, ..tiny() };
            let model = fill(config.init(&device));
            let (batch, cut) = config.batch(&[(&[7, 8, 9, 10, 11], &CODES)], &device).unwrap();
            assert_eq!(cut, 1);
            let losses = model.losses(&batch);
            let [total, left, image] = [Some(losses.total), losses.left, losses.image]
                .map(|loss| loss.unwrap().into_scalar::<f32>());
            assert!((total - (left + 7.0 * image) / 8.0).abs() < 1e-5);
            let drawing = Drawing { text: vec![7], ..Drawing::default() };
            let codes = draw(&model, &[drawing], &SamplingConfig::default(), 1, &mut |_| ()).unwrap();
            assert!(codes[0].len() == 9 && codes[0].iter().all(|code| *code < 12));
        }
    }

    #[test]
    fn a_file_has_published_names_and_comes_back() {
        let (dir, device) = (tempfile::tempdir().unwrap(), Device::flex());
        let path = dir.path().join("w.safetensors");
        let model = fill(tiny().init(&device));
        model.save(&path).unwrap();
        let back = Dalle::load(&tiny(), &path, &device).unwrap();
        let (batch, _) = tiny().batch(&[(&[7], &CODES)], &device).unwrap();
        let apart = model.hidden(&batch) - back.hidden(&batch);
        assert_eq!(apart.abs().max().into_scalar::<f32>(), 0.0);
        let bytes = std::fs::read(&path).unwrap();
        let names = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert!(names.tensor("text_pos_embeddings.weight").is_ok());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let fault = |text: &[u32], codes: &[u16]| {
            tiny().batch(&[(text, codes)], &Device::flex()).unwrap_err().to_string()
        };
        assert_eq!(fault(&[20], &CODES), "text id 20 is not below text_vocab 20");
        assert_eq!(fault(&[5], &CODES[..8]), "8 codes, a grid of 3 has 9");
        let config = DalleConfig { text: 0, ..tiny() };
        assert!(config.validate().unwrap_err().to_string().starts_with("text, grid: "));
    }
}
