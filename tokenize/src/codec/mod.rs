//! An image codec from a file: pictures ↔ grids of codes.
//!
//! [`Codec::load`] takes the published files as they are: it recognises the kind and the configuration from keys and
//! shapes ([`CodecKind`]); a `.toml` or `.yaml` beside the weights says what no shape tells. One enum holds all kinds;
//! each has a module of its own ([`vqgan`](crate::vqgan), [`SberDwt`], [`dvae`](crate::dvae),
//! [`llamagen`](crate::llamagen), [`clusters`](crate::clusters)).

mod beside;
mod kind;
mod save;
mod sber_dwt;
mod taming;

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use pipeline::picture::Picture;

pub use kind::CodecKind;
pub use sber_dwt::SberDwt;

use self::beside::Stated;
use self::kind::Found;
use crate::checkpoint::{self, Checkpoint};
use crate::clusters::Clusters;
use crate::dvae::Dvae;
use crate::llamagen::LlamaGen;
use crate::pixels::Preprocess;
use crate::vqgan::{VqGan, VqGanConfig};
use crate::{Error, Result};

/// The layers of a codec.
#[derive(Debug)]
pub(crate) enum Model {
    /// Also the Gumbel variant: its quantiser knows.
    VqGan(Box<VqGan>),
    SberDwt(Box<SberDwt>),
    Dvae(Box<Dvae>),
    LlamaGen(Box<LlamaGen>),
    Clusters(Box<Clusters>),
}

/// A loaded codec. Its identity is the hash of its weights file.
#[derive(Debug)]
pub struct Codec {
    /// File name without its extension.
    pub name: String,
    /// sha256 of the weights file in hex; of several files, the sha256 of their sha256s in hex in the order of
    /// [`Self::files`].
    pub sha256: String,
    kind: CodecKind,
    model: Model,
    /// Of the kinds in taming's layout.
    config: Option<VqGanConfig>,
    preprocess: Preprocess,
    device: Device,
    path: PathBuf,
    files: Vec<PathBuf>,
    beside: Option<PathBuf>,
}

