//! A model as other programs read it.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use pipeline::atomic;
use serde::{Deserialize, Serialize};
use tokenize::checkpoint::Checkpoint;

use super::hugging_face;
use crate::bundle::{self, Bundle};
use crate::draw::Draws;
use crate::model::{ModelConfig, TokenModel};
use crate::presets;
use crate::weights::{self, Parameter, Precision};
use crate::{Error, Result};

/// What transformers wants to read in a safetensors file before it takes it.
const ABOUT: [(&str, &str); 1] = [("format", "pt")];
/// The weights in a folder, as transformers and [`Checkpoint::open`] look for them.
const WEIGHTS: &str = "model.safetensors";

/// Which files a model is exported as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum FileLayout {
    /// Weights under the published key names, with their configuration as TOML.
    #[default]
    Published,
    /// A folder for transformers' `from_pretrained`: ImageGPT alone has a class there.
    #[value(name = "huggingface")]
    HuggingFace,
}

/// What is exported, and how.
#[derive(Clone, Debug)]
pub struct Export {
    /// A run folder or a model folder.
    pub source: PathBuf,
    /// A folder, or a file that ends in `.safetensors`.
    pub out: PathBuf,
    /// Which files.
    pub layout: FileLayout,
    /// How numbers are stored; without it as they are.
    pub precision: Option<Precision>,
}

/// Writes a model's weights and configuration; gives the configuration and the number of parameters.
///
/// # Errors
/// No model in the source, a layout that its kind does not have, or a number too large for the precision.
pub fn export(wish: &Export) -> Result<(ModelConfig, usize)> {
    let single = wish.out.extension().is_some_and(|ending| ending == "safetensors");
    let file = if single { wish.out.clone() } else { wish.out.join(WEIGHTS) };
    let Some(folder) = bundle::model_in(&wish.source) else { return export_unfinished(wish, single, &file) };
    let config = ModelConfig::read(&bundle::config_in(&folder))?;
    check(wish, &config, single)?;
    let wanted = presets::wanted(&config);
    let source = Checkpoint::open_unhashed(&bundle::weights_in(&folder))?;
    let source = weights::fitted(source, &wanted, config.names())?;
    weights::copy(&source, &wanted, &file, wish.precision, &ABOUT)?;
    describe(wish, &config, bundle::parts_in(&folder).0.as_deref(), single)?;
    let parameters = wanted.iter().map(Parameter::elements).sum();
    Ok((config, parameters))
}

/// The newest checkpoint of a run that has no finished model.
fn export_unfinished(wish: &Export, single: bool, file: &Path) -> Result<(ModelConfig, usize)> {
    let opened = Bundle::open(&wish.source, &Device::flex())?;
    let config = opened.model.config_of();
    check(wish, &config, single)?;
    let (gpt, names) = (opened.model.gpt(), config.names());
    weights::save_as(gpt, file, names, &ABOUT, wish.precision.unwrap_or_default())?;
    describe(wish, &config, Some(opened.codec.path()), single)?;
    let parameters = presets::wanted(&config).iter().map(Parameter::elements).sum();
    Ok((config, parameters))
}

fn check(wish: &Export, config: &ModelConfig, single: bool) -> Result<()> {
    if wish.layout == FileLayout::Published {
        return Ok(());
    }
    if single {
        return Err(Error::config("--out: the layout of Hugging Face is a folder, not a file"));
    }
    match config {
        ModelConfig::ImageGpt(_) => Ok(()),
        other => Err(Error::config(format!(
            "--layout huggingface: transformers has no class for a model of kind {}",
            other.kind().name()
        ))
        .with_hint("without --layout the weights have the names of the authors' own programs")),
    }
}

/// The configuration beside the weights.
fn describe(wish: &Export, config: &ModelConfig, palette: Option<&Path>, single: bool) -> Result<()> {
    if let (FileLayout::HuggingFace, ModelConfig::ImageGpt(config)) = (wish.layout, config) {
        let palette = palette.map(palette_file);
        return hugging_face::write(config, palette.as_deref(), &wish.out);
    }
    let path = if single { wish.out.with_extension("toml") } else { bundle::config_in(&wish.out) };
    Ok(atomic::write(path, config.to_toml()?)?)
}

/// The file in a folder that holds the palette.
fn palette_file(path: &Path) -> PathBuf {
    tokenize::clusters::Clusters::find(path).unwrap_or_else(|| path.to_owned())
}
