//! A bundle's vocabulary on disk: the file that the run was given, as `bpe.*` with its own ending, and in `bpe.toml`
//! what the file does not say.

use std::path::{Path, PathBuf};

use pipeline::{atomic, settings};
use serde::{Deserialize, Serialize};
use tokenize::bpe::Bpe;

use crate::{Error, Result};

const STEM: &str = "bpe";
const SETTINGS: &str = "bpe.toml";

/// What the vocabulary's file does not say.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TextConfig {
    /// Whether texts are lower-cased and stripped before they are encoded. The shards of the training said so.
    lowercase: bool,
}

/// Opens the vocabulary in a model's folder.
pub(crate) fn open(dir: &Path) -> Result<Bpe> {
    with_settings(Bpe::load(file_in(dir)?)?, dir)
}

/// A vocabulary with the settings that lie in `dir`; those of before there were any are the defaults.
pub(super) fn with_settings(bpe: Bpe, dir: &Path) -> Result<Bpe> {
    let path = dir.join(SETTINGS);
    let config: TextConfig =
        if path.is_file() { settings::load(Some(&path), &[])? } else { TextConfig::default() };
    Ok(bpe.with_lowercase(config.lowercase))
}

/// The settings alone as a file's name and text: what lies beside a checkpoint.
pub(crate) fn settings_of(bpe: &Bpe) -> Result<(&'static str, String)> {
    let config = TextConfig { lowercase: bpe.lowercase() };
    Ok((SETTINGS, settings::to_toml(&config)?))
}

/// Writes the vocabulary, byte for byte as it was loaded from `source`, with its settings.
pub(super) fn save(bpe: &Bpe, source: &Path, dir: &Path) -> Result<()> {
    // All of the ending: `words.cl100k.tiktoken` says with it how texts are cut.
    let name = source.file_name().unwrap_or_default().to_string_lossy();
    let ending = name.split_once('.').map(|(_, ending)| format!(".{ending}")).unwrap_or_default();
    bpe.save(dir.join(format!("{STEM}{ending}")))?;
    let (name, text) = settings_of(bpe)?;
    Ok(atomic::write(dir.join(name), text)?)
}

/// The one file called `bpe` or `bpe.*` that is not its settings.
pub(super) fn file_in(dir: &Path) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(Error::io(dir))? {
        let path = entry.map_err(Error::io(dir))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.split('.').next() == Some(STEM) && name != SETTINGS && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    match found.as_slice() {
        [file] => Ok(file.clone()),
        [] => Err(Error::weights(dir, "no file `bpe.*`: the vocabulary is missing")),
        several => {
            let names: Vec<_> =
                several.iter().filter_map(|path| Some(path.file_name()?.to_string_lossy())).collect();
            Err(Error::weights(
                dir,
                format!("{}: which of them is the vocabulary? Only one may be here", names.join(", ")),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use tokenize::bpe::Specials;
    use tokenize::bpe::yttm::Model;

    use super::*;

    fn yttm() -> Bpe {
        Bpe::from(Model::new("▁cat".chars().collect(), vec![(5, 6)], Specials::default()).unwrap())
    }

    #[test]
    fn a_vocabulary_keeps_its_kind_its_bytes_and_its_lower_case() {
        let dir = tempfile::tempdir().unwrap();
        for lowercase in [true, false] {
            let bpe = yttm().with_lowercase(lowercase);
            save(&bpe, Path::new("data/words.v2.model"), dir.path()).unwrap();
            assert!(dir.path().join("bpe.v2.model").is_file());
            let opened = open(dir.path()).unwrap();
            assert_eq!((opened.kind(), opened.sha256()), ("yttm", bpe.sha256()));
            assert_eq!(opened.encode("CAT") == opened.encode("cat"), lowercase);
        }
    }

    #[test]
    fn a_folder_of_before_has_no_settings_and_two_vocabularies_are_one_too_many() {
        let dir = tempfile::tempdir().unwrap();
        assert!(open(dir.path()).unwrap_err().to_string().ends_with("the vocabulary is missing"));
        yttm().save(dir.path().join("bpe.json")).unwrap();
        assert!(!open(dir.path()).unwrap().lowercase());
        yttm().save(dir.path().join("bpe.model")).unwrap();
        let error = open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("bpe.json, bpe.model: which of them"), "{error}");
    }
}
