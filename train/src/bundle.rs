//! A model with everything that it needs to draw and to caption: its codec and its vocabulary.
//!
//! `model/` of a run folder is one on disk: `weights.safetensors` under published key names, `model.toml`,
//! `codec.safetensors` with `codec.toml`, `bpe.json`. It can be moved and copied as a whole.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use pipeline::picture::Picture;
use pipeline::settings;
use tokenize::bpe::Bpe;
use tokenize::codec::Codec;

use crate::caption::{Captioning, Templates, caption};
use crate::draw::{Drawing, draw};
use crate::rudolph::{Rudolph, RudolphConfig};
use crate::rudolph_task::RudolphTask;
pub use crate::run::png;
use crate::run::{Checkpoints, Folder, load_module};
use crate::sampling::SamplingConfig;
use crate::{Error, Result};

const CONFIG: &str = "model.toml";
const WEIGHTS: &str = "weights.safetensors";
const CODEC: &str = "codec.safetensors";
const BPE: &str = "bpe.json";

/// A model with its codec and its vocabulary.
pub struct Bundle {
    /// The transformer.
    pub model: Rudolph,
    /// Codes and pictures.
    pub codec: Codec,
    /// Ids and words.
    pub bpe: Bpe,
}

/// Where a bundle's codec and vocabulary come from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The codec's weights; its configuration lies beside them or inside.
    pub codec: PathBuf,
    /// The vocabulary.
    pub bpe: PathBuf,
}

impl Bundle {
    /// Opens a finished model's folder, a run folder with one, or a run folder that has only checkpoints yet (the
    /// newest one then).
    ///
    /// # Errors
    /// None of these, or a file in it that does not fit.
    pub fn open(path: &Path, device: &Device) -> Result<Self> {
        for dir in [path.to_owned(), path.join("model")] {
            if dir.join(CONFIG).is_file() {
                return Self::open_model(&dir, device);
            }
        }
        if Folder::config_of(path).is_file() {
            return Self::open_checkpoint(path, device);
        }
        std::fs::metadata(path).map_err(Error::io(path))?;
        Err(Error::config(format!("{}: neither a run folder nor a model folder", path.display()))
            .with_hint("give the folder that a configuration names as `run.out`"))
    }

    fn open_model(dir: &Path, device: &Device) -> Result<Self> {
        let config: RudolphConfig = settings::load(Some(&dir.join(CONFIG)), &[])?;
        Ok(Self {
            model: Rudolph::load(&config, &dir.join(WEIGHTS), device)?,
            codec: Codec::load(&dir.join(CODEC), device)?,
            bpe: Bpe::load(dir.join(BPE))?,
        })
    }

    fn open_checkpoint(run: &Path, device: &Device) -> Result<Self> {
        let task: RudolphTask = settings::load(Some(&Folder::config_of(run)), &[])?;
        let Some((_, checkpoint)) = Checkpoints::list_in(&run.join("checkpoints"))?.pop() else {
            return Err(Error::config(format!("{}: no model and no checkpoint yet", run.display()))
                .with_hint(format!("continue it with `train resume {}`", run.display())));
        };
        Ok(Self {
            model: load_module(task.model.init(device), &checkpoint.join(WEIGHTS))?,
            codec: Codec::load(&task.data.codec, device)?,
            bpe: Bpe::load(&task.data.bpe)?,
        })
    }

    /// Writes a model's folder.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn save(model: &Rudolph, sources: &Sources, dir: &Path) -> Result<()> {
        model.save(&dir.join(WEIGHTS))?;
        pipeline::atomic::write(dir.join(CONFIG), settings::to_toml(model.config())?)?;
        copy(&sources.codec, &dir.join(CODEC))?;
        let config = sources.codec.with_extension("toml");
        if config.is_file() {
            copy(&config, &dir.join(CODEC).with_extension("toml"))?;
        }
        copy(&sources.bpe, &dir.join(BPE))
    }

    /// Draws `count` pictures for each prompt: all of the first prompt, then of the second.
    ///
    /// # Errors
    /// A sampling setting that is not valid.
    pub fn draw(&self, prompts: &[String], count: usize, how: &Sampling) -> Result<Vec<Picture>> {
        self.draw_with(&self.model, prompts, count, how, &mut |_| ())
    }

    /// The same with other weights, as while training; `on_step` gets the codes drawn so far.
    ///
    /// # Errors
    /// As for [`Bundle::draw`].
    pub fn draw_with(
        &self,
        model: &Rudolph,
        prompts: &[String],
        count: usize,
        how: &Sampling,
        on_step: &mut dyn FnMut(usize),
    ) -> Result<Vec<Picture>> {
        let texts: Vec<_> = prompts.iter().map(|prompt| self.bpe.encode(prompt)).collect();
        let drawings =
            Drawing::of_texts(texts.iter().flat_map(|text| std::iter::repeat_n(text.as_slice(), count)));
        let codes = draw(model, &drawings, &how.config, how.batch, on_step)?;
        Ok(self.codec.decode(&codes, model.config().grid)?)
    }

    /// Captions pictures of the model's image size.
    ///
    /// # Errors
    /// A picture of another size, or a sampling setting that is not valid.
    pub fn caption(&self, pictures: &[Picture], how: &Sampling) -> Result<Vec<String>> {
        let codes = self.codec.encode(pictures)?;
        self.caption_codes(&self.model, &codes, how)
    }

    /// Captions codes, with other weights, as while training.
    ///
    /// # Errors
    /// Codes that do not fit the model, or a sampling setting that is not valid.
    pub fn caption_codes(&self, model: &Rudolph, codes: &[Vec<u16>], how: &Sampling) -> Result<Vec<String>> {
        let images = Captioning::of_images(codes.iter().map(Vec::as_slice));
        let ids = caption(model, &images, &Templates::default(), &how.config, how.batch, &mut |_| ())?;
        Ok(ids.iter().map(|ids| self.bpe.decode(ids)).collect())
    }

    /// Pixels per side of the model's pictures.
    #[must_use]
    pub fn image_size(&self) -> usize {
        self.model.config().grid * self.codec.downsampling()
    }
}

/// How samples are drawn, and how many at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Temperature, top-k, top-p and seed.
    pub config: SamplingConfig,
    /// Samples computed together.
    pub batch: usize,
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let bytes = std::fs::read(from).map_err(Error::io(from))?;
    Ok(pipeline::atomic::write(to, bytes)?)
}
