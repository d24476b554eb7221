//! CLIP: a text and a picture as two vectors whose angle says how well they go together.
//!
//! Source: Radford et al. 2021, "Learning transferable visual models from natural language supervision"; `openai/CLIP`
//! (`clip/model.py`, `clip/clip.py`); key names and configuration as `CLIPModel` of Hugging Face transformers.

mod config;
mod load;
mod tower;

use std::path::Path;

use burn::tensor::module::{conv2d, embedding};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Int, Tensor, TensorData};
use pipeline::picture::Picture;
use tokenize::checkpoint::Checkpoint;
use tokenize::pixels::{Crop, Filter, Preprocess, Range};

pub use config::{Activation, ClipConfig, TextConfig, VisionConfig};

use crate::{Error, Result};
use load::Reader;
use tower::{Linear, Norm, Size, Tower};

/// Mean and deviation of the pixels that CLIP was trained on (`clip/clip.py`), for pixels in 0..=1.
const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const DEVIATION: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];
/// The end token that stands for "the largest id" in the published configurations.
const LARGEST: i64 = 2;

/// Both towers.
#[derive(Clone, Debug)]
pub struct Clip {
    config: ClipConfig,
    sha256: String,
    device: Device,
    words: Tensor<2>,
    word_positions: Tensor<2>,
    text: Tower,
    text_norm: Norm,
    text_out: Linear,
    class: Tensor<1>,
    patches: Tensor<4>,
    patch_positions: Tensor<2>,
    before: Norm,
    vision: Tower,
    vision_norm: Norm,
    vision_out: Linear,
    scale: f32,
}

/// What the towers put out.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Every position after the last layer: `[b, n, d]`.
    pub hidden: Tensor<3>,
    /// The position that counts, after the last norm: `[b, d]`.
    pub pooled: Tensor<2>,
    /// The vector, of length 1: `[b, projection_dim]`.
    pub vector: Tensor<2>,
}

impl Clip {
    /// Opens a folder of Hugging Face's layout: `config.json` and the weights as safetensors or `pytorch_model.bin`.
    ///
    /// # Errors
    /// A file is missing, or holds another model; the tensor is named.
    pub fn open(dir: &Path, device: &Device) -> Result<Self> {
        let config = ClipConfig::read(&dir.join("config.json"))?;
        let file = Checkpoint::open(dir)?;
        let device = device.clone().without_autodiff();
        let reader = Reader { file: &file, device: &device };
        let (text, vision) = (&config.text_config, &config.vision_config);
        let (words, wide) = (text.hidden_size, vision.hidden_size);
        let places = (vision.image_size / vision.patch_size).pow(2) + 1;
        let square = vision.patch_size;
        let norm = |name: &str, dim, epsilon| Norm::read(&reader, name, dim, epsilon);
        let out = |name: &str, dim| Linear::read(&reader, name, [config.projection_dim, dim], false);
        Ok(Self {
            sha256: file.sha256().to_owned(),
            words: reader.tensor("text_model.embeddings.token_embedding.weight", [text.vocab_size, words])?,
            word_positions: reader.tensor(
                "text_model.embeddings.position_embedding.weight",
                [text.max_position_embeddings, words],
            )?,
            text: Tower::read(&reader, "text_model", text.size())?,
            text_norm: norm("text_model.final_layer_norm", words, text.layer_norm_eps)?,
            text_out: out("text_projection", words)?,
            class: reader.tensor("vision_model.embeddings.class_embedding", [wide])?,
            patches: reader
                .tensor("vision_model.embeddings.patch_embedding.weight", [wide, 3, square, square])?,
            patch_positions: reader
                .tensor("vision_model.embeddings.position_embedding.weight", [places, wide])?,
            // The published name.
            before: norm("vision_model.pre_layrnorm", wide, vision.layer_norm_eps)?,
            vision: Tower::read(&reader, "vision_model", vision.size())?,
            vision_norm: norm("vision_model.post_layernorm", wide, vision.layer_norm_eps)?,
            vision_out: out("visual_projection", wide)?,
            scale: reader.number("logit_scale")?.exp(),
            device: device.clone(),
            config: config.clone(),
        })
    }

    /// The hyper-parameters.
    pub const fn config(&self) -> &ClipConfig {
        &self.config
    }

    /// sha256 of the weights in hex.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// What a cosine is multiplied with to be a logit.
    pub const fn logit_scale(&self) -> f32 {
        self.scale
    }

