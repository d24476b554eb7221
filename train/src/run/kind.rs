//! What a configuration file trains: its key `kind`.

use std::path::Path;

use pipeline::settings;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What a configuration file trains: its key `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The text-image-text transformer.
    Rudolph,
    /// An image codec.
    Vqgan,
}

impl Kind {
    /// Every kind, by its name in a configuration.
    pub const ALL: [(&str, Self); 2] = [("rudolph", Self::Rudolph), ("vqgan", Self::Vqgan)];

    /// Its name in a configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rudolph => "rudolph",
            Self::Vqgan => "vqgan",
        }
    }

    /// The key `kind` of a configuration file.
    ///
    /// # Errors
    /// The file cannot be read, has no such key, or one that is not known.
    pub fn of(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
        // A file that is no TOML at all gets its line and column from here.
        let table: toml::Table = match toml::from_str(&text) {
            Ok(table) => table,
            Err(_) => settings::load(Some(path), &[])?,
        };
        let names = Self::ALL.map(|(name, _)| name);
        let known = names.join(", ");
        match table.get("kind") {
            None => Err(Error::config(format!("{}: no key `kind`; known kinds: {known}", path.display()))
                .with_hint("begin the file with `kind = \"rudolph\"`")),
            Some(value) => Self::deserialize(value.clone()).map_err(|_| {
                let error =
                    Error::config(format!("{}: unknown kind {value}; known: {known}", path.display()));
                match value.as_str().and_then(|value| settings::suggest(value, &names)) {
                    Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                    None => error,
                }
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Result<Kind> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        pipeline::atomic::write(&path, text).unwrap();
        Kind::of(&path)
    }

    #[test]
    fn the_kind_is_read_before_everything_else() {
        assert_eq!(kind("kind = 'vqgan'\nunheard = 'of'").unwrap(), Kind::Vqgan);
        assert_eq!(kind("kind = 'rudolf'").unwrap_err().hint().unwrap(), "did you mean `rudolph`?");
        assert!(kind("[run]").unwrap_err().to_string().contains("no key `kind`"));
        assert!(kind("kind = 7").is_err());
    }

    #[test]
    fn a_file_that_is_no_toml_names_the_line() {
        let error = kind("kind = 'vqgan'\n = 3").unwrap_err();
        assert!(error.to_string().contains("c.toml:2:2"), "{error}");
    }

    #[test]
    fn every_kind_has_its_name() {
        for (name, kind) in Kind::ALL {
            assert_eq!(kind.name(), name);
        }
    }
}
