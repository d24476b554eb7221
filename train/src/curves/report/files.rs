//! What lies in a run folder besides its numbers and pictures: checkpoints and the finished model.

use std::path::{Path, PathBuf};

use crate::run::{Checkpoints, State};
use crate::{Error, Result};

/// A checkpoint that exists.
pub(super) struct Kept {
    pub(super) step: u64,
    pub(super) bytes: u64,
    /// What it knows, if it can be read.
    pub(super) state: Option<State>,
}

/// A file of the finished model.
pub(super) struct ModelFile {
    /// Within the model's folder.
    pub(super) name: String,
    pub(super) bytes: u64,
    /// Of the codec and the vocabulary, which come from elsewhere.
    pub(super) sha256: Option<String>,
}

/// The checkpoints, oldest first. One that vanishes meanwhile, because a newer one has been kept, is left out.
pub(super) fn checkpoints(run: &Path) -> Result<Vec<Kept>> {
    let kept = |(step, path): (u64, PathBuf)| {
        let files = files(&path).ok()?;
        let state = Checkpoints::state_in(&path).ok();
        Some(Kept { step, bytes: files.iter().map(|(_, bytes)| bytes).sum(), state })
    };
    Ok(Checkpoints::list_in(&run.join("checkpoints"))?.into_iter().filter_map(kept).collect())
}

/// The files of the finished model; none before its end.
pub(super) fn model(dir: &Path) -> Result<Vec<ModelFile>> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let file = |(path, bytes): (PathBuf, u64)| {
        let name = path.strip_prefix(dir).unwrap_or(&path).display().to_string();
        let foreign = ["codec", "bpe"].iter().any(|stem| name.starts_with(stem)) && !name.ends_with(".toml");
        let sha256 = foreign.then(|| tokenize::checkpoint::sha256(&path)).transpose()?;
        Ok(ModelFile { name, bytes, sha256 })
    };
    files(dir)?.into_iter().map(file).collect()
}

/// All files below a folder with their sizes, by name.
fn files(dir: &Path) -> Result<Vec<(PathBuf, u64)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(Error::io(dir))? {
        let path = entry.map_err(Error::io(dir))?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            let bytes = std::fs::metadata(&path).map_err(Error::io(&path))?.len();
            found.push((path, bytes));
        }
    }
    found.sort();
    Ok(found)
}
