//! A bundle on disk: `model/` of a run folder.
//!
//! It holds `weights.safetensors` under published key names with `model.toml`, the codec as `codec.*` in the container
//! that the run was given (a folder `codec` if it has several files) with its configuration, and the vocabulary as `bpe.*`
//! with `bpe.toml`. It can be moved and copied as a whole.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use pipeline::{atomic, settings};
use tokenize::bpe::Bpe;
use tokenize::codec::Codec;

use super::{Bundle, words};
use crate::average;
use crate::dalle::DalleConfig;
use crate::image_gpt_task::ImageGptTask;
use crate::model::{Model, ModelConfig, TokenModel};
use crate::rudolph::RudolphConfig;
use crate::run::{Checkpoints, Folder, Kind, load_module};
use crate::token_task::{TextImage, TextImageConfig, TokenTask};
use crate::{Error, Result};

const CONFIG: &str = "model.toml";
const WEIGHTS: &str = "weights.safetensors";
/// Without its extension, by which a codec's reader is chosen.
const CODEC: &str = "codec";

/// Where a bundle's vocabulary comes from; the codec knows its own files.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The vocabulary, if there is one.
    pub bpe: Option<PathBuf>,
}

impl Bundle {
    /// Opens a finished model's folder, a run folder with one, or a run folder that has only checkpoints yet (the
    /// newest one then).
    ///
    /// # Errors
    /// None of these, or a file in it that does not fit.
    pub fn open(path: &Path, device: &Device) -> Result<Self> {
        if let Some(dir) = model_in(path) {
            return Self::open_model(&dir, device);
        }
        if Folder::config_of(path).is_file() {
            return Self::open_checkpoint(path, device);
        }
        std::fs::metadata(path).map_err(Error::io(path))?;
        Err(Error::config(format!("{}: neither a run folder nor a model folder", path.display()))
            .with_hint("give the folder that a configuration names as `run.out`"))
    }

    fn open_model(dir: &Path, device: &Device) -> Result<Self> {
        let config = ModelConfig::read(&dir.join(CONFIG))?;
        let has_text = config.gpt().total_text() > 0;
        Ok(Self {
            model: config.load(&dir.join(WEIGHTS), device)?,
            codec: Codec::load(&codec_in(dir)?, device)?,
            bpe: has_text.then(|| words::open(dir)).transpose()?,
        })
    }

    fn open_checkpoint(run: &Path, device: &Device) -> Result<Self> {
        let path = Folder::config_of(run);
        match Kind::of(&path)? {
            Kind::Rudolph => Self::from_checkpoint::<RudolphConfig>(run, device),
            Kind::Dalle => Self::from_checkpoint::<DalleConfig>(run, device),
            Kind::ImageGpt => {
                let task: ImageGptTask = settings::load(Some(&path), &[])?;
                let weights = average::weights_in(&newest_checkpoint(run)?, WEIGHTS);
                Ok(Self {
                    model: Model::ImageGpt(load_module(task.model.init(device), &weights)?),
                    codec: Codec::load(&task.data.codec, device)?,
                    bpe: None,
                })
            }
            Kind::Vqgan => Err(Error::config(format!("{}: a run of kind vqgan, a codec", run.display()))
                .with_hint("`train export` writes it to a file, `tokenize` uses it")),
        }
    }

    fn from_checkpoint<C: TextImageConfig>(run: &Path, device: &Device) -> Result<Self> {
        let task: TokenTask<C> = settings::load(Some(&Folder::config_of(run)), &[])?;
        let checkpoint = newest_checkpoint(run)?;
        let bpe = Bpe::load(&task.data.bpe)?;
        let model = load_module(task.model.new_model(device), &average::weights_in(&checkpoint, WEIGHTS))?;
        Ok(Self {
            model: model.into_any(),
            codec: Codec::load(&task.data.codec, device)?,
            bpe: Some(words::with_settings(bpe, &checkpoint)?),
        })
    }
}

/// Configuration and weights in a finished model's folder, or in a run folder with one.
pub(crate) fn model_files(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let dirs = [path.to_owned(), path.join("model")];
    let dir = dirs.into_iter().find(|dir| dir.join(CONFIG).is_file())?;
    Some((dir.join(CONFIG), dir.join(WEIGHTS)))
}

/// The last checkpoint of a run that has no finished model yet.
fn newest_checkpoint(run: &Path) -> Result<PathBuf> {
    match Checkpoints::list_in(&run.join("checkpoints"))?.pop() {
        Some((_, checkpoint)) => Ok(checkpoint),
        None => Err(Error::config(format!("{}: no model and no checkpoint yet", run.display()))
            .with_hint(format!("continue it with `train resume {}`", run.display()))),
    }
}

impl<M: TokenModel> Bundle<M> {
    /// Writes the model's folder, with the codec and the vocabulary from the files that they were loaded from.
    ///
    /// # Errors
    /// A file cannot be read or written, or is no longer what was loaded: the model knows nothing of another codec.
    pub fn save(&self, sources: &Sources, dir: &Path) -> Result<()> {
        self.save_with(&self.model, sources, dir)
    }

    /// The same with other weights, as of a run that keeps their mean.
    ///
    /// # Errors
    /// As for [`Bundle::save`].
    pub fn save_with(&self, model: &M, sources: &Sources, dir: &Path) -> Result<()> {
        model.save_to(&dir.join(WEIGHTS))?;
        let words = self.bpe.as_ref().zip(sources.bpe.as_deref());
        save_beside_weights(&model.config_of(), Some(&self.codec), words, dir)
    }
}