    /// Framed texts, all of one length of at most `max_position_embeddings` ids.
    ///
    /// # Errors
    /// No texts, different lengths, or an id that is not in the vocabulary.
    pub fn texts(&self, texts: &[Vec<i64>]) -> Result<Seen> {
        let config = &self.config.text_config;
        let n = texts.first().map_or(0, Vec::len);
        if n == 0 || n > config.max_position_embeddings || texts.iter().any(|text| text.len() != n) {
            let most = config.max_position_embeddings;
            return Err(Error::config(format!("CLIP reads texts of one length of 1 to {most} ids")));
        }
        if let Some(id) = texts.iter().flatten().find(|id| !(0..config.vocab_size as i64).contains(id)) {
            return Err(Error::config(format!(
                "text id {id} is not in CLIP's vocabulary of {}",
                config.vocab_size
            )));
        }
        let b = texts.len();
        let ids = texts.iter().flatten().copied().collect::<Vec<_>>();
        let ids: Tensor<2, Int> = Tensor::from_data(TensorData::new(ids, [b, n]), &self.device);
        let positions = self.word_positions.clone().narrow(0, 0, n).unsqueeze::<3>();
        let hidden = self.text.forward(embedding(self.words.clone(), ids) + positions, true);
        let hidden = self.text_norm.forward(hidden);
        let ends = texts.iter().enumerate().map(|(row, text)| (row * n + self.end(text)) as i64);
        let ends = Tensor::<1, Int>::from_data(TensorData::new(ends.collect::<Vec<_>>(), [b]), &self.device);
        let pooled = hidden.clone().reshape([b * n, config.hidden_size]).select(0, ends);
        Ok(Seen { vector: self.vector(&self.text_out, &pooled), hidden, pooled })
    }

    /// Where a text is read: at its first end token, or at its largest id; at 0 where there is none.
    fn end(&self, text: &[i64]) -> usize {
        let end = self.config.text_config.eos_token_id;
        let end = if end == LARGEST { text.iter().copied().max().unwrap_or(0) } else { end };
        text.iter().position(|id| *id == end).unwrap_or(0)
    }

    /// Pixels, normalised, `[b, 3, image_size, image_size]`.
    pub fn images(&self, pixels: Tensor<4>) -> Seen {
        let config = &self.config.vision_config;
        let (square, d) = (config.patch_size, config.hidden_size);
        let patches =
            conv2d(pixels, self.patches.clone(), None, ConvOptions::new([square; 2], [0, 0], [1, 1], 1));
        let [b, _, h, w] = patches.dims();
        let patches = patches.reshape([b, d, h * w]).swap_dims(1, 2);
        let class = self.class.clone().reshape([1, 1, d]).expand([b, 1, d]);
        let x = Tensor::cat(vec![class, patches], 1) + self.patch_positions.clone().unsqueeze::<3>();
        let hidden = self.vision.forward(self.before.forward(x), false);
        let pooled = self.vision_norm.forward(hidden.clone().narrow(1, 0, 1)).reshape([b, d]);
        Seen { vector: self.vector(&self.vision_out, &pooled), hidden, pooled }
    }

    fn vector(&self, out: &Linear, pooled: &Tensor<2>) -> Tensor<2> {
        let vector = out.forward(pooled.clone().unsqueeze_dim::<3>(1)).squeeze_dim::<2>(1);
        let length = (vector.clone() * vector.clone()).sum_dim(1).sqrt();
        vector / length
    }

    /// Pictures of any sizes as the towers see them: Pillow's bicubic on the shorter side, the middle, normalised.
    ///
    /// # Errors
    /// No pictures, or one that cannot be scaled.
    pub fn pixels(&self, pictures: Vec<Picture>) -> Result<Tensor<4>> {
        let side = self.config.vision_config.image_size;
        let way =
            Preprocess { size: side, crop: Crop::CenterEven, filter: Filter::Bicubic, range: Range::ZeroOne };
        let refuse = |reason: pipeline::reason::Reason| {
            Error::config(format!("a picture for CLIP: {}", reason.text()))
        };
        let squares = pictures.into_iter().map(|picture| way.picture(picture, side).map_err(refuse));
        let pixels = way.to_tensor(&squares.collect::<Result<Vec<_>>>()?, &self.device)?;
        let colours = |values: [f32; 3]| Tensor::<1>::from_data(values, &self.device).reshape([1, 3, 1, 1]);
        Ok((pixels - colours(MEAN)) / colours(DEVIATION))
    }
}

impl TextConfig {
    fn size(&self) -> Size {
        Size {
            layers: self.num_hidden_layers,
            dim: self.hidden_size,
            inner: self.intermediate_size,
            heads: self.num_attention_heads,
            activation: self.hidden_act,
            epsilon: self.layer_norm_eps,
        }
    }
}

impl VisionConfig {
    fn size(&self) -> Size {
        Size {
            layers: self.num_hidden_layers,
            dim: self.hidden_size,
            inner: self.intermediate_size,
            heads: self.num_attention_heads,
            activation: self.hidden_act,
            epsilon: self.layer_norm_eps,
        }
    }
}
