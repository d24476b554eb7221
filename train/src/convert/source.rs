//! What a checkpoint is: by a name that the user gives, by a configuration beside it, or by its keys and shapes.

use std::path::{Path, PathBuf};

use tokenize::checkpoint::Checkpoint;
use tokenize::clusters::Clusters;

use super::hugging_face;
use crate::bundle;
use crate::dalle::DalleConfig;
use crate::model::ModelConfig;
use crate::presets::{self, Preset};
use crate::weights::KeyNames;
use crate::{Error, Result};

/// A checkpoint with its model.
#[derive(Debug)]
pub struct Source {
    /// The tensors, unread.
    pub file: Checkpoint,
    /// The model's hyper-parameters.
    pub config: ModelConfig,
    /// How they were found.
    pub found: String,
    /// The codec or palette beside the weights.
    pub codec: Option<PathBuf>,
    /// The vocabulary beside the weights.
    pub bpe: Option<PathBuf>,
}

impl Source {
    /// Opens the weights files of one model, or a folder: of this program's, or of Hugging Face's layout.
    ///
    /// # Errors
    /// No checkpoint, or one of which nothing says what it is.
    pub fn open(paths: &[PathBuf], model: Option<&str>) -> Result<Self> {
        let file = match paths {
            [] => return Err(Error::config("no checkpoint to convert")),
            [dir] if bundle::is_model(dir) && bundle::weights_in(dir).is_file() => {
                Checkpoint::open_unhashed(&bundle::weights_in(dir))?
            }
            [single] => Checkpoint::open_unhashed(single)?,
            several => {
                let parts = several.iter().map(|path| Ok(("", Checkpoint::open_unhashed(path)?)));
                Checkpoint::joined(&several[0], parts.collect::<Result<Vec<_>>>()?)
            }
        };
        let first = paths[0].as_path();
        let (config, found) = match (model, Stated::of(first, &file)?) {
            (Some(name), _) => (presets::named(name)?, format!("as --model {name} says")),
            (None, Some(Stated::Own(toml))) => (ModelConfig::read(&toml)?, says(&toml)),
            (None, Some(Stated::Hparams)) => {
                let config = DalleConfig::from_dalle_pytorch(&file)?;
                (ModelConfig::Dalle(config), "as its own hparams say".to_owned())
            }
            (None, Some(Stated::HuggingFace(json))) => (hugging_face::read(&json)?, says(&json)),
            (None, None) => guess(&file, first)?,
        };
        let file = match &config {
            ModelConfig::Dalle(config) => config.without_seconds(file),
            ModelConfig::Rudolph(_) | ModelConfig::ImageGpt(_) => file,
        };
        let (codec, bpe) = beside(first);
        Ok(Self { file, config, found, codec, bpe })
    }
}

fn says(path: &Path) -> String {
    format!("as {} says", path.display())
}

/// The codec and the vocabulary in a folder.
fn beside(path: &Path) -> (Option<PathBuf>, Option<PathBuf>) {
    if !path.is_dir() {
        return (None, None);
    }
    if bundle::is_model(path) {
        return bundle::parts_in(path);
    }
    (Clusters::find(path), None)
}

/// A configuration beside the weights, or among them.
enum Stated {
    /// `model.toml`, or a file's own name with `.toml`.
    Own(PathBuf),
    /// What `train_dalle.py` of DALLE-pytorch saves with the weights.
    Hparams,
    /// `config.json`.
    HuggingFace(PathBuf),
}

impl Stated {
    fn of(path: &Path, file: &Checkpoint) -> Result<Option<Self>> {
        let own = if path.is_dir() { bundle::config_in(path) } else { path.with_extension("toml") };
        let json = if path.is_dir() { path.join("config.json") } else { path.with_file_name("config.json") };
        Ok(if own.is_file() {
            Some(Self::Own(own))
        } else if path.is_file() && file.plain("hparams")?.is_some() {
            Some(Self::Hparams)
        } else if json.is_file() {
            Some(Self::HuggingFace(json))
        } else {
            None
        })
    }
}