/// Writes what lies beside the weights; the configuration last, as it makes the folder a model's.
pub(crate) fn save_beside_weights(
    config: &ModelConfig,
    codec: Option<&Codec>,
    words: Option<(&Bpe, &Path)>,
    dir: &Path,
) -> Result<()> {
    codec.map_or(Ok(()), |codec| codec.save_to(dir))?;
    words.map_or(Ok(()), |(bpe, source)| words::save(bpe, source, dir))?;
    Ok(atomic::write(dir.join(CONFIG), config.to_toml()?)?)
}

/// The configuration in a model's folder.
pub(crate) fn config_in(dir: &Path) -> PathBuf {
    dir.join(CONFIG)
}

/// The weights in a model's folder.
pub(crate) fn weights_in(dir: &Path) -> PathBuf {
    dir.join(WEIGHTS)
}

/// Whether a folder is a model's.
pub(crate) fn is_model(dir: &Path) -> bool {
    config_in(dir).is_file()
}

/// The folder of the finished model: `path`, or `model` in a run folder.
pub(crate) fn model_in(path: &Path) -> Option<PathBuf> {
    [path.to_owned(), path.join("model")].into_iter().find(|dir| is_model(dir))
}

/// The codec and the vocabulary in a model's folder, as far as it has them.
pub(crate) fn parts_in(dir: &Path) -> (Option<PathBuf>, Option<PathBuf>) {
    (codec_in(dir).ok(), words::file_in(dir).ok())
}

/// The codec in a model's folder: the one file or folder called `codec` that is not its configuration.
fn codec_in(dir: &Path) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(Error::io(dir))? {
        let path = entry.map_err(Error::io(dir))?.path();
        let named = path.file_stem().is_some_and(|stem| stem == CODEC);
        if named && path.extension().is_none_or(|ending| ending != "toml" && ending != "yaml") {
            found.push(path);
        }
    }
    found.sort();
    match found.as_slice() {
        [codec] => Ok(codec.clone()),
        [] => Err(Error::data(dir, "no file `codec.*`: the codec's weights are missing")
            .with_hint("make the folder again with `train convert --codec FILE`")),
        several => {
            let names = several.iter().filter_map(|path| Some(path.file_name()?.to_string_lossy()));
            let names = names.collect::<Vec<_>>().join(", ");
            Err(Error::weights(dir, format!("{names}: which of them is the codec? Only one may be here")))
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use tokenize::vqgan::VqGanConfig;

    use super::*;
    use crate::bundle::Sampling;
    use crate::rudolph::Rudolph;
    use crate::rudolph::tests::{model, tiny};
    use crate::sampling::SamplingConfig;

    /// A bundle whose codec is a checkpoint of taming's, and the files that it was made from.
    pub(crate) fn bundle(dir: &Path) -> (Bundle<Rudolph>, Sources) {
        let golden =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../tokenize/tests/golden/vqgan-f16/model.ckpt");
        let shape = VqGanConfig {
            ch: 32,
            ch_mult: vec![1, 1, 1, 1, 2],
            num_res_blocks: 1,
            z_channels: 24,
            embed_dim: 32,
            n_embed: 128,
            ..VqGanConfig::default()
        };
        let (words, codec) = (dir.join("words.json"), dir.join("taming.ckpt"));
        std::fs::copy(golden, &codec).unwrap();
        atomic::write(codec.with_extension("toml"), settings::to_toml(&shape).unwrap()).unwrap();
        Bpe::train(["red cat", "blue dog"].iter(), 40).unwrap().save(&words).unwrap();
        let config = RudolphConfig { grid: 2, text_vocab: 40, image_vocab: 128, image_special: 0, ..tiny() };
        let bundle = Bundle {
            model: model(&config),
            codec: Codec::load(&codec, &Device::flex()).unwrap(),
            bpe: Some(Bpe::load(&words).unwrap()),
        };
        (bundle, Sources { bpe: Some(words) })
    }

    fn saved(dir: &Path) -> PathBuf {
        let (bundle, sources) = bundle(dir);
        let folder = dir.join("model");
        std::fs::create_dir_all(&folder).unwrap();
        bundle.save(&sources, &folder).unwrap();
        folder
    }

    #[test]
    fn a_codec_keeps_its_published_container_and_the_folder_draws() {
        let dir = tempfile::tempdir().unwrap();
        let folder = saved(dir.path());
        assert!(folder.join("codec.ckpt").is_file() && folder.join("codec.toml").is_file());
        let opened = Bundle::open(&folder, &Device::flex()).unwrap();
        let how = Sampling { config: SamplingConfig::default(), batch: 2 };
        let pictures = opened.draw(&["red cat".to_owned()], 3, &how).unwrap();
        let sides: Vec<_> = pictures.iter().map(|picture| (picture.width(), picture.height())).collect();
        assert_eq!(sides, [(32, 32); 3]);
    }

    #[test]
    fn a_codec_that_changed_since_it_was_loaded_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (bundle, sources) = bundle(dir.path());
        atomic::write(bundle.codec.path(), "another").unwrap();
        let error = bundle.save(&sources, &dir.path().join("model")).unwrap_err().to_string();
        assert!(error.contains("taming.ckpt: changed since it was loaded"), "{error}");
        assert!(error.contains("put the old file back"), "{error}");
    }

    #[test]
    fn a_folder_has_exactly_one_codec() {
        let dir = tempfile::tempdir().unwrap();
        let folder = saved(dir.path());
        atomic::write(folder.join("codec.safetensors"), "another").unwrap();
        let error = codec_in(&folder).unwrap_err().to_string();
        assert!(error.contains("codec.ckpt, codec.safetensors: which of them"), "{error}");
        for name in ["codec.ckpt", "codec.safetensors"] {
            std::fs::remove_file(folder.join(name)).unwrap();
        }
        let error = codec_in(&folder).unwrap_err().to_string();
        assert!(error.ends_with("the codec's weights are missing"), "{error}");
    }
}
