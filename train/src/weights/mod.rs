//! Weights in and out under the key names of the published checkpoints.
//!
//! | file | what it holds |
//! |---|---|
//! | `names` | whose key names |
//! | `parameter`, `misfit` | which keys and shapes a model wants, and how a file differs from that |
//! | `read` | a model filled from safetensors or `torch.save`, in f16, bf16, f32 or f64 |
//! | `write` | safetensors from a model or from another checkpoint |
//!
//! Linear weights lie as `[out, in]` in the files and as `[in, out]` in memory. Sources: `models.md` §1c (ruDALL·E,
//! RuDOLPH), §4c (ImageGPT at Hugging Face).

mod misfit;
mod names;
mod parameter;
mod read;
mod write;

pub use misfit::Misfit;
pub use names::KeyNames;
pub use parameter::{Parameter, parameters};
pub(crate) use read::fill;
pub use read::{fitted, load};
pub(crate) use write::{Entry, write};
pub use write::{Precision, copy, save, save_as};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpt::GptConfig;
    use burn::module::{Module, ModuleVisitor, Param};
    use burn::tensor::{Device, Tensor};

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
    fn a_file_written_in_parts_is_the_file_that_the_formats_library_writes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w.safetensors");
        save(&config().init(&Device::flex()), &path, KeyNames::Rudolph, &[("format", "pt")]).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let about = [("format".to_owned(), "pt".to_owned())].into_iter().collect();
        assert_eq!(safetensors::serialize(file.tensors(), Some(about)).unwrap(), bytes);
    }

    #[test]
    fn what_a_model_wants_is_found_without_a_number() {
        struct Initialized(Vec<bool>);
        impl ModuleVisitor for Initialized {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                if D == 2 {
                    self.0.push(param.is_initialized());
                }
            }
        }
        let model = config().init(&Device::flex());
        let wanted = parameters(&model, KeyNames::Rudolph);
        let matrices = wanted.iter().filter(|one| one.shape.len() == 2).count();
        let mut initialized = Initialized(Vec::new());
        model.visit(&mut initialized);
        assert_eq!(initialized.0, vec![false; matrices]);
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
}
