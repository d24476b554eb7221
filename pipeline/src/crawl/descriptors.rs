//! Open files: every connection is one, and shells commonly allow 1,024.

use crate::{Error, Result};

/// More than any crawl opens.
const PLENTY: u64 = 1 << 16;
/// Lists, shards, threads' pipes and connections that are kept open.
const OTHERS: u64 = 64;

/// Raises the soft limit as far as the hard one allows, as Go's runtime does, and checks that `downloads` at a time fit.
///
/// # Errors
/// [`Error::Config`] when they do not.
pub(super) fn provide(downloads: usize) -> Result<()> {
    check(raise(), needed(downloads))
}

/// Files that `downloads` at a time need.
pub(super) fn needed(downloads: usize) -> u64 {
    downloads as u64 + OTHERS
}

/// What to do where `needed` are not to be had.
pub(super) fn cure(needed: u64) -> String {
    format!("raise the limit with ulimit -n {needed}, or lower net.concurrency")
}

fn check(limit: Option<u64>, needed: u64) -> Result<()> {
    match limit {
        Some(limit) if limit < needed => {
            let message = format!("needs {needed} open files, and this process may have {limit}");
            Err(Error::config("net.concurrency", message).with_hint(cure(needed)))
        }
        _ => Ok(()),
    }
}

/// The limit after raising it; `None`: there is none, or nobody knows.
#[cfg(unix)]
pub(super) fn raise() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let current = current?;
    let wanted = maximum.unwrap_or(PLENTY).min(PLENTY);
    if current >= wanted {
        return Some(current);
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
        Ok(()) => Some(wanted),
        Err(_) => Some(current),
    }
}

#[cfg(not(unix))]
pub(super) fn raise() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_open_files_are_told_with_the_cure() {
        let error = check(Some(1024), 4160).unwrap_err();
        assert!(error.to_string().contains("needs 4160 open files"), "{error}");
        assert!(error.hint().unwrap().contains("ulimit -n 4160"));
        assert!(check(None, 4160).is_ok() && provide(1).is_ok());
    }
}
