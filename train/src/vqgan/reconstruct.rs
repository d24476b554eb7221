//! Originals and reconstructions as two folders of PNG files with equal names: what clean-fid and pytorch-fid compare.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pipeline::picture::{DecodeOptions, Picture, decode};
use serde::{Deserialize, Serialize};
use tokenize::codec::Codec;
use tokenize::metrics::{Psnr, mean_squared_error};

use crate::run::png;
use crate::{Error, Result};

/// Pictures that go through the codec together.
const BATCH: usize = 16;
/// Says of which codec and pictures a folder's reconstructions are.
const RECORD: &str = "reconstructions.toml";

/// What decides every file of the folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// sha256 of the codec.
    pub codec: String,
    /// Pair shards.
    pub pairs: String,
    /// Which rows of them.
    pub rows: String,
    /// Side of the pictures.
    pub image_size: usize,
}

/// Reconstructions in the making.
#[derive(Debug)]
pub struct Reconstructions<'a> {
    codec: &'a Codec,
    folder: PathBuf,
    waiting: Vec<(String, Picture)>,
    /// Mean squared errors by name: their mean must not depend on which were there already.
    errors: BTreeMap<String, f64>,
    written: u64,
}

/// What was made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Pictures in each folder.
    pub pictures: u64,
    /// Of these, written now; the others were there already.
    pub written: u64,
    /// Mean PSNR in dB.
    pub psnr: f64,
}

impl<'a> Reconstructions<'a> {
    /// Opens `folder`, new or as an earlier call left it.
    ///
    /// # Errors
    /// It holds reconstructions of another codec or of other pictures, or cannot be written.
    pub fn open(codec: &'a Codec, folder: &Path, origin: &Origin) -> Result<Self> {
        let record = folder.join(RECORD);
        if record.exists() {
            let text = std::fs::read_to_string(&record).map_err(Error::io(&record))?;
            let known: Origin =
                toml::from_str(&text).map_err(|error| Error::weights(&record, error.message()))?;
            if known != *origin {
                let what = format!(
                    "{} holds reconstructions by another codec or of other pictures",
                    folder.display()
                );
                return Err(Error::config(what).with_hint("write into another folder, or remove this one"));
            }
        }
        pipeline::atomic::write(&record, pipeline::settings::to_toml(origin)?)?;
        let folder = folder.to_owned();
        Ok(Self { codec, folder, waiting: Vec::new(), errors: BTreeMap::new(), written: 0 })
    }

    /// Takes a square picture in; its files are called `name.png`. They are left alone where both are there already.
    ///
    /// # Errors
    /// A file cannot be read or written, or the codec does not fit the picture.
    pub fn push(&mut self, name: String, picture: Picture) -> Result<()> {
        let [original, drawn] = self.files(&name);
        if original.exists() && drawn.exists() {
            let drawn = read(&drawn)?;
            return self.measure(name, &picture, &drawn);
        }
        self.waiting.push((name, picture));
        if self.waiting.len() == BATCH { self.flush() } else { Ok(()) }
    }

    /// Writes what still waits.
    ///
    /// # Errors
    /// As [`Self::push`], or there was no picture at all.
    pub fn finish(mut self) -> Result<Summary> {
        self.flush()?;
        if self.errors.is_empty() {
            return Err(Error::config("no picture to reconstruct"));
        }
        let mut psnr = Psnr::default();
        self.errors.values().for_each(|error| psnr.add(*error));
        Ok(Summary { pictures: psnr.images(), written: self.written, psnr: psnr.mean() })
    }

    fn flush(&mut self) -> Result<()> {
        let (names, pictures): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting).into_iter().unzip();
        let Some(first) = pictures.first() else { return Ok(()) };
        let grid = self.codec.grid(first.width() as usize);
        let drawings = self.codec.decode(&self.codec.encode(&pictures)?, grid)?;
        for ((name, picture), drawing) in names.into_iter().zip(&pictures).zip(&drawings) {
            let [original, drawn] = self.files(&name);
            pipeline::atomic::write(original, png(picture)?)?;
            pipeline::atomic::write(drawn, png(drawing)?)?;
            self.measure(name, picture, drawing)?;
            self.written += 1;
        }
        Ok(())
    }

    fn files(&self, name: &str) -> [PathBuf; 2] {
        ["original", "reconstruction"].map(|folder| self.folder.join(folder).join(format!("{name}.png")))
    }

    fn measure(&mut self, name: String, original: &Picture, drawn: &Picture) -> Result<()> {
        let error = mean_squared_error(original.pixels(), drawn.pixels()).ok_or_else(|| {
            let sizes = [original, drawn].map(|picture| format!("{}x{}", picture.width(), picture.height()));
            Error::config(format!("a picture of {} was drawn as {}", sizes[0], sizes[1]))
        })?;
        self.errors.insert(name, error);
        Ok(())
    }
}

fn read(path: &Path) -> Result<Picture> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    decode(&bytes, &DecodeOptions::default()).map_err(|reason| {
        Error::config(format!("{}: {}", path.display(), reason.text()))
            .with_hint("remove it; it will be made again")
    })
}