impl Codec {
    /// Loads a codec from a weights file (`.safetensors`, `.ckpt`, `.pth`, `.pt`, `.bin`, `.pkl`), a folder of Hugging
    /// Face, a folder with `encoder.*` and `decoder.*` (OpenAI's dVAE; one of the two files will do), or a palette
    /// (`preprocessor_config.json`, `kmeans_centers.npy`).
    ///
    /// # Errors
    /// A missing or damaged file, one that is no codec, weights that do not fit with the keys that differ, and a
    /// configuration beside them that contradicts them.
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        let device = device.clone().without_autodiff();
        match kind::find(path)? {
            Found::Clusters(file) => Self::palette(path, file, device),
            Found::Weights(kind, file) => Self::network(path, kind, &file, device),
        }
    }

    fn palette(path: &Path, file: PathBuf, device: Device) -> Result<Self> {
        let model = Clusters::open(&file)?;
        Ok(Self {
            name: name(path),
            sha256: checkpoint::sha256(&file)?,
            kind: CodecKind::Clusters,
            preprocess: *model.preprocess(),
            model: Model::Clusters(Box::new(model)),
            config: None,
            device,
            path: path.to_owned(),
            files: vec![file],
            beside: None,
        })
    }

    fn network(path: &Path, kind: CodecKind, file: &Checkpoint, device: Device) -> Result<Self> {
        let mut stated = Stated::default();
        let mut config = None;
        let (model, preprocess) = match kind {
            CodecKind::Dvae => {
                let model = Dvae::open(file, &device)?;
                let preprocess = *model.preprocess();
                (Model::Dvae(Box::new(model)), preprocess)
            }
            CodecKind::LlamaGen => {
                let model = LlamaGen::open(file, &device)?;
                let preprocess = *model.preprocess();
                (Model::LlamaGen(Box::new(model)), preprocess)
            }
            _ => {
                stated = Stated::beside(path)?;
                let found = taming::config(file, &stated)?;
                let preprocess = preprocess(kind, stated.is_ours(), found.resolution);
                let model = match kind {
                    CodecKind::SberDwt => Model::SberDwt(Box::new(SberDwt::open(file, &found, &device)?)),
                    _ => Model::VqGan(Box::new(file.fill(found.init(&device)?)?)),
                };
                config = Some(found);
                (model, preprocess)
            }
        };
        Ok(Self {
            name: name(path),
            sha256: file.sha256().to_owned(),
            kind,
            model,
            config,
            preprocess,
            device,
            path: path.to_owned(),
            files: file.files().to_vec(),
            beside: stated.file,
        })
    }

    /// What kind of codec it is.
    pub fn kind(&self) -> CodecKind {
        self.kind
    }

    /// What happens to a picture before the first layer, as the published program does it.
    pub fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    /// The side that it was trained on, in pixels.
    pub fn resolution(&self) -> usize {
        self.preprocess.size
    }

    /// The configuration, of the kinds in taming's layout.
    pub fn config(&self) -> Option<&VqGanConfig> {
        self.config.as_ref()
    }

    pub(crate) fn model(&self) -> &Model {
        &self.model
    }

    /// What was loaded: a file or a folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The weights files, in the order of their hash.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Pixels of the input per code side.
    pub fn downsampling(&self) -> usize {
        match (&self.model, &self.config) {
            (_, Some(config)) => config.downsampling(),
            (Model::Dvae(model), _) => model.downsampling(),
            (Model::LlamaGen(model), _) => model.downsampling(),
            (Model::Clusters(_) | Model::VqGan(_) | Model::SberDwt(_), _) => 1,
        }
    }

    /// Number of distinct codes.
    pub fn codebook_size(&self) -> usize {
        match (&self.model, &self.config) {
            (_, Some(config)) => config.codebook_size(),
            (Model::Dvae(model), _) => model.codebook_size(),
            (Model::LlamaGen(model), _) => model.codebook_size(),
            (Model::Clusters(model), _) => model.codebook_size(),
            (Model::VqGan(_) | Model::SberDwt(_), _) => 0,
        }
    }

    /// Codes per side of a square picture.
    pub fn grid(&self, image_size: usize) -> usize {
        image_size / self.downsampling()
    }

    /// Side of the picture that a square grid of codes is drawn as: Sber's wavelets double it.
    pub fn decoded_size(&self, grid: usize) -> usize {
        let doubled = if self.kind == CodecKind::SberDwt { 2 } else { 1 };
        grid * self.downsampling() * doubled
    }

    fn checked_grid(&self, side: u32) -> Result<usize> {
        let (side, factor) = (side as usize, self.downsampling());
        if side == 0 || !side.is_multiple_of(factor) {
            return Err(Error::Config {
                key: "image_size".to_owned(),
                why: format!("{side} is not a multiple of {factor}, the codec's downsampling factor"),
            });
        }
        Ok(side / factor)
    }

    /// Codes of pictures of one size, row by row. Pictures are squares of [`Self::preprocess`], or of any other size
    /// that the codec divides.
    ///
    /// # Errors
    /// Sizes that differ or are no multiple of the downsampling factor.
    pub fn encode(&self, pictures: &[Picture]) -> Result<Vec<Vec<u16>>> {
        let Some(first) = pictures.first() else { return Ok(Vec::new()) };
        let (width, height) = (self.checked_grid(first.width())?, self.checked_grid(first.height())?);
        let pixels = || self.preprocess.to_tensor(pictures, &self.device);
        let codes = match &self.model {
            Model::VqGan(model) => model.encode(pixels()?),
            Model::SberDwt(model) => model.encode(pixels()?),
            Model::Dvae(model) => model.encode(pixels()?),
            Model::LlamaGen(model) => model.encode(pixels()?),
            Model::Clusters(model) => return Ok(model.encode(pictures)),
        };
        let data = codes.into_data().convert_dtype(DType::I64);
        let values = data.as_slice::<i64>().map_err(|error| Error::Config {
            key: "device".to_owned(),
            why: format!("the codes cannot be read back: {error:?}"),
        })?;
        let code = |value: &i64| u16::try_from(*value).unwrap_or(u16::MAX);
        Ok(values.chunks_exact(width * height).map(|codes| codes.iter().map(code).collect()).collect())
    }

    /// Pictures of square grids of codes.
    ///
    /// # Errors
    /// A grid of another size, or a code outside the codebook.
    pub fn decode(&self, codes: &[Vec<u16>], grid: usize) -> Result<Vec<Picture>> {
        if codes.is_empty() {
            return Ok(Vec::new());
        }
        let mut values = Vec::with_capacity(codes.len() * grid * grid);
        for (row, codes) in codes.iter().enumerate() {
            if codes.len() != grid * grid {
                return Err(refuse(row, format!("{} codes, expected {grid}x{grid}", codes.len())));
            }
            if let Some(code) = codes.iter().find(|code| usize::from(**code) >= self.codebook_size()) {
                return Err(refuse(row, format!("code {code}, the codebook has {}", self.codebook_size())));
            }
            values.extend(codes.iter().map(|code| i64::from(*code)));
        }
        let tensor = || {
            let data = TensorData::new(values, [codes.len(), grid, grid]);
            Tensor::<3, Int>::from_data(data, &self.device)
        };
        let pixels = match &self.model {
            Model::VqGan(model) => model.decode(tensor()),
            Model::SberDwt(model) => model.decode(tensor()),
            Model::Dvae(model) => model.decode(tensor()),
            Model::LlamaGen(model) => model.decode(tensor()),
            Model::Clusters(model) => {
                return codes.iter().map(|codes| model.decode(codes, grid, grid)).collect();
            }
        };
        self.preprocess.to_pictures(pixels)
    }
}

/// The published programs differ in how they make a square; a codec with Troika's `.toml` was trained here. Sber's Gumbel
/// model has the very keys of taming's, and both are shown with Lanczos (`rudalle`; taming's `reconstruction_usage.ipynb`).
fn preprocess(kind: CodecKind, ours: bool, size: usize) -> Preprocess {
    match kind {
        _ if ours => Preprocess { size, ..Preprocess::default() },
        CodecKind::Gumbel | CodecKind::SberDwt => Preprocess::rudalle(size),
        _ => Preprocess::taming(size),
    }
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn refuse(row: usize, why: String) -> Error {
    Error::Config { key: format!("codes[{row}]"), why }
}

#[cfg(test)]
mod tests;
