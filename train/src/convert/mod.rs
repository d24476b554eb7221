//! Published checkpoints become model folders, and model folders become published checkpoints.
//!
//! `source` finds out what a checkpoint is, `hugging_face` reads and writes the layout of transformers, `export` is the
//! way out. Weights are copied tensor by tensor, bit by bit where the format stays: no model is built for it, and a
//! checkpoint of any size needs the memory of its largest tensor.

mod export;
mod hugging_face;
mod source;

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use tokenize::bpe::Bpe;
use tokenize::codec::Codec;

use crate::bundle;
use crate::model::{ModelConfig, ModelKind};
use crate::presets;
use crate::weights::{self, Parameter, Precision};
use crate::{Error, Result};
pub use export::{Export, FileLayout, export};
pub use source::Source;

/// What is made of a checkpoint.
#[derive(Clone, Debug, Default)]
pub struct Conversion {
    /// Weights files of one model, or a folder.
    pub sources: Vec<PathBuf>,
    /// A preset or a TOML file; without it the shapes must tell.
    pub model: Option<String>,
    /// The image codec or palette.
    pub codec: Option<PathBuf>,
    /// The vocabulary.
    pub bpe: Option<PathBuf>,
    /// Texts keep their upper case; the published models' are lower-cased.
    pub keep_case: bool,
    /// How numbers are stored; without it as they are.
    pub precision: Option<Precision>,
    /// The model folder.
    pub out: PathBuf,
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Converted {
    /// The hyper-parameters.
    pub config: ModelConfig,
    /// How they were found.
    pub found: String,
    /// Numbers in the model.
    pub parameters: usize,
    /// How they are stored, narrowest last.
    pub precisions: Vec<Precision>,
    /// What the folder lacks, or what is unusual about it.
    pub notes: Vec<String>,
}

/// Makes a model folder, with which every other command works.
///
/// # Errors
/// A source that is no checkpoint or of an unknown model; keys or shapes that are not the model's; a codec or vocabulary
/// of another size; an `out` that holds a model already.
pub fn convert(wish: &Conversion) -> Result<Converted> {
    let out = &wish.out;
    if bundle::is_model(out) {
        return Err(Error::config(format!("--out: {} holds a model already", out.display()))
            .with_hint("give another folder, or remove that one"));
    }
    let source = Source::open(&wish.sources, wish.model.as_deref())?;
    source.config.validate()?;
    let wanted = presets::wanted(&source.config);
    let file = weights::fitted(source.file, &wanted, source.config.names())?;
    let mut notes = Vec::new();
    let codec = codec(wish.codec.as_deref().or(source.codec.as_deref()), &source.config, &mut notes)?;
    let bpe = vocabulary(wish, source.bpe.as_deref(), &source.config, &mut notes)?;
    weights::copy(&file, &wanted, &bundle::weights_in(out), wish.precision, &[])?;
    let words = bpe.as_ref().map(|(bpe, path)| (bpe, path.as_path()));
    bundle::save_beside_weights(&source.config, codec.as_ref(), words, out)?;
    let stored = |one: &Parameter| Some(Precision::of(file.dtype(&one.key)?));
    let mut precisions: Vec<Precision> = match wish.precision {
        Some(precision) => vec![precision],
        None => wanted.iter().filter_map(stored).collect(),
    };
    precisions.sort_by_key(|precision| precision.name());
    precisions.dedup();
    let parameters = wanted.iter().map(Parameter::elements).sum();
    Ok(Converted { config: source.config, found: source.found, parameters, precisions, notes })
}

/// The codec, if it has as many codes as the model.
fn codec(path: Option<&Path>, config: &ModelConfig, notes: &mut Vec<String>) -> Result<Option<Codec>> {
    let flag = if config.kind() == ModelKind::ImageGpt { "--clusters" } else { "--codec" };
    let Some(path) = path else {
        notes.push(format!("no codec: to draw, convert again with {flag}"));
        return Ok(None);
    };
    let codec = Codec::load(path, &Device::flex())?;
    let (codes, wanted) = (codec.codebook_size(), config.gpt().image_vocab);
    if codes != wanted {
        let why = format!("{flag}: {} has {codes} codes, the model wants {wanted}", path.display());
        return Err(Error::config(why).with_hint("give the codec that the model was trained with"));
    }
    Ok(Some(codec))
}

/// The vocabulary of a model with text, and the file that it is from.
fn vocabulary(
    wish: &Conversion,
    found: Option<&Path>,
    config: &ModelConfig,
    notes: &mut Vec<String>,
) -> Result<Option<(Bpe, PathBuf)>> {
    let gpt = config.gpt();
    if gpt.total_text() == 0 {
        return match &wish.bpe {
            Some(path) => Err(Error::config(format!("--bpe: {}: the model has no text", path.display()))),
            None => Ok(None),
        };
    }
    let Some(path) = wish.bpe.as_deref().or(found) else {
        notes.push("no vocabulary: to draw, convert again with --bpe".to_owned());
        return Ok(None);
    };
    let bpe = match &wish.bpe {
        Some(path) => Bpe::load(path)?.with_lowercase(!wish.keep_case),
        None => bundle::vocabulary_in(path.parent().unwrap_or(Path::new("")))?,
    };
    let (ids, wanted) = (bpe.vocab_size(), gpt.text_vocab);
    if ids > wanted {
        let why = format!("--bpe: {} has {ids} ids, the model wants {wanted}", path.display());
        return Err(Error::config(why).with_hint("give the vocabulary that the model was trained with"));
    }
    if ids < wanted {
        notes.push(format!("the vocabulary has {ids} ids, the model has room for {wanted}"));
    }
    Ok(Some((bpe, path.to_owned())))
}

#[cfg(test)]
pub(crate) mod tests;
