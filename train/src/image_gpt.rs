//! ImageGPT: the pixels of a small picture, each one of a few hundred colours, one after the other.
//!
//! Source: Chen et al. 2020, "Generative pretraining from pixels"; `openai/image-gpt` (`src/model.py`); Hugging Face
//! transformers `models/imagegpt`. The transformer is [`Gpt`] with RMS norms, without sandwich, and with a learned start
//! vector before the first pixel.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::draw::Draws;
use crate::error::{Error, Result};
use crate::gpt::{
    Activation, Batch, Framed, Gpt, GptConfig, GridPositions, MaskSchedule, NormKind, Start, ids,
};
use crate::objective::{self, LossLayout, LossWeights, PositionLosses};
use crate::weights::{self, KeyNames};

/// The hyper-parameters. Defaults: ImageGPT-S.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageGptConfig {
    /// Transformer layers.
    pub layers: usize,
    /// Width of the residual stream.
    pub dim: usize,
    /// Attention heads; they divide `dim`.
    pub heads: usize,
    /// Pixels per side.
    pub grid: usize,
    /// Colours of the palette.
    pub colours: usize,
    /// Share of the elements that each layer's two branches lose in training; none in the published training.
    pub dropout: f64,
    /// Added to a norm's mean square.
    pub epsilon: f64,
}

impl Default for ImageGptConfig {
    fn default() -> Self {
        Self { layers: 24, dim: 512, heads: 8, grid: 32, colours: 512, dropout: 0.0, epsilon: 1e-5 }
    }
}

impl ImageGptConfig {
    /// The core's configuration.
    pub fn gpt(&self) -> GptConfig {
        GptConfig {
            layers: self.layers,
            dim: self.dim,
            heads: self.heads,
            left: 0,
            grid: self.grid,
            right: 0,
            text_vocab: 0,
            text_special: 0,
            image_vocab: self.colours,
            image_special: 0,
            norm: NormKind::Rms,
            epsilon: self.epsilon,
            sandwich: false,
            activation: Activation::QuickGelu,
            head_bias: false,
            head_norm: false,
            masks: MaskSchedule::Full,
            positions: GridPositions::Flat,
            start: Start::Image,
            gradient_shrink: 1.0,
            dropout: self.dropout,
            ..GptConfig::default()
        }
    }

    /// Checks what the types cannot.
    ///
    /// # Errors
    /// [`Error::Config`] with the key and the reason.
    pub fn validate(&self) -> Result<()> {
        if self.grid == 0 || self.colours == 0 {
            return Err(Error::config("grid, colours: ImageGPT needs pixels of at least one colour"));
        }
        self.gpt().validate()
    }

    /// A new model with random weights from the device's generator.
    pub fn init(&self, device: &Device) -> ImageGpt {
        ImageGpt { gpt: self.gpt().init(device), config: self.clone() }
    }

    /// Pictures as a batch: one code per pixel, row by row.
    ///
    /// # Errors
    /// [`Error::Config`] when a picture has another size or a colour that is not in the palette.
    pub fn batch(&self, pictures: &[&[u16]], device: &Device) -> Result<Batch> {
        let gpt = self.gpt();
        pictures.iter().try_for_each(|codes| gpt.check_codes(codes))?;
        let rows = pictures.iter().map(|codes| codes.to_vec()).collect::<Vec<_>>();
        Ok(Batch { left: None, image: ids(&rows, device), right: None })
    }
}

/// The model.
#[derive(Module, Debug)]
pub struct ImageGpt {
    /// The transformer.
    pub gpt: Gpt,
    #[module(skip)]
    config: ImageGptConfig,
}

impl ImageGpt {
    /// The hyper-parameters.
    pub const fn config(&self) -> &ImageGptConfig {
        &self.config
    }

    /// The autoregressive loss: the mean over all pixels, the first after the start vector included.
    pub fn loss(&self, batch: &Batch) -> Option<Tensor<1>> {
        let (hidden, weights) = (self.gpt.hidden(batch), LossWeights::default());
        objective::losses(&self.gpt, hidden, batch, LossLayout::V2, &weights).image
    }

    /// The loss of every pixel.
    pub fn position_losses(&self, batch: &Batch) -> PositionLosses {
        objective::position_losses(&self.gpt, self.gpt.hidden(batch), batch, LossLayout::V2)
    }

    /// Reads published or own weights: safetensors or a `torch.save` file with Hugging Face's key names.
    ///
    /// # Errors
    /// The configuration is not valid, or the file does not hold exactly its weights.
    pub fn load(config: &ImageGptConfig, path: &Path, device: &Device) -> Result<Self> {
        config.validate()?;
        let gpt = weights::load(config.gpt().init(device), path, KeyNames::ImageGpt)?;
        Ok(Self { gpt, config: config.clone() })
    }

    /// Writes safetensors with Hugging Face's key names.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        weights::save(&self.gpt, path, KeyNames::ImageGpt, &[])
    }
}

impl Draws for ImageGpt {
    fn gpt(&self) -> &Gpt {
        &self.gpt
    }

    fn asks(&self, _: &[u32]) -> Option<Framed> {
        None
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::draw::{Drawing, draw};
    use crate::rudolph::tests::fill;
    use crate::sampling::SamplingConfig;

    /// A model small enough to run in a moment.
    pub(crate) fn tiny() -> ImageGptConfig {
        ImageGptConfig { layers: 2, dim: 16, heads: 2, grid: 3, colours: 7, ..ImageGptConfig::default() }
    }

    const PIXELS: [u16; 9] = [0, 1, 2, 3, 4, 5, 6, 0, 1];

    #[test]
    fn every_pixel_is_predicted_and_drawn() {
        let device = Device::flex();
        let model = fill(tiny().init(&device));
        let batch = tiny().batch(&[&PIXELS], &device).unwrap();
        let losses = model.position_losses(&batch).image.unwrap();
        assert_eq!(losses.dims(), [1, 9]);
        let mean = losses.mean().into_scalar::<f32>();
        assert!((mean - model.loss(&batch).unwrap().into_scalar::<f32>()).abs() < 1e-5);
        let codes = draw(&model, &[Drawing::default()], &SamplingConfig::default(), 1, &mut |_| ()).unwrap();
        assert!(codes[0].len() == 9 && codes[0].iter().all(|code| *code < 7));
    }

    #[test]
    fn a_file_comes_back() {
        let (dir, device) = (tempfile::tempdir().unwrap(), Device::flex());
        let path = dir.path().join("w.safetensors");
        let model = fill(tiny().init(&device));
        model.save(&path).unwrap();
        let back = ImageGpt::load(&tiny(), &path, &device).unwrap();
        let batch = tiny().batch(&[&PIXELS], &device).unwrap();
        let apart = model.gpt.hidden(&batch) - back.gpt.hidden(&batch);
        assert_eq!(apart.abs().max().into_scalar::<f32>(), 0.0);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let fault = tiny().batch(&[&[7; 9]], &Device::flex()).unwrap_err().to_string();
        assert_eq!(fault, "code 7 is not below image_vocab 7");
        assert!(ImageGptConfig { colours: 0, ..tiny() }.validate().is_err());
    }
}
