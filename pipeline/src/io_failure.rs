//! What a failed read or write means for a program: its exit code, the advice, and the cause that a library between
//! the program and the disk has made into text.

use std::io::ErrorKind::{self, FileTooLarge, Interrupted, NotFound, QuotaExceeded, StorageFull};
use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

/// What a user can do when [`out_of_space`].
pub const FREE_SPACE: &str = "free some space and run the same command again: finished units are kept";

/// The exit code of a program that ends with an error of this kind: 2 for a name where nothing is, 75 for everything
/// that may pass by itself.
pub fn exit_code(kind: ErrorKind) -> u8 {
    match kind {
        NotFound => 2,
        _ => 75,
    }
}

/// Whether the cause is a full disk, a quota or a file size limit.
pub fn out_of_space(kind: ErrorKind) -> bool {
    matches!(kind, StorageFull | QuotaExceeded | FileTooLarge)
}

/// The first failure of a [`Watched`] writer; clones share it.
#[derive(Clone, Debug, Default)]
pub struct FirstFailure(Arc<OnceLock<(ErrorKind, Option<i32>)>>);

impl FirstFailure {
    /// The failure with the system's error number, where it had one; `None` while all went well.
    pub fn error(&self) -> Option<io::Error> {
        let &(kind, number) = self.0.get()?;
        Some(number.map_or_else(|| io::Error::from(kind), io::Error::from_raw_os_error))
    }

    fn note<T>(&self, done: io::Result<T>) -> io::Result<T> {
        // Writers try again after an interruption: it is no cause of anything.
        if let Err(error) = &done
            && error.kind() != Interrupted
        {
            self.0.get_or_init(|| (error.kind(), error.raw_os_error()));
        }
        done
    }
}

/// A writer that notes its first failure. The Parquet writer's last flush keeps the text of an I/O error alone, and a
/// full disk needs its own exit code and advice.
#[derive(Debug)]
pub struct Watched<W> {
    target: W,
    failure: FirstFailure,
}

impl<W> Watched<W> {
    /// Watches `target` and notes into `failure`.
    pub fn new(target: W, failure: &FirstFailure) -> Self {
        Self { target, failure: failure.clone() }
    }

    /// The target, taken out.
    pub fn into_inner(self) -> W {
        self.target
    }
}

impl<W: Write> Write for Watched<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let done = self.target.write(buf);
        self.failure.note(done)
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = self.target.flush();
        self.failure.note(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails as the list says, from its end.
    struct Failing(Vec<io::Error>);

    impl Write for Failing {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.0.pop().map_or(Ok(buf.len()), Err)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn after_writing(errors: Vec<io::Error>) -> FirstFailure {
        let failure = FirstFailure::default();
        let mut watched = Watched::new(Failing(errors), &failure);
        while !watched.target.0.is_empty() {
            drop(watched.write_all(b"x"));
        }
        watched.write_all(b"x").unwrap();
        failure
    }

    #[test]
    fn the_first_cause_counts_and_keeps_its_number() {
        assert!(after_writing(vec![]).error().is_none());
        let failure = after_writing(vec![StorageFull.into(), io::Error::from_raw_os_error(27)]);
        assert_eq!(failure.error().unwrap().raw_os_error(), Some(27));
        let failure = after_writing(vec![io::Error::from_raw_os_error(27), StorageFull.into()]);
        assert_eq!(failure.error().unwrap().kind(), StorageFull);
    }

    #[test]
    fn an_interruption_is_no_cause() {
        assert!(after_writing(vec![Interrupted.into()]).error().is_none());
        let failure = after_writing(vec![QuotaExceeded.into(), Interrupted.into()]);
        assert_eq!(failure.error().unwrap().kind(), QuotaExceeded);
    }

    #[test]
    fn only_a_missing_file_is_a_matter_of_usage() {
        assert_eq!(exit_code(NotFound), 2);
        for kind in [StorageFull, QuotaExceeded, FileTooLarge, ErrorKind::PermissionDenied] {
            assert_eq!(exit_code(kind), 75, "{kind}");
        }
        assert!(out_of_space(FileTooLarge) && !out_of_space(NotFound));
    }
}
