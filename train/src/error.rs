//! The one error type of the crate: every variant names the file, row or key, and the cure where it is known.

use std::fmt::Display;
use std::io::ErrorKind::{FileTooLarge, NotFound, QuotaExceeded, StorageFull};
use std::path::{Path, PathBuf};

use crate::weights::Misfit;

/// What can go wrong while a model is trained or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An error of the data stages, passed on as it is.
    #[error(transparent)]
    Pipeline(#[from] pipeline::Error),
    /// An error of codecs, vocabularies or token shards, passed on as it is.
    #[error(transparent)]
    Tokenize(#[from] tokenize::Error),
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A configuration that cannot be run.
    #[error("{message}")]
    Config {
        /// What is wrong, naming the key.
        message: String,
        /// The cure.
        hint: Option<String>,
    },
    /// Token shards that do not fit the configuration.
    #[error("{}: {message}", path.display())]
    Data {
        /// The shard.
        path: PathBuf,
        /// What does not fit.
        message: String,
        /// The cure.
        hint: Option<String>,
    },
    /// A weights or state file that does not hold what the model needs.
    #[error("{}: {message}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is missing or wrong.
        message: String,
    },
    /// A checkpoint whose keys or shapes are not the model's.
    #[error("{}: {misfit}", path.display())]
    Misfit {
        /// The file or folder.
        path: PathBuf,
        /// What differs.
        misfit: Box<Misfit>,
    },
    /// Another process trains in this run folder.
    #[error("{} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// The run folder was started with another configuration.
    #[error("{} was started with another configuration:\n{}", path.display(), changes.join("\n"))]
    Changed {
        /// The run folder.
        path: PathBuf,
        /// One line for each key: `key: old -> new`.
        changes: Vec<String>,
    },
    /// A metric became NaN or infinite.
    #[error("step {step}: {name} is {value}{}; training stopped", first_bad(tensor.as_ref()))]
    Diverged {
        /// The step, counted from 1.
        step: u64,
        /// The first metric that is not finite.
        name: String,
        /// Its value.
        value: f64,
        /// The first parameter whose gradient is not finite.
        tensor: Option<String>,
    },
    /// What went wrong in another process of the same run.
    #[error("process {rank}: {message}")]
    Rank {
        /// Its number.
        rank: usize,
        /// Its error.
        message: String,
        /// The cure.
        hint: Option<String>,
        /// Its exit code.
        code: u8,
    },
    /// A model that puts out NaN or infinity while it samples.
    #[error("the model's logits are NaN: its weights hold numbers that are not finite")]
    Logits,
    /// The same where it is known at what.
    #[error("{what}: the model's logits are NaN: its weights hold numbers that are not finite")]
    NotFinite {
        /// The step, the text or the picture.
        what: String,
    },
}

/// `, the first gradient that is not finite is that of NAME`.
pub(crate) fn first_bad(tensor: Option<&String>) -> String {
    tensor
        .map_or_else(String::new, |name| format!(", the first gradient that is not finite is that of {name}"))
}

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A [`Error::Config`]; `message` begins with the key where there is one.
    #[must_use]
    pub fn config(message: impl Into<String>) -> Self {
        Self::Config { message: message.into(), hint: None }
    }

    /// The same error with a cure, where it has a place for one.
    #[must_use]
    pub fn with_hint(mut self, cure: impl Into<String>) -> Self {
        if let Self::Config { hint, .. } | Self::Data { hint, .. } = &mut self {
            *hint = Some(cure.into());
        }
        self
    }

    /// A [`Error::Data`] about a shard.
    #[must_use]
    pub fn data(path: &Path, message: impl Into<String>) -> Self {
        Self::Data { path: path.to_owned(), message: message.into(), hint: None }
    }

    /// A [`Error::Weights`].
    #[must_use]
    pub fn weights(path: &Path, message: impl Display) -> Self {
        Self::Weights { path: path.to_owned(), message: message.to_string() }
    }

    /// Gives an I/O error its path: `.map_err(Error::io(path))`.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    /// Exit code of design.md: 2 for what a user must change, 75 for what may pass by itself, 1 for a run that failed.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Pipeline(error) => error.exit_code(),
            Self::Tokenize(error) => error.exit_code(),
            Self::Locked(_) => 75,
            Self::Rank { code, .. } => *code,
            Self::Io { source, .. } if source.kind() == NotFound => 2,
            Self::Io { .. } => 75,
            Self::Diverged { .. } | Self::Logits | Self::NotFinite { .. } => 1,
            Self::Config { .. }
            | Self::Data { .. }
            | Self::Weights { .. }
            | Self::Misfit { .. }
            | Self::Changed { .. } => 2,
        }
    }

    /// The cure, where it is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Pipeline(error) => error.hint(),
            Self::Tokenize(error) => error.hint(),
            Self::Config { hint, .. } | Self::Data { hint, .. } | Self::Rank { hint, .. } => hint.clone(),
            Self::Locked(_) => Some("wait for it to end, or train into another folder with `--set run.out=DIR`".into()),
            Self::Changed { .. } => Some(
                "undo the change, accept a key with `--accept KEY`, train into another folder with `--set run.out=DIR`, or start over with `--fresh`".into(),
            ),
            Self::Diverged { .. } => {
                Some("the last checkpoint is intact; try a lower `schedule.lr`, a longer warm-up or a smaller `optim.clip`, or let some such steps pass with `run.skip_nonfinite`".into())
            }
            Self::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded | FileTooLarge) => {
                Some("free some space and run the same command again: it continues from the last checkpoint".into())
            }
            Self::Io { .. }
            | Self::Weights { .. }
            | Self::Misfit { .. }
            | Self::Logits
            | Self::NotFinite { .. } => None,
        }
    }
}

impl pipeline::cli::Failure for Error {
    fn exit_code(&self) -> u8 {
        Error::exit_code(self)
    }

    fn hint(&self) -> Option<String> {
        Error::hint(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_configuration_shows_each_key_and_the_ways_out() {
        let error = Error::Changed { path: "runs/a".into(), changes: vec!["  run.seed: 1 -> 2".into()] };
        assert_eq!(error.to_string(), "runs/a was started with another configuration:\n  run.seed: 1 -> 2");
        assert!(error.hint().is_some_and(|hint| hint.contains("--fresh")));
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn a_locked_folder_may_be_tried_again() {
        assert_eq!(Error::Locked("runs/a".into()).exit_code(), 75);
    }
}
