//! ImageGPT: the pixels of a small picture, each one of a few hundred colours, one after the other.
//!
//! Source: Chen et al. 2020, "Generative pretraining from pixels"; `openai/image-gpt` (`src/model.py`); Hugging Face
//! transformers `models/imagegpt`. The transformer is [`Gpt`] with RMS norms, without sandwich, and with a learned start
//! vector before the first pixel.

use std::path::Path;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Distribution, Tensor};
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
    /// Every pixel sees every other one, for BERT's objective: hidden pixels are told from the rest, and nothing is drawn.
    pub bidirectional: bool,
}

impl Default for ImageGptConfig {
    fn default() -> Self {
        Self {
            layers: 24,
            dim: 512,
            heads: 8,
            grid: 32,
            colours: 512,
            dropout: 0.0,
            epsilon: 1e-5,
            bidirectional: false,
        }
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
            masks: if self.bidirectional { MaskSchedule::All } else { MaskSchedule::Full },
            positions: GridPositions::Flat,
            start: if self.bidirectional { Start::None } else { Start::Image },
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

    /// A new model with random weights from the device's generator, spread as in the published code.
    pub fn init(&self, device: &Device) -> ImageGpt {
        let mut spread = Spread { path: Vec::new(), config: self };
        ImageGpt { gpt: self.gpt().init(device).map(&mut spread), config: self.clone() }
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

/// Draws the weights of a new model (`src/model.py`): tables and feed-forward maps by 0.02, queries, keys and values by
/// `1/sqrt(d)`, what attention adds to the residual stream by `1/sqrt(d·layers)`, positions by 0.01, and a head of zeros.
struct Spread<'a> {
    /// Names of the modules on the way.
    path: Vec<String>,
    config: &'a ImageGptConfig,
}

impl Spread<'_> {
    /// The standard deviation of the matrix at the path.
    fn std(&self) -> f64 {
        let (dim, layers) = (self.config.dim as f64, self.config.layers as f64);
        let within = |name: &str| self.path.iter().any(|part| part == name);
        match () {
            () if within("to_logits") => 0.0,
            () if within("image_pos_embeddings") => 0.01,
            () if within("query_key_value") => 1.0 / dim.sqrt(),
            () if within("dense") => 1.0 / (dim * layers).sqrt(),
            () => 0.02,
        }
    }
}

impl ModuleMapper for Spread<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // Gains and biases start at 1 and 0.
        if D < 2 {
            return param;
        }
        let std = self.std();
        param.map(|weight| match (std, weight.is_require_grad()) {
            (0.0, false) => Tensor::zeros_like(&weight),
            (0.0, true) => Tensor::zeros_like(&weight).detach().require_grad(),
            (std, tracked) => {
                let drawn = Tensor::random(weight.dims(), Distribution::Normal(0.0, std), &weight.device());
                if tracked { drawn.require_grad() } else { drawn }
            }
        })
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

    /// The last layer's output, normed; position `i` predicts pixel `i`. With `seen` `[b, grid²]`, 1 where a pixel's
    /// colour is told and 0 where only its place is; without it all are told, to those after them.
    pub fn hidden(&self, batch: &Batch, seen: Option<Tensor<2>>) -> Tensor<3> {
        self.gpt.forward(self.embed(batch, seen), None)
    }

    /// What enters the first layer: `[b, n, d]`; some pixels not told, where `seen` is 0.
    pub fn embed(&self, batch: &Batch, seen: Option<Tensor<2>>) -> Tensor<3> {
        let masked =
            seen.zip(batch.image.clone()).and_then(|(seen, codes)| self.gpt.embed_masked(codes, seen));
        let gpt = &self.gpt;
        // A batch always has an image; without one there is nothing to compute.
        masked
            .or_else(|| gpt.embed(batch))
            .unwrap_or_else(|| Tensor::zeros([1, 1, gpt.config().dim], &gpt.device()))
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
    fn new_weights_are_spread_as_published() {
        let device = Device::flex();
        device.seed(3);
        let config = ImageGptConfig { layers: 4, dim: 64, colours: 40, grid: 8, ..tiny() };
        let model = config.init(&device);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w.safetensors");
        model.save(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let deviation = |name: &str| {
            let tensor = file.tensor(name).unwrap();
            let values =
                tensor.data().as_chunks::<4>().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes)));
            (values.clone().map(|x| x * x).sum::<f64>() / values.count() as f64).sqrt()
        };
        for (name, std) in [
            ("transformer.wte.weight", 0.02),
            ("transformer.wpe.weight", 0.01),
            ("transformer.h.3.attn.c_attn.weight", 0.125),
            ("transformer.h.3.attn.c_proj.weight", 0.0625),
            ("transformer.h.0.mlp.c_fc.weight", 0.02),
            ("transformer.h.0.mlp.c_proj.weight", 0.02),
            ("transformer.h.0.ln_1.weight", 1.0),
            ("lm_head.weight", 0.0),
        ] {
            assert!((deviation(name) - std).abs() <= 0.06 * std, "{name}: {} {std}", deviation(name));
        }
    }

    #[test]
    fn a_hidden_pixel_is_not_seen_and_every_other_is() {
        let device = Device::flex();
        let config = ImageGptConfig { bidirectional: true, ..tiny() };
        let model = fill(config.init(&device));
        let hidden = |pixels: &[u16]| {
            let mut seen = [1.0; 9];
            seen[4] = 0.0;
            let seen = Tensor::<1>::from_floats(seen, &device).unsqueeze::<2>();
            model.hidden(&config.batch(&[pixels], &device).unwrap(), Some(seen))
        };
        let with = |pixel: usize| {
            let mut pixels = PIXELS;
            pixels[pixel] = 6;
            let apart = (hidden(&PIXELS) - hidden(&pixels)).narrow(1, 0, 1);
            apart.abs().max().into_scalar::<f32>()
        };
        assert_eq!(with(4), 0.0);
        assert!(with(8) > 1e-6, "the last pixel is seen by the first");
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
