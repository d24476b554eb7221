//! CLIP's hyper-parameters from `config.json` of Hugging Face's layout.

use std::path::Path;

use serde::Deserialize;

use crate::{Error, Result};

/// What `CLIPModel` reads of `config.json`; other keys say how it was trained, and are not looked at.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct ClipConfig {
    /// Numbers of a text's and of a picture's vector.
    pub projection_dim: usize,
    /// The text tower.
    pub text_config: TextConfig,
    /// The picture tower.
    pub vision_config: VisionConfig,
}

/// The text tower. Defaults: ViT-B/32's (`CLIPTextConfig`).
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct TextConfig {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the feed-forward layers.
    pub intermediate_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Attention heads.
    pub num_attention_heads: usize,
    /// Positions.
    pub max_position_embeddings: usize,
    /// Ids.
    pub vocab_size: usize,
    /// The end token, at whose first place a text is read. 2 stands for "the largest id", as in the published files.
    pub eos_token_id: i64,
    /// Activation of the feed-forward layers.
    pub hidden_act: Activation,
    /// Added to a norm's variance.
    pub layer_norm_eps: f64,
}

/// The picture tower. Defaults: ViT-B/32's (`CLIPVisionConfig`).
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct VisionConfig {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the feed-forward layers.
    pub intermediate_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Attention heads.
    pub num_attention_heads: usize,
    /// Pixels per side.
    pub image_size: usize,
    /// Pixels per side of a patch.
    pub patch_size: usize,
    /// Activation of the feed-forward layers.
    pub hidden_act: Activation,
    /// Added to a norm's variance.
    pub layer_norm_eps: f64,
}

/// Activation of the feed-forward layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x · sigmoid(1.702 x)` (OpenAI's models).
    #[default]
    QuickGelu,
    /// By the error function (LAION's models).
    Gelu,
}

impl Default for ClipConfig {
    fn default() -> Self {
        Self {
            projection_dim: 512,
            text_config: TextConfig::default(),
            vision_config: VisionConfig::default(),
        }
    }
}

impl Default for TextConfig {
    fn default() -> Self {
        Self {
            hidden_size: 512,
            intermediate_size: 2048,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 77,
            vocab_size: 49408,
            eos_token_id: 49407,
            hidden_act: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
        }
    }
}

impl Default for VisionConfig {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            image_size: 224,
            patch_size: 32,
            hidden_act: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
        }
    }
}

impl ClipConfig {
    /// Reads `config.json` and checks that the numbers go together.
    ///
    /// # Errors
    /// The file cannot be read, is not of a CLIP, or has a number that no model can have, which is named.
    pub fn read(path: &Path) -> Result<Self> {
        let fault = |why: String| Error::weights(path, why);
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let json: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(|error| fault(error.to_string()))?;
        match json.get("model_type").and_then(serde_json::Value::as_str) {
            Some("clip") => {}
            other => return Err(fault(format!("model_type is {other:?}, not \"clip\""))),
        }
        let config = Self::deserialize(&json).map_err(|error| fault(error.to_string()))?;
        config.check().map_err(fault)?;
        Ok(config)
    }

    fn check(&self) -> std::result::Result<(), String> {
        let (text, vision) = (&self.text_config, &self.vision_config);
        for (name, width, heads) in [
            ("text_config", text.hidden_size, text.num_attention_heads),
            ("vision_config", vision.hidden_size, vision.num_attention_heads),
        ] {
            if heads == 0 || width == 0 || !width.is_multiple_of(heads) {
                return Err(format!("{name}: {heads} heads do not divide the width {width}"));
            }
        }
        if vision.patch_size == 0 || vision.image_size < vision.patch_size {
            return Err(format!("vision_config: patches of {} in {}", vision.patch_size, vision.image_size));
        }
        if text.max_position_embeddings < 3 || self.projection_dim == 0 {
            return Err("text_config: no room for a word between start and end".to_owned());
        }
        Ok(())
    }
}
