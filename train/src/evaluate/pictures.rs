//! Pictures of a folder, in the order of their names.

use std::path::{Path, PathBuf};

use pipeline::picture::{DecodeOptions, Picture, decode};
use rand::SeedableRng;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;

use crate::{Error, Result};

/// Endings that count as pictures.
const ENDINGS: [&str; 8] = ["png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff"];

/// The picture files right in a folder, sorted. With `n` so many of them, chosen by `seed`.
///
/// # Errors
/// The folder cannot be read, holds no picture or fewer than `n`.
pub fn list(dir: &Path, n: Option<usize>, seed: u64) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(Error::io(dir))? {
        let path = entry.map_err(Error::io(dir))?.path();
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        if ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str())) {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        let why = format!("no pictures ({}) in this folder", ENDINGS.join(", "));
        return Err(Error::data(dir, why));
    }
    let Some(n) = n else { return Ok(files) };
    if n > files.len() {
        return Err(Error::data(dir, format!("{} pictures, --n asks for {n}", files.len())));
    }
    let mut chosen = sample(&mut ChaCha8Rng::seed_from_u64(seed), files.len(), n).into_vec();
    chosen.sort_unstable();
    Ok(chosen.into_iter().map(|at| files[at].clone()).collect())
}

/// Decodes a file; transparency is laid on white.
///
/// # Errors
/// The file cannot be read or is no picture.
pub fn open(path: &Path) -> Result<Picture> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    decode(&bytes, &DecodeOptions::default()).map_err(|reason| {
        Error::data(path, reason.text()).with_hint("remove the file from the folder, or mend it")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_chooses_the_same_pictures_again() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["c.png", "a.PNG", "b.jpg", "notes.txt", "d.webp"] {
            pipeline::atomic::write(dir.path().join(name), "").unwrap();
        }
        let names = |n, seed| {
            let files = list(dir.path(), n, seed).unwrap();
            files
                .iter()
                .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(None, 0), ["a.PNG", "b.jpg", "c.png", "d.webp"]);
        assert_eq!(names(Some(2), 5), names(Some(2), 5));
        assert!((0..20).any(|seed| names(Some(2), seed) != names(Some(2), 5)));
        let error = list(dir.path(), Some(9), 0).unwrap_err().to_string();
        assert!(error.ends_with("4 pictures, --n asks for 9"), "{error}");
        assert!(open(&dir.path().join("c.png")).is_err());
    }
}
