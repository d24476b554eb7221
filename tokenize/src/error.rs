//! Everything that can go wrong in this crate, each with the file, row or key and, where known, the cure.

use std::io;
use std::path::{Path, PathBuf};

use pipeline::io_failure;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of `tokenize`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something in the pair shards, the store, the plan or the settings.
    #[error(transparent)]
    Pipeline(#[from] pipeline::Error),
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A setting that cannot be used.
    #[error("{key}: {why}")]
    Config {
        /// The key of the configuration.
        key: String,
        /// Why the value cannot be used.
        why: String,
    },
    /// Codec weights that cannot be loaded.
    #[error("{}: {why}", path.display())]
    Checkpoint {
        /// The weights file.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// A text tokenizer that cannot be trained or loaded.
    #[error("{what}: {why}")]
    Bpe {
        /// The file, or what was being done.
        what: String,
        /// What does not fit.
        why: String,
        /// The cure.
        cure: Option<String>,
    },
    /// A table whose content is not what its kind promises.
    #[error("{}: {why}", path.display())]
    Table {
        /// The Parquet file.
        path: PathBuf,
        /// What does not fit.
        why: String,
        /// The cure.
        cure: Option<String>,
    },
    /// Token shards made by another codec or text tokenizer than the one given.
    #[error("{} was made with the {kind} {found}, but {} is {expected} (sha256)", shard.display(), given.display())]
    Mismatch {
        /// `codec` or `bpe`.
        kind: &'static str,
        /// The token shard.
        shard: PathBuf,
        /// The hash in the shard's metadata.
        found: String,
        /// The file given on the command line.
        given: PathBuf,
        /// Its hash.
        expected: String,
    },
    /// A parity case that cannot be run.
    #[error("{}: {why}", path.display())]
    Case {
        /// The case's folder or file.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
}

impl Error {
    /// An [`Error::Io`] of `path`.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    /// An [`Error::Table`] of `path`; damaged Parquet gets the cure that helps most often.
    pub fn table(path: impl AsRef<Path>, why: impl ToString) -> Self {
        Self::Table { path: path.as_ref().to_owned(), why: why.to_string(), cure: None }
    }

    /// The process's exit code: 2 usage or configuration, 75 try again, 130/143 interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Pipeline(error) => error.exit_code(),
            Self::Io { source, .. } => io_failure::exit_code(source.kind()),
            Self::Config { .. }
            | Self::Checkpoint { .. }
            | Self::Bpe { .. }
            | Self::Table { .. }
            | Self::Mismatch { .. }
            | Self::Case { .. } => 2,
        }
    }

    /// What the user can do about it, where known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Pipeline(error) => error.hint(),
            Self::Bpe { cure, .. } | Self::Table { cure, .. } => cure.clone(),
            Self::Mismatch { kind: "codec", .. } => Some(
                "give the codec that made the shards, or make them again with `tokenize shards --fresh`"
                    .to_owned(),
            ),
            Self::Io { source, .. } if io_failure::out_of_space(source.kind()) => {
                Some(io_failure::FREE_SPACE.to_owned())
            }
            _ => None,
        }
    }
}

impl pipeline::cli::Failure for Error {
    fn exit_code(&self) -> u8 {
        Self::exit_code(self)
    }

    fn hint(&self) -> Option<String> {
        Self::hint(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_and_advice_are_those_of_the_pipeline() {
        for kind in [io::ErrorKind::NotFound, io::ErrorKind::FileTooLarge, io::ErrorKind::PermissionDenied] {
            let ours = Error::io("t.parquet")(kind.into());
            let theirs = pipeline::Error::io("t.parquet", kind.into());
            assert_eq!((ours.exit_code(), ours.hint()), (theirs.exit_code(), theirs.hint()), "{kind}");
        }
    }
}
