//! Distinct words and how often each occurs.

use std::hash::Hasher;

use hashbrown::HashTable;
use rustc_hash::FxHasher;

/// Distinct byte strings with counts. The strings lie end to end in one buffer: no allocation per word.
#[derive(Default)]
pub(super) struct Words {
    table: HashTable<Word>,
    bytes: Vec<u8>,
}

struct Word {
    start: usize,
    length: usize,
    count: u64,
}

impl Word {
    fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.start..self.start + self.length]
    }
}

impl Words {
    /// Counts `word` `count` times more.
    #[inline]
    pub(super) fn add(&mut self, word: &[u8], count: u64) {
        let key = hash(word);
        let bytes = &self.bytes;
        match self.table.find_mut(key, |known| known.of(bytes) == word) {
            Some(known) => known.count += count,
            None => self.insert(key, word, count),
        }
    }

    #[cold]
    fn insert(&mut self, key: u64, word: &[u8], count: u64) {
        let new = Word { start: self.bytes.len(), length: word.len(), count };
        self.bytes.extend_from_slice(word);
        let bytes = &self.bytes;
        self.table.insert_unique(key, new, |known| hash(known.of(bytes)));
    }

    /// Adds the words of another table; the sums do not depend on the order in which tables are added.
    pub(super) fn absorb(&mut self, other: &Self) {
        for (word, count) in other.iter() {
            self.add(word, count);
        }
    }

    /// Words and counts, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.table.iter().map(|word| (word.of(&self.bytes), word.count))
    }

    /// Number of distinct words.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }
}

fn hash(word: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(word);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_add_up() {
        let mut one = Words::default();
        for number in 0..1000_u32 {
            one.add(format!("{}", number % 300).as_bytes(), 2);
        }
        let mut other = Words::default();
        other.add(b"7", 1);
        other.add(b"", 5);
        one.absorb(&other);
        let count = |word: &[u8]| one.iter().find(|(known, _)| *known == word).map(|(_, count)| count);
        assert_eq!((one.len(), count(b"7"), count(b"299"), count(b"")), (301, Some(9), Some(6), Some(5)));
    }
}
