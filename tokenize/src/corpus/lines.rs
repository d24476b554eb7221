//! Plain text, one text a line.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::Batch;
use super::batch::BATCH;
use crate::{Error, Result};

/// The lines of a file, a megabyte at a time: memory grows with the longest line alone.
pub(super) struct Lines {
    path: PathBuf,
    reader: Box<dyn Read + Send>,
    /// The beginning of a line whose end is still to be read.
    rest: Vec<u8>,
    /// Lines handed over.
    done: usize,
    ended: bool,
}

impl Lines {
    pub(super) fn new(path: &Path, reader: Box<dyn Read + Send>) -> Self {
        Self { path: path.to_owned(), reader, rest: Vec::new(), done: 0, ended: false }
    }

    /// Whole lines, all that are left where the file ends.
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = std::mem::take(&mut self.rest);
        loop {
            let before = bytes.len();
            let read = self.reader.by_ref().take(BATCH as u64).read_to_end(&mut bytes)?;
            if read < BATCH {
                self.ended = true;
                return Ok(bytes);
            }
            if let Some(end) = memchr::memrchr(b'\n', &bytes[before..]) {
                self.rest = bytes.split_off(before + end + 1);
                return Ok(bytes);
            }
        }
    }
}

impl Iterator for Lines {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let bytes = match self.read() {
            Ok(bytes) => bytes,
            Err(error) => {
                self.ended = true;
                return Some(Err(Error::io(&self.path)(error)));
            }
        };
        let place = |line: usize| format!("{}:{line}", self.path.display());
        let batch = Batch::from_lines(bytes, self.done + 1, place);
        self.done += batch.len();
        Some(Ok(batch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_across_the_borders_of_blocks_stay_whole() {
        let lines: Vec<String> = (0..3000).map(|n| format!("{n} {}", "ё".repeat(n % 700))).collect();
        let long = "x".repeat(3 * BATCH);
        let text = format!("{}\n{long}\nlast", lines.join("\n"));
        assert!(text.len() > 4 * BATCH);
        let batches = Lines::new(Path::new("a.txt"), Box::new(io::Cursor::new(text.clone().into_bytes())));
        let batches: Vec<Batch> = batches.collect::<Result<_>>().unwrap();
        assert!(batches.len() > 1);
        let read: Vec<&str> = batches.iter().flat_map(Batch::texts).collect();
        assert_eq!(read, text.lines().collect::<Vec<_>>());
    }
}
