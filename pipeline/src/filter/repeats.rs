//! Which texts more than so many rows have: counted exactly by a 64-bit hash, with 8 bytes a row on disk and little in
//! memory however many rows there are.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

use xxhash_rust::xxh3::xxh3_64;

use super::columns::Text;
use crate::{Error, Result};

/// Files over which the hashes are spread: one of them at a time is sorted in memory, 125 MB at a billion rows.
const FILES: usize = 64;

/// The frequent texts of one column, once they are counted.
#[derive(Debug)]
pub(super) struct Repeats {
    pub(super) column: Text,
    /// The step that asks: what the steps before it rewrite is counted as they leave it.
    pub(super) step: usize,
    max: u64,
    numbers: bool,
    frequent: OnceLock<HashSet<u64>>,
}

impl Repeats {
    pub(super) fn new(column: Text, step: usize, max: u64, numbers: bool) -> Self {
        Self { column, step, max, numbers, frequent: OnceLock::new() }
    }

    pub(super) fn are_counted(&self) -> bool {
        self.frequent.get().is_some()
    }

    /// Whether too many rows have this text; `template` is room to write in.
    pub(super) fn is_frequent(&self, text: &str, template: &mut String) -> bool {
        let hash = self.hash(text, template);
        self.frequent.get().zip(hash).is_some_and(|(frequent, hash)| frequent.contains(&hash))
    }

    /// The hash of a text's template; of an empty text none.
    pub(super) fn hash(&self, text: &str, template: &mut String) -> Option<u64> {
        template.clear();
        write_template(text, self.numbers, template);
        (!template.is_empty()).then(|| xxh3_64(template.as_bytes()))
    }

    /// Ends the counting.
    pub(super) fn settle(&self, tally: Tally) -> Result<()> {
        let frequent = tally.frequent(self.max)?;
        self.frequent.get_or_init(|| frequent);
        Ok(())
    }
}

/// The text in lower case, each run of spaces one space and, if so wished, each number a 0.
fn write_template(text: &str, numbers: bool, template: &mut String) {
    let mut before = None;
    for c in text.trim().chars() {
        let c = match c {
            c if numbers && c.is_numeric() => '0',
            c if c.is_whitespace() => ' ',
            c => c,
        };
        let again = before == Some(c) && (c == ' ' || (numbers && c == '0'));
        match c.is_ascii() {
            _ if again => {}
            true => template.push(c.to_ascii_lowercase()),
            false => template.extend(c.to_lowercase()),
        }
        before = Some(c);
    }
}

/// Hashes on their way to disk, in files that have no name, so that a kill leaves nothing.
pub(super) struct Tally {
    files: Vec<Mutex<BufWriter<File>>>,
}

impl Tally {
    pub(super) fn new() -> Result<Self> {
        let file = || tempfile::tempfile().map(|file| Mutex::new(BufWriter::with_capacity(1 << 15, file)));
        let files = (0..FILES).map(|_| file()).collect::<io::Result<_>>();
        Ok(Self { files: files.map_err(unwritable)? })
    }

    /// Adds the hashes of some rows.
    pub(super) fn add(&self, hashes: impl Iterator<Item = u64>) -> Result<()> {
        let mut sorted: Vec<Vec<u8>> = vec![Vec::new(); FILES];
        for hash in hashes {
            sorted[hash as usize % FILES].extend(hash.to_le_bytes());
        }
        for (file, bytes) in self.files.iter().zip(sorted) {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.write_all(&bytes).map_err(unwritable)?;
        }
        Ok(())
    }

    /// The hashes that came more than `max` times.
    fn frequent(self, max: u64) -> Result<HashSet<u64>> {
        let mut frequent = HashSet::new();
        for file in self.files {
            let hashes = sorted(file.into_inner().unwrap_or_else(PoisonError::into_inner))?;
            let runs = hashes.chunk_by(|a, b| a == b).filter(|run| run.len() as u64 > max);
            frequent.extend(runs.map(|run| run[0]));
        }
        Ok(frequent)
    }
}

fn sorted(file: BufWriter<File>) -> Result<Vec<u64>> {
    let read = || {
        let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0))?;
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes: Vec<u8> = read().map_err(unwritable)?;
    let mut hashes: Vec<u64> = bytes.as_chunks().0.iter().map(|hash| u64::from_le_bytes(*hash)).collect();
    hashes.sort_unstable();
    Ok(hashes)
}

fn unwritable(error: io::Error) -> Error {
    Error::io(std::env::temp_dir(), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str, numbers: bool) -> String {
        let mut template = String::new();
        write_template(text, numbers, &mut template);
        template
    }

    #[test]
    fn templates_forget_case_spaces_and_numbers() {
        assert_eq!(template("  Picture 12 of\n 340 ", true), "picture 0 of 0");
        assert_eq!(template("Picture 12", false), "picture 12");
        assert_eq!(template("КОТ №5", true), "кот №0");
    }

    #[test]
    fn counts_are_exact() {
        let tally = Tally::new().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                // Of each hash n there are 3 * n.
                scope.spawn(|| (0..60_u64).for_each(|n| tally.add((0..n).map(|_| n)).unwrap()));
            }
        });
        let frequent = tally.frequent(90).unwrap();
        assert_eq!(frequent, (31..60).collect());
    }
}
