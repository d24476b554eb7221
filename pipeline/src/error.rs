//! The errors of this crate: each names the file, key or unit at fault and, where known, the cure.

use std::path::PathBuf;

use crate::io_failure;

/// The result of everything in this crate that can fail as a whole.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What ends a command. A bad row is no error: see [`crate::reason::Reason`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A store (folder or bucket) refused an operation.
    #[error("{location}: {source}")]
    Store {
        /// Store and object.
        location: String,
        /// What the store said.
        source: object_store::Error,
    },
    /// A config file, a `--set` or a flag is wrong.
    #[error("{place}: {message}")]
    Config {
        /// `file:line:column`, `--set a.b=…` or the name of the key.
        place: String,
        /// What is wrong with it.
        message: String,
        /// The cure.
        hint: Option<String>,
    },
    /// An input file is not what it should be.
    #[error("{path}: {message}")]
    Input {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
        /// The cure.
        hint: Option<String>,
    },
    /// A Parquet file could not be read.
    #[error("{path}: not a readable Parquet file: {message}")]
    Parquet {
        /// The file.
        path: String,
        /// What the reader said.
        message: String,
    },
    /// A shard could not be written for a reason that is not the disk's.
    #[error("{path}: cannot write the shard: {message}")]
    Write {
        /// The shard.
        path: String,
        /// What the writer said.
        message: String,
    },
    /// The folder holds the work of another plan.
    #[error("{location} holds the output of another plan ({found}, now {wanted})")]
    OtherPlan {
        /// The output folder.
        location: String,
        /// Plan id in the folder.
        found: String,
        /// Plan id of this config and input.
        wanted: String,
    },
    /// No plan lies in the folder.
    #[error("{location}: no plan.json here")]
    NoPlan {
        /// The output folder.
        location: String,
    },
    /// `--unit` names a unit that the plan does not have.
    #[error("{message}")]
    Unit {
        /// Which one, and how many there are.
        message: String,
    },
    /// Ctrl-C or SIGTERM.
    #[error("interrupted; what is committed stays, the same command continues")]
    Interrupted {
        /// Exit code: 130 for Ctrl-C, 143 for SIGTERM.
        code: u8,
    },
    /// The network layer could not be set up.
    #[error("cannot set up the network client: {message}")]
    Network {
        /// What it said.
        message: String,
    },
    /// A part of the program ended before its work was done.
    #[error("{what} ended before its work was done")]
    Lost {
        /// Which part.
        what: &'static str,
    },
}

impl Error {
    /// An I/O error at `path`.
    pub fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }

    /// A wrong config value at `place`.
    pub fn config(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Config { place: place.into(), message: message.into(), hint: None }
    }

    /// A wrong input file.
    pub fn input(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self::Input { path: path.into(), message: message.into(), hint: None }
    }

    /// The same error with a cure.
    #[must_use]
    pub fn with_hint(mut self, cure: impl Into<String>) -> Self {
        if let Self::Config { hint, .. } | Self::Input { hint, .. } = &mut self {
            *hint = Some(cure.into());
        }
        self
    }

    /// The exit code of a program that ends with this error: 2 usage or config, 75 try again, 130/143 interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Interrupted { code } => *code,
            Self::Io { source, .. } => io_failure::exit_code(source.kind()),
            Self::Store { .. } if self.is_not_found() => 2,
            Self::Store { .. } | Self::Write { .. } | Self::Network { .. } | Self::Lost { .. } => 75,
            Self::Config { .. }
            | Self::Input { .. }
            | Self::Parquet { .. }
            | Self::OtherPlan { .. }
            | Self::NoPlan { .. }
            | Self::Unit { .. } => 2,
        }
    }

    /// What the user can do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Config { hint, .. } | Self::Input { hint, .. } => hint.clone(),
            Self::OtherPlan { .. } => {
                Some("choose another --out, or start over with --fresh (deletes the shards in it)".into())
            }
            Self::NoPlan { .. } => Some("name the folder that a crawl wrote, the one given as --out".into()),
            Self::Parquet { .. } => {
                Some("the file may be cut short: compare its size with the original".into())
            }
            _ if self.disk_full() => Some(io_failure::FREE_SPACE.into()),
            Self::Store { location, source } => crate::store::hint(location, source),
            _ => None,
        }
    }

    /// Whether a file was not there.
    pub(crate) fn is_not_found(&self) -> bool {
        match self {
            Self::Io { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
            Self::Store { source, .. } => matches!(source, object_store::Error::NotFound { .. }),
            _ => false,
        }
    }

    /// Whether some cause behind this error is a full disk.
    fn disk_full(&self) -> bool {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if let Some(io) = error.downcast_ref::<std::io::Error>()
                && io_failure::out_of_space(io.kind())
            {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_asks_to_try_again() {
        let error = Error::io("out/00000.parquet", std::io::ErrorKind::StorageFull.into());
        assert_eq!(error.exit_code(), 75);
        assert!(error.hint().unwrap().contains("free some space"));
    }

    #[test]
    fn a_missing_file_is_a_usage_error() {
        let error = Error::io("urls.parquet", std::io::ErrorKind::NotFound.into());
        assert_eq!(error.exit_code(), 2);
        assert_eq!(error.hint(), None);
    }
}
