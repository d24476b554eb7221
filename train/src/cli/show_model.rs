//! `train show MODEL`: what a model folder holds.

use std::path::Path;

use pipeline::cli::print;

use crate::Result;
use crate::bundle;
use crate::model::ModelConfig;
use crate::presets;
use crate::weights::Parameter;

/// Prints its kind, its size, what lies beside the weights, and its hyper-parameters.
pub(super) fn show(folder: &Path, json: bool) -> Result<()> {
    let config = ModelConfig::read(&bundle::config_in(folder))?;
    let parameters: usize = presets::wanted(&config).iter().map(Parameter::elements).sum();
    let (codec, bpe) = bundle::parts_in(folder);
    let [codec, bpe] = [codec, bpe].map(|path| Some(path?.file_name()?.to_string_lossy().into_owned()));
    let (kind, hyper_parameters) = (config.kind().name(), config.to_toml()?);
    if json {
        let config: toml::Table =
            toml::from_str(&hyper_parameters).map_err(|error| crate::Error::config(error.to_string()))?;
        let record = serde_json::json!({
            "type": "model", "version": 1, "folder": folder.display().to_string(), "kind": kind,
            "parameters": parameters, "codec": codec, "bpe": bpe, "config": config,
        });
        return Ok(print(&record.to_string())?);
    }
    let part = |name: Option<String>, flag: &str| name.unwrap_or(format!("none (train convert {flag})"));
    let rows = [
        ("parameters", parameters.to_string()),
        ("codec", part(codec, "--codec")),
        ("vocabulary", part(bpe, "--bpe")),
    ];
    print(&folder.display().to_string())?;
    for (name, value) in rows {
        print(&format!("{name:>12}  {value}"))?;
    }
    Ok(print(&format!("\n{}", hyper_parameters.trim_end()))?)
}