/// The preset that the keys and shapes fit.
fn guess(file: &Checkpoint, path: &Path) -> Result<(ModelConfig, String)> {
    let unknown = |why: String, cure: &str| Err(Error::config(why).with_hint(cure));
    let Some(names) = KeyNames::of(&file.keys().collect::<Vec<_>>()) else {
        let first: Vec<&str> = file.keys().take(3).collect();
        let why =
            format!("{}: keys of no model that is known here ({}, …)", path.display(), first.join(", "));
        return unknown(why, "known are RuDOLPH, ruDALL-E, DALLE-pytorch and ImageGPT of Hugging Face");
    };
    // A trainer's prefix is cut off before shapes are compared.
    let head = names.published("to_logits.1.weight");
    let file = file.below(&head).unwrap_or_else(|| file.clone());
    let fitting = presets::fitting(&file, names);
    match choose(&fitting, path) {
        Some((preset, config)) => {
            Ok((config.clone(), format!("preset {}, by its keys and shapes", preset.name)))
        }
        None if fitting.is_empty() => {
            let width = file.shape(&head).and_then(|shape| shape.get(1).copied()).unwrap_or_default();
            let layers = presets::layers(&file, names);
            let why = format!(
                "{}: a {} with {layers} layers of width {width}, the size of no preset",
                path.display(),
                names.model()
            );
            unknown(why, "describe it in a TOML file as in configs/models, and give that with --model")
        }
        None => {
            let names: Vec<&str> = fitting.iter().map(|(preset, _)| preset.name).collect();
            let why = format!(
                "{}: it fits {}, which differ in what no shape tells",
                path.display(),
                names.join(", ")
            );
            unknown(why, "say which it is with --model")
        }
    }
}

/// The one that is meant: the only one, one of several that are the same, or the one that the file's or its folder's name
/// speaks of.
fn choose<'a>(fitting: &'a [(Preset, ModelConfig)], path: &Path) -> Option<&'a (Preset, ModelConfig)> {
    let names = [path.parent().and_then(Path::file_name), path.file_name()];
    let told = names.map(|name| name.unwrap_or_default().to_string_lossy().to_lowercase()).join("/");
    let words: Vec<&str> = told.split(|letter: char| !letter.is_alphanumeric()).collect();
    let spoken = |(preset, _): &&(Preset, ModelConfig)| {
        preset.name.rsplit('-').next().is_some_and(|variant| words.contains(&variant))
    };
    let of: Vec<_> = fitting.iter().filter(spoken).collect();
    let of = if of.is_empty() { fitting.iter().collect() } else { of };
    let first = of.first().copied()?;
    of.iter().all(|(_, config)| *config == first.1).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_models_with_the_same_shapes_the_name_decides() {
        let of = |names: &[&str]| -> Vec<(Preset, ModelConfig)> {
            let with = |preset: &Preset| (*preset, preset.config().unwrap());
            presets::PRESETS.iter().filter(|preset| names.contains(&preset.name)).map(with).collect()
        };
        let malevich =
            of(&["rudalle-malevich-v2", "rudalle-malevich-v3", "rudalle-emojich", "rudalle-surrealist"]);
        let chosen = |path: &str| choose(&malevich, Path::new(path)).map(|(preset, _)| preset.name);
        assert_eq!(chosen("hub/pytorch_model_v3.bin"), Some("rudalle-malevich-v3"));
        assert_eq!(chosen("rudalle-Emojich/pytorch_model.bin"), Some("rudalle-emojich"));
        assert_eq!(chosen("pytorch_model.bin"), None);
        let large = of(&["rudolph-2.7b", "rudolph-2.7b-fbc2"]);
        assert_eq!(choose(&large, Path::new("pytorch_model.bin")).unwrap().0.name, "rudolph-2.7b");
        assert!(choose(&[], Path::new("pytorch_model.bin")).is_none());
    }
}
