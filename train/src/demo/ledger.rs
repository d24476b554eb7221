//! How long each stage took and how much memory it needed, over all runs in one folder: a rerun that finds a stage done
//! still reports its cost.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::machine::peak_memory;
use crate::{Error, Result};

/// Seconds of one stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) stage: String,
    pub(super) seconds: f64,
}

/// What is kept as `stages.json` in the output folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Book {
    stages: Vec<Entry>,
    /// The most memory that any run has held, in bytes.
    peak_memory: Option<u64>,
}

/// The stages' times and the peak memory so far.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    path: PathBuf,
    book: Book,
}

impl Ledger {
    /// Opens the file, or begins a new one.
    ///
    /// # Errors
    /// A file that is not readable or not a ledger.
    pub(super) fn open(path: &Path, fresh: bool) -> Result<Self> {
        let book = if fresh || !path.exists() { Book::default() } else { read(path)? };
        Ok(Self { path: path.to_owned(), book })
    }

    /// Adds the time since `started` to a stage that did some work.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn add(&mut self, stage: &str, started: Instant) -> Result<f64> {
        let seconds = started.elapsed().as_secs_f64();
        match self.book.stages.iter_mut().find(|entry| entry.stage == stage) {
            Some(entry) => entry.seconds += seconds,
            None => self.book.stages.push(Entry { stage: stage.to_owned(), seconds }),
        }
        self.write()?;
        Ok(seconds)
    }

    /// Records the time of a stage that is done anew in every run.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn replace(&mut self, stage: &str, started: Instant) -> Result<f64> {
        self.book.stages.retain(|entry| entry.stage != stage);
        self.add(stage, started)
    }

    /// Puts a known number of seconds in the place of what was measured.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn correct(&mut self, stage: &str, seconds: f64) -> Result<()> {
        if let Some(entry) = self.book.stages.iter_mut().find(|entry| entry.stage == stage) {
            entry.seconds = entry.seconds.max(seconds);
            return self.write();
        }
        self.book.stages.push(Entry { stage: stage.to_owned(), seconds });
        self.write()
    }

    /// All stages in the order in which they first ran.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.book.stages
    }

    /// The most memory that any run in this folder has held, in bytes; `None` where the system does not tell.
    pub(super) fn peak_memory(&self) -> Option<u64> {
        self.book.peak_memory.max(peak_memory())
    }

    fn write(&mut self) -> Result<()> {
        self.book.peak_memory = self.peak_memory();
        let json = serde_json::to_string_pretty(&self.book).map_err(|e| Error::weights(&self.path, e))?;
        Ok(pipeline::atomic::write(&self.path, json + "\n")?)
    }
}

fn read(path: &Path) -> Result<Book> {
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    serde_json::from_str(&text).map_err(|error| Error::weights(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_add_up_over_runs_until_a_fresh_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stages.json");
        let long_ago = Instant::now().checked_sub(std::time::Duration::from_secs(3)).unwrap();
        Ledger::open(&path, false).unwrap().add("crawl", long_ago).unwrap();
        let mut again = Ledger::open(&path, false).unwrap();
        again.add("crawl", long_ago).unwrap();
        again.replace("draw", long_ago).unwrap();
        again.replace("draw", long_ago).unwrap();
        again.correct("crawl", 5.0).unwrap();
        let seconds: Vec<_> = again.entries().iter().map(|entry| entry.seconds.round() as u64).collect();
        assert_eq!(seconds, [6, 3]);
        again.correct("crawl", 60.0).unwrap();
        let read = Ledger::open(&path, false).unwrap();
        assert_eq!(read.entries()[0].seconds, 60.0);
        assert_eq!(read.peak_memory().is_some(), cfg!(target_os = "linux"));
        assert!(Ledger::open(&path, true).unwrap().entries().is_empty());
    }
}
