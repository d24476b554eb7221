//! Key names of the published checkpoints.
//!
//! Sources: `ai-forever/ru-dolph` and `ai-forever/ru-dalle` (`state_dict` of their models), Hugging Face transformers
//! (`models/imagegpt`).

use serde::{Deserialize, Serialize};

use crate::dalle_pytorch;

/// Whose key names a file has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyNames {
    /// RuDOLPH: the names of [`Gpt`](crate::gpt::Gpt)'s fields.
    #[default]
    Rudolph,
    /// ruDALL·E: one text segment, so its position table has no side in its name.
    Rudalle,
    /// lucidrains' DALLE-pytorch.
    DallePytorch {
        /// Whether the model shifts tokens, which its names tell.
        shift_tokens: bool,
    },
    /// ImageGPT of Hugging Face transformers, whose layers' weights lie as `[in, out]`.
    ImageGpt,
}

/// `(published, ours)` for the parts of ImageGPT's names; the first that fits is replaced.
const IMAGE_GPT: [(&str, &str); 11] = [
    ("transformer.h.", "transformer.layers."),
    (".attn.c_attn.", ".attention.query_key_value."),
    (".attn.c_proj.", ".attention.dense."),
    (".mlp.c_fc.", ".mlp.dense_h_to_4h."),
    (".mlp.c_proj.", ".mlp.dense_4h_to_h."),
    (".ln_1.", ".input_layernorm."),
    (".ln_2.", ".post_attention_layernorm."),
    ("transformer.ln_f.", "transformer.final_layernorm."),
    ("transformer.wte.", "image_embeddings."),
    ("transformer.wpe.", "image_pos_embeddings."),
    ("lm_head.", "to_logits.1."),
];

impl KeyNames {
    /// Whose names these are, as far as keys tell; `None` for those of no model here.
    pub fn of(keys: &[&str]) -> Option<Self> {
        let has = |key: &str| keys.iter().any(|found| *found == key || found.ends_with(&format!(".{key}")));
        if has("l_text_pos_embeddings.weight") {
            Some(Self::Rudolph)
        } else if has("text_pos_embeddings.weight") && has("image_row_embeddings.weight") {
            Some(Self::Rudalle)
        } else if has("transformer.layers.layers.0.0.fn.fn.fn.fn.fn.to_qkv.weight") {
            Some(Self::DallePytorch { shift_tokens: true })
        } else if has("transformer.layers.layers.0.0.fn.fn.fn.to_qkv.weight") {
            Some(Self::DallePytorch { shift_tokens: false })
        } else if has("transformer.h.0.attn.c_attn.weight") && !has("transformer.h.0.ln_1.bias") {
            // GPT-2 of the same library has biases in its norms.
            Some(Self::ImageGpt)
        } else {
            None
        }
    }

    /// The model's name in messages.
    pub const fn model(self) -> &'static str {
        match self {
            Self::Rudolph => "RuDOLPH",
            Self::Rudalle => "ruDALL-E",
            Self::DallePytorch { .. } => "DALLE-pytorch",
            Self::ImageGpt => "ImageGPT",
        }
    }

    /// A key as [`Self::published`] writes it, of which some files have older forms; `None` for a buffer that no model
    /// needs, since masks have closed forms.
    pub fn canonical(self, published: &str) -> Option<String> {
        let buffer = match self {
            Self::Rudolph | Self::Rudalle => {
                published.starts_with("transformer.") && published.ends_with("_mask")
            }
            Self::DallePytorch { shift_tokens } => {
                return dalle_pytorch::ours(published)
                    .map(|ours| dalle_pytorch::published(&ours, shift_tokens));
            }
            Self::ImageGpt => published.ends_with(".attn.bias") || published.ends_with(".attn.masked_bias"),
        };
        (!buffer).then(|| published.to_owned())
    }

    /// The published name of one of the model's parameters.
    pub fn published(self, ours: &str) -> String {
        match self {
            Self::Rudolph => ours.to_owned(),
            Self::DallePytorch { shift_tokens } => dalle_pytorch::published(ours, shift_tokens),
            Self::Rudalle => replace_start(ours, "l_text_pos_embeddings.", "text_pos_embeddings."),
            Self::ImageGpt => {
                IMAGE_GPT.iter().fold(ours.to_owned(), |key, (to, from)| key.replacen(from, to, 1))
            }
        }
    }

    /// The sizes in the file of one of the model's parameters that is no linear map.
    pub(super) fn shape(self, ours: &str, memory: &[usize]) -> Vec<usize> {
        match self {
            Self::DallePytorch { .. } => dalle_pytorch::published_shape(ours, memory),
            Self::Rudolph | Self::Rudalle | Self::ImageGpt => memory.to_vec(),
        }
    }

    /// Whether the weight of a linear map lies in the file as it does in memory.
    pub(super) fn untransposed(self, ours: &str) -> bool {
        self == Self::ImageGpt && ours.starts_with("transformer.layers.")
    }
}

fn replace_start(key: &str, from: &str, to: &str) -> String {
    key.strip_prefix(from).map_or_else(|| key.to_owned(), |rest| format!("{to}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_gpt_has_hugging_faces_names() {
        for (published, ours) in [
            ("transformer.h.3.attn.c_attn.weight", "transformer.layers.3.attention.query_key_value.weight"),
            ("transformer.h.0.mlp.c_proj.bias", "transformer.layers.0.mlp.dense_4h_to_h.bias"),
            ("transformer.ln_f.weight", "transformer.final_layernorm.weight"),
            ("transformer.wte.weight", "image_embeddings.weight"),
            ("lm_head.weight", "to_logits.1.weight"),
        ] {
            assert_eq!(KeyNames::ImageGpt.published(ours), published);
            assert_eq!(KeyNames::ImageGpt.canonical(published).as_deref(), Some(published));
        }
        assert_eq!(KeyNames::ImageGpt.canonical("transformer.h.0.attn.bias"), None);
        assert_eq!(KeyNames::Rudolph.canonical("transformer.last_conv_mask"), None);
    }

    #[test]
    fn keys_tell_whose_they_are() {
        let of = KeyNames::of;
        assert_eq!(of(&["state_dict.l_text_pos_embeddings.weight"]), Some(KeyNames::Rudolph));
        let rudalle = ["text_pos_embeddings.weight", "image_row_embeddings.weight"];
        assert_eq!(of(&rudalle), Some(KeyNames::Rudalle));
        let shifted = ["weights.transformer.layers.layers.0.0.fn.fn.fn.fn.fn.to_qkv.weight"];
        assert_eq!(of(&shifted), Some(KeyNames::DallePytorch { shift_tokens: true }));
        let hugging_face = ["transformer.h.0.attn.c_attn.weight", "transformer.h.0.ln_1.bias"];
        assert_eq!(of(&hugging_face[..1]), Some(KeyNames::ImageGpt));
        assert_eq!(of(&hugging_face), None);
    }
}
