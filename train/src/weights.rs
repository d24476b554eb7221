//! Weights in and out under the key names of the published checkpoints.
//!
//! Reads safetensors and `torch.save` files (`.bin`, `.pt`, `.ckpt`; f16, bf16 and f32), writes safetensors. Linear
//! weights lie as `[out, in]` in the files and as `[in, out]` in memory; mask buffers are skipped, since masks have
//! closed forms. Sources: `models.md` §1c (ruDALL·E, RuDOLPH), §4c (ImageGPT at Hugging Face).

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use burn::module::Module;
use burn::tensor::{DType, TensorData};
use burn_store::burn_pack::Tensor as Packed;
use burn_store::{
    ApplyError, ApplyResult, FloatCastAdapter, ModuleAdapter, ModuleContext, ModuleSnapshot, ModuleStore,
    PyTorchToBurnAdapter, PytorchStore, SafetensorsStore, bridge,
};
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};

use crate::dalle_pytorch;
use crate::error::{Error, Result};

/// How many keys of one kind an error lists.
const LISTED: usize = 8;

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
    /// The model's name of a published key; `None` for a buffer that no model needs.
    pub fn ours(self, published: &str) -> Option<String> {
        let buffer = match self {
            Self::Rudolph | Self::Rudalle => {
                published.starts_with("transformer.") && published.ends_with("_mask")
            }
            Self::DallePytorch { .. } => return dalle_pytorch::ours(published),
            Self::ImageGpt => published.ends_with(".attn.bias") || published.ends_with(".attn.masked_bias"),
        };
        let renamed = match self {
            Self::Rudolph | Self::DallePytorch { .. } => published.to_owned(),
            Self::Rudalle => replace_start(published, "text_pos_embeddings.", "l_text_pos_embeddings."),
            Self::ImageGpt => {
                IMAGE_GPT.iter().fold(published.to_owned(), |key, (from, to)| key.replacen(from, to, 1))
            }
        };
        (!buffer).then_some(renamed)
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

    /// Whether the weight of a linear map lies in the file as it does in memory.
    fn untransposed(self, ours: &str) -> bool {
        self == Self::ImageGpt && ours.starts_with("transformer.layers.")
    }
}

fn replace_start(key: &str, from: &str, to: &str) -> String {
    key.strip_prefix(from).map_or_else(|| key.to_owned(), |rest| format!("{to}{rest}"))
}

/// Transposes the linear weights between file and memory; the same in both directions.
#[derive(Clone, Copy)]
struct Transpose(KeyNames);

impl ModuleAdapter for Transpose {
    fn adapt(&self, tensor: Packed, ctx: ModuleContext<'_>) -> Packed {
        if self.0.untransposed(&tensor.name) { tensor } else { PyTorchToBurnAdapter.adapt(tensor, ctx) }
    }

    fn clone_box(&self) -> Box<dyn ModuleAdapter> {
        Box::new(*self)
    }
}

/// Fills a model from a checkpoint.
///
/// # Errors
/// [`Error::Weights`] when the file cannot be read, or its tensors are not exactly the model's: every missing,
/// unexpected and misshapen key is named (the first few of each kind).
pub fn load<M: Module>(mut module: M, path: &Path, names: KeyNames) -> Result<M> {
    let tensors = open(path)?;
    let renamed = tensors.into_values().filter_map(|mut tensor| {
        tensor.name = names.ours(&tensor.name)?;
        Some(tensor)
    });
    let adapter = Transpose(names).chain(FloatCastAdapter::to(DType::F32));
    let result = module.apply(renamed.collect(), None, Some(Box::new(adapter)), true);
    match faults(&result, names) {
        Some(message) => Err(Error::weights(path, message)),
        None => Ok(module),
    }
}

/// The tensors of a checkpoint by their published keys, their data unread.
fn open(path: &Path) -> Result<BTreeMap<String, Packed>> {
    // The store memory-maps a file that is not there with an error that lacks its name.
    std::fs::metadata(path).map_err(Error::io(path))?;
    if path.extension().is_some_and(|extension| extension == "safetensors") {
        let mut store = SafetensorsStore::from_file(path);
        store.get_all_tensors().cloned().map_err(|error| Error::weights(path, error))
    } else {
        let mut store = PytorchStore::from_file(path).map_indices_contiguous(false);
        store.get_all_tensors().cloned().map_err(|error| Error::weights(path, error))
    }
}

/// What does not fit, by published keys.
fn faults(result: &ApplyResult, names: KeyNames) -> Option<String> {
    let listed = |what: &str, keys: Vec<String>| {
        let more = keys.len().saturating_sub(LISTED);
        let shown = keys.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!keys.is_empty()).then(|| format!("{what}: {shown}{rest}"))
    };
    let missing = result.missing.iter().map(|(key, _)| names.published(key)).collect();
    let unexpected = result.unused.iter().map(|key| names.published(key)).collect();
    let wrong = result.errors.iter().map(|error| match error {
        ApplyError::ShapeMismatch { path, expected, found } => {
            let (found, expected) = (found.to_vec(), expected.to_vec());
            format!("{} is {found:?}, the model wants {expected:?} (as [in, out])", names.published(path))
        }
        other => other.to_string(),
    });
    let parts =
        [listed("wrong", wrong.collect()), listed("missing", missing), listed("unexpected", unexpected)];
    let parts = parts.into_iter().flatten().collect::<Vec<_>>();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// Writes a model as f32 safetensors; the file appears whole or not at all.
