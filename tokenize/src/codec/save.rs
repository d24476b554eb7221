//! A codec's files copied into another folder, such as a model's bundle.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use pipeline::{atomic, settings};

use super::{Codec, CodecKind};
use crate::checkpoint;
use crate::{Error, Result};

/// What a codec is called in the folder that it is saved to.
const NAME: &str = "codec";

impl Codec {
    /// Copies what [`Codec::load`] needs: a single weights file as `codec.EXTENSION` with its configuration beside it,
    /// everything else as a folder `codec` of files with their own names.
    ///
    /// # Errors
    /// A file that cannot be read or written, or is no longer what was loaded.
    pub fn save_to(&self, dir: &Path) -> Result<()> {
        let read = |path| std::fs::read(path).map_err(Error::io(path));
        let contents = self.files.iter().map(read).collect::<Result<Vec<_>>>()?;
        let found = checkpoint::identity(&contents);
        if found != self.sha256 {
            let [now, before] = [&found, &self.sha256].map(|hash| hash.get(..12).unwrap_or(hash));
            return Err(Error::Checkpoint {
                path: self.path.clone(),
                why: format!(
                    "changed since it was loaded (sha256 {before}…, now {now}…): put the old file back"
                ),
            });
        }
        // A palette in JSON is known by its file's name, one in safetensors by what it holds.
        let is_json = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "json");
        let single =
            self.files.len() == 1 && !(self.kind == CodecKind::Clusters && self.files.iter().any(is_json));
        let folder = if single { dir.to_owned() } else { dir.join(NAME) };
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        for (path, bytes) in self.files.iter().zip(&contents) {
            let name = match single {
                true => Path::new(NAME).with_extension(path.extension().unwrap_or_default()),
                false => path.file_name().unwrap_or(OsStr::new(NAME)).into(),
            };
            atomic::write(folder.join(name), bytes)?;
        }
        if !single {
            self.copy_indexes(&folder)?;
        }
        self.save_configuration(&if single { dir.join(NAME) } else { folder.join("config") })
    }

    /// `stem.toml` or `stem.yaml`, if the codec was loaded with one.
    fn save_configuration(&self, stem: &Path) -> Result<()> {
        let (Some(beside), Some(config)) = (&self.beside, &self.config) else { return Ok(()) };
        let extension = beside.extension().unwrap_or_default();
        let text = match extension == "toml" {
            true => settings::to_toml(config)?.into_bytes(),
            false => std::fs::read(beside).map_err(Error::io(beside))?,
        };
        Ok(atomic::write(stem.with_extension(extension), text)?)
    }

    /// The indexes of a Hugging Face folder with several weights files.
    fn copy_indexes(&self, folder: &Path) -> Result<()> {
        if !self.path.is_dir() {
            return Ok(());
        }
        for entry in std::fs::read_dir(&self.path).map_err(Error::io(&self.path))? {
            let path = entry.map_err(Error::io(&self.path))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.ends_with(".index.json") {
                atomic::write(folder.join(&*name), std::fs::read(&path).map_err(Error::io(&path))?)?;
            }
        }
        Ok(())
    }
}
