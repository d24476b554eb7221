//! ImageGPT in the layout of Hugging Face transformers: `config.json` and `preprocessor_config.json`.
//!
//! Source: transformers `models/imagegpt` (`ImageGPTConfig`, `ImageGPTImageProcessor`) and the files of
//! `openai/imagegpt-small`.

use std::path::Path;

use pipeline::atomic;
use serde::Deserialize;
use serde_json::{Value, json};
use tokenize::clusters::{Clusters, Colour};

use crate::image_gpt::ImageGptConfig;
use crate::model::ModelConfig;
use crate::{Error, Result};

/// What decides a model's numbers in `config.json`. Keys with a default may be absent.
#[derive(Deserialize)]
struct Config {
    vocab_size: usize,
    n_positions: usize,
    n_embd: usize,
    n_layer: usize,
    n_head: usize,
    n_inner: Option<usize>,
    activation_function: Option<String>,
    layer_norm_epsilon: Option<f64>,
    scale_attn_weights: Option<bool>,
    scale_attn_by_inverse_layer_idx: Option<bool>,
    tie_word_embeddings: Option<bool>,
}

/// The hyper-parameters in a `config.json`. Its dropouts are not taken over: the published training had none.
///
/// # Errors
/// A file of another model, or of an ImageGPT with a part that the published ones lack.
pub(super) fn read(path: &Path) -> Result<ModelConfig> {
    let text = std::fs::read(path).map_err(Error::io(path))?;
    let value: Value = serde_json::from_slice(&text).map_err(|error| Error::weights(path, error))?;
    let kind = value.get("model_type").and_then(Value::as_str).unwrap_or("unknown");
    if kind != "imagegpt" {
        return Err(Error::config(format!("{}: model_type is {kind:?}, not \"imagegpt\"", path.display()))
            .with_hint("for another model say which it is with --model"));
    }
    let config = Config::deserialize(value).map_err(|error| Error::weights(path, error))?;
    let side = config.n_positions.isqrt();
    match fault(&config, side) {
        Some(why) => Err(Error::weights(path, why)),
        None => Ok(ModelConfig::ImageGpt(ImageGptConfig {
            layers: config.n_layer,
            dim: config.n_embd,
            heads: config.n_head,
            grid: side,
            colours: config.vocab_size.saturating_sub(1),
            epsilon: config.layer_norm_epsilon.unwrap_or(1e-5),
            ..ImageGptConfig::default()
        })),
    }
}

/// What makes it another model than the published ones.
fn fault(config: &Config, side: usize) -> Option<String> {
    let activation = config.activation_function.as_deref().unwrap_or("quick_gelu");
    if activation != "quick_gelu" {
        return Some(format!("activation_function is {activation:?}, not \"quick_gelu\""));
    }
    if let Some(inner) = config.n_inner.filter(|inner| *inner != 4 * config.n_embd) {
        return Some(format!("n_inner is {inner}, not 4 times n_embd"));
    }
    if side * side != config.n_positions {
        return Some(format!("n_positions is {}, no square", config.n_positions));
    }
    let flags = [
        ("scale_attn_weights", config.scale_attn_weights, true),
        ("scale_attn_by_inverse_layer_idx", config.scale_attn_by_inverse_layer_idx, false),
        ("tie_word_embeddings", config.tie_word_embeddings, false),
    ];
    let other = flags.iter().find(|(_, stated, usual)| stated.is_some_and(|stated| stated != *usual));
    other.map(|(key, _, usual)| format!("{key} is {}, not {usual}", !usual))
}

/// Writes the two files of a model; `palette` is its colours' file.
pub(super) fn write(config: &ImageGptConfig, palette: Option<&Path>, dir: &Path) -> Result<()> {
    let text = pretty(&json!({
        "architectures": ["ImageGPTForCausalImageModeling"],
        "model_type": "imagegpt",
        "vocab_size": config.colours + 1,
        "n_positions": config.grid * config.grid,
        "n_embd": config.dim,
        "n_layer": config.layers,
        "n_head": config.heads,
        "n_inner": null,
        "activation_function": "quick_gelu",
        "layer_norm_epsilon": config.epsilon,
        "resid_pdrop": config.dropout,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
        "initializer_range": 0.02,
        "scale_attn_weights": true,
        "scale_attn_by_inverse_layer_idx": false,
        "reorder_and_upcast_attn": false,
        "tie_word_embeddings": false,
        "use_cache": true,
    }));
    atomic::write(dir.join("config.json"), text)?;
    let Some(palette) = palette else { return Ok(()) };
    let path = dir.join("preprocessor_config.json");
    // The published file goes out as it came in.
    if palette.extension().is_some_and(|ending| ending == "json") {
        let bytes = std::fs::read(palette).map_err(Error::io(palette))?;
        return Ok(atomic::write(path, bytes)?);
    }
    Ok(atomic::write(path, pretty(&processor(Clusters::open(palette)?.colours(), config.grid)))?)
}

/// `preprocessor_config.json`.
fn processor(colours: &[Colour], side: usize) -> Value {
    json!({
        "image_processor_type": "ImageGPTImageProcessor",
        "clusters": colours,
        "do_color_quantize": true,
        "do_normalize": true,
        "do_resize": true,
        "resample": 2,
        "size": {"height": side, "width": side},
    })
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_with(change: impl Fn(&mut Value)) -> Result<ModelConfig> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        write(
            &ImageGptConfig { layers: 3, colours: 16, epsilon: 1e-6, ..ImageGptConfig::default() },
            None,
            dir.path(),
        )
        .unwrap();
        let mut value: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut value);
        atomic::write(&path, value.to_string()).unwrap();
        read(&path)
    }

    #[test]
    fn a_config_comes_back_and_another_model_is_refused_by_its_key() {
        let config = read_with(|_| ()).unwrap();
        let ModelConfig::ImageGpt(config) = config else { panic!("{config:?}") };
        assert_eq!((config.layers, config.colours, config.grid, config.epsilon), (3, 16, 32, 1e-6));
        let fault = |key: &str, value: Value| {
            read_with(|config| config[key] = value.clone()).unwrap_err().to_string()
        };
        assert!(fault("model_type", json!("gpt2")).contains("model_type is \"gpt2\""));
        assert!(fault("n_inner", json!(7)).contains("n_inner is 7"));
        assert!(fault("n_positions", json!(7)).contains("n_positions is 7, no square"));
        assert!(fault("tie_word_embeddings", json!(true)).contains("tie_word_embeddings is true, not false"));
        assert!(fault("n_layer", json!(null)).contains("config.json: "));
    }
}