///
/// # Errors
/// The file cannot be written.
pub fn save<M: Module>(module: &M, path: &Path, names: KeyNames, metadata: &[(&str, &str)]) -> Result<()> {
    let tensors = module.collect(None, Some(Box::new(Transpose(names))), true);
    let read = |tensor: Packed| -> Result<(String, TensorData)> {
        let name = names.published(&tensor.name);
        let data = bridge::into_data(tensor).map_err(|error| Error::weights(path, error))?;
        Ok((name, data.convert::<f32>()))
    };
    let tensors = tensors.into_iter().map(read).collect::<Result<Vec<_>>>()?;
    let views = tensors.iter().map(|(name, data)| {
        let view = TensorView::new(Dtype::F32, data.shape().to_vec(), data.as_bytes());
        view.map(|view| (name, view)).map_err(|error| Error::weights(path, error))
    });
    let views = views.collect::<Result<Vec<_>>>()?;
    let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let metadata = Some(metadata.collect::<HashMap<_, _>>()).filter(|metadata| !metadata.is_empty());
    let bytes = safetensors::serialize(views, metadata).map_err(|error| Error::weights(path, error))?;
    Ok(pipeline::atomic::write(path, bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpt::GptConfig;
    use burn::tensor::Device;

    fn config() -> GptConfig {
        GptConfig {
            layers: 2,
            dim: 8,
            heads: 2,
            left: 4,
            grid: 2,
            right: 4,
            text_vocab: 9,
            text_special: 0,
            image_vocab: 5,
            image_special: 0,
            ..GptConfig::default()
        }
    }

    #[test]
    fn a_round_trip_is_the_identity() {
        let (device, dir) = (Device::flex(), tempfile::tempdir().unwrap());
        let [a, b] = ["a.safetensors", "b.safetensors"].map(|name| dir.path().join(name));
        let model = config().init(&device);
        save(&model, &a, KeyNames::Rudolph, &[("format", "test")]).unwrap();
        let other = load(config().init(&device), &a, KeyNames::Rudolph).unwrap();
        save(&other, &b, KeyNames::Rudolph, &[("format", "test")]).unwrap();
        assert_eq!(std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap());
    }

    #[test]
    fn files_have_published_names_and_layouts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w.safetensors");
        save(&config().init(&Device::flex()), &path, KeyNames::Rudalle, &[]).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let shape = |name: &str| file.tensor(name).unwrap().shape().to_vec();
        assert_eq!(shape("text_pos_embeddings.weight"), [5, 8]);
        assert_eq!(shape("transformer.layers.1.attention.query_key_value.weight"), [24, 8]);
        assert_eq!(shape("transformer.layers.0.mlp.dense_4h_to_h.weight"), [8, 32]);
        assert_eq!(shape("transformer.final_layernorm.bias"), [8]);
        assert_eq!(shape("to_logits.0.weight"), [8]);
        assert_eq!(shape("to_logits.1.weight"), [9 + 4 + 5, 8]);
    }

    #[test]
    fn faults_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w.safetensors");
        save(&config().init(&Device::flex()), &path, KeyNames::Rudolph, &[]).unwrap();
        let error_of = |change: fn(&mut GptConfig)| {
            let mut config = config();
            change(&mut config);
            load(config.init(&Device::flex()), &path, KeyNames::Rudolph).unwrap_err().to_string()
        };
        let deeper = error_of(|config| config.layers = 3);
        assert!(
            deeper.contains("missing: transformer.layers.2.attention.dense.bias")
                && deeper.contains("and 8 more"),
            "{deeper}"
        );
        let shallower = error_of(|config| config.layers = 1);
        assert!(shallower.contains("unexpected: transformer.layers.1."), "{shallower}");
        let wider = error_of(|config| config.text_vocab = 10);
        assert!(wider.contains("text_embeddings.weight is [13, 8], the model wants [14, 8]"), "{wider}");
        let none = load(config().init(&Device::flex()), &dir.path().join("none.bin"), KeyNames::Rudolph);
        assert!(none.unwrap_err().to_string().contains("none.bin"));
        let garbage = dir.path().join("garbage.bin");
        pipeline::atomic::write(&garbage, b"no pickle").unwrap();
        assert!(load(config().init(&Device::flex()), &garbage, KeyNames::Rudolph).is_err());
    }

    #[test]
    fn image_gpt_names_go_both_ways() {
        for (published, ours) in [
            ("transformer.h.3.attn.c_attn.weight", "transformer.layers.3.attention.query_key_value.weight"),
            ("transformer.h.0.mlp.c_proj.bias", "transformer.layers.0.mlp.dense_4h_to_h.bias"),
            ("transformer.ln_f.weight", "transformer.final_layernorm.weight"),
            ("transformer.wte.weight", "image_embeddings.weight"),
            ("lm_head.weight", "to_logits.1.weight"),
        ] {
            assert_eq!(KeyNames::ImageGpt.ours(published).as_deref(), Some(ours));
            assert_eq!(KeyNames::ImageGpt.published(ours), published);
        }
        assert_eq!(KeyNames::ImageGpt.ours("transformer.h.0.attn.bias"), None);
        assert_eq!(KeyNames::Rudolph.ours("transformer.last_conv_mask"), None);
    }
}
