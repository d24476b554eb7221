//! Where the demo reads and writes, and how its paths and settings are spelt as a shell command.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The demo's two folders.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// `configs/demo` of the repository.
    configs: PathBuf,
    /// Everything that is written lies in here.
    out: PathBuf,
}

impl Place {
    /// Finds the repository that the program was built from.
    ///
    /// # Errors
    /// The repository is no longer there.
    pub(super) fn find(out: &Path) -> Result<Self> {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".."));
        let configs = from_here(&repository.join("configs").join("demo"));
        if configs.join("data").is_dir() {
            return Ok(Self { configs, out: out.to_owned() });
        }
        Err(Error::config(format!("{}: the demo's data is gone", configs.join("data").display())).with_hint(
            "the demo reads it from the repository that it was built in; run `cargo demo` in a clone",
        ))
    }

    /// A file of `configs/demo`.
    pub(super) fn config(&self, name: &str) -> PathBuf {
        self.configs.join(name)
    }

    /// A file or folder of the output.
    pub(super) fn out(&self, name: &str) -> PathBuf {
        self.out.join(name)
    }

    /// The repository's `Cargo.lock`.
    pub(super) fn lock_file(&self) -> PathBuf {
        self.configs.join("../../Cargo.lock")
    }
}

/// The path without the current folder in front, so that commands and configurations stay short and portable.
fn from_here(path: &Path) -> PathBuf {
    let here = std::env::current_dir().ok();
    here.and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned)).unwrap_or_else(|| path.to_owned())
}

/// `KEY=PATH` for `--set`: a bare word where that is read as a string, else quoted as TOML wants it.
pub(super) fn set_path(key: &str, path: &Path) -> String {
    let text = path.to_string_lossy();
    match text.contains('/') && text.chars().all(is_plain) {
        true => format!("{key}={text}"),
        false => format!("{key}={}", toml::Value::String(text.into_owned())),
    }
}

/// A command as a shell reads it.
pub(super) fn shell<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> String {
    let quoted = |word: S| match word.as_ref() {
        word if !word.is_empty() && word.chars().all(|c| is_plain(c) || c == '=') => word.to_owned(),
        word => format!("'{}'", word.replace('\'', r"'\''")),
    };
    words.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// `PROGRAM CONFIG --set A --set B`.
pub(super) fn command(program: &[&str], config: &Path, sets: &[String]) -> String {
    let config = config.to_string_lossy();
    let sets = sets.iter().flat_map(|set| ["--set", set]);
    shell(program.iter().copied().chain([&*config]).chain(sets))
}

fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | ':' | ',' | '+' | '@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_can_be_pasted_into_a_shell() {
        let sets = ["a.b=[1, \"x\"]".to_owned(), "run.steps=5".to_owned(), "name=it's".to_owned()];
        assert_eq!(
            command(&["train"], Path::new("configs/a.toml"), &sets),
            r#"train configs/a.toml --set 'a.b=[1, "x"]' --set run.steps=5 --set 'name=it'\''s'"#
        );
    }

    #[test]
    fn paths_are_strings_whatever_they_look_like() {
        assert_eq!(set_path("out", Path::new("demo-out/pairs")), "out=demo-out/pairs");
        assert_eq!(set_path("out", Path::new("2024")), "out=\"2024\"");
        assert_eq!(set_path("out", Path::new("my data/pairs")), "out=\"my data/pairs\"");
    }

    #[test]
    fn the_repository_is_found() {
        let place = Place::find(Path::new("out")).unwrap();
        assert!(place.lock_file().is_file());
        assert_eq!(place.out("pairs"), Path::new("out/pairs"));
    }
}
