//! Words that were encoded before: a table of fixed size, one cache line for a word and its ids.
//!
//! Captions repeat their words, so that most words cost one look-up instead of their merges. A word has two places; a
//! new one takes the first and moves what was there to the second: the table never grows, and what it holds changes
//! the speed alone, never an id.

use super::mix;

/// Words of more bytes are merged every time.
pub(super) const WORD: usize = 31;
/// Words of more ids too.
const IDS: usize = 7;
/// 2^16 words of 64 bytes, in pairs.
const BITS: u32 = 16;
/// Bytes behind a word that must be readable.
pub(super) const PADDING: usize = 32;

/// A word of up to [`WORD`] bytes, padded with zeros, its length in the last byte.
pub(super) type Key = [u64; 4];

#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
struct Slot {
    key: Key,
    ids: [u32; IDS],
    count: u32,
}

/// The table.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    slots: Vec<Slot>,
}

/// Bytes of each part of a key that belong to a word of that length.
const MASKS: [Key; WORD + 1] = {
    let mut masks = [[0; 4]; WORD + 1];
    let mut length = 0;
    while length <= WORD {
        let mut part = 0;
        while part < 4 {
            let bytes = length.saturating_sub(8 * part);
            masks[length][part] = if bytes >= 8 { u64::MAX } else { (1 << (8 * bytes)) - 1 };
            part += 1;
        }
        length += 1;
    }
    masks
};

/// The key of the word `text[start..end]`, where it is short enough.
#[inline]
pub(super) fn key(text: &[u8], start: usize, end: usize) -> Option<Key> {
    let mask = MASKS.get(end - start)?;
    let bytes = text.get(start..)?.first_chunk::<32>()?;
    let mut key = [0; 4];
    for ((part, bytes), mask) in key.iter_mut().zip(bytes.as_chunks::<8>().0).zip(mask) {
        *part = u64::from_le_bytes(*bytes) & mask;
    }
    key[3] |= ((end - start) as u64) << 56;
    Some(key)
}

impl Default for Cache {
    fn default() -> Self {
        Self { slots: vec![Slot::default(); 1 << BITS] }
    }
}

impl Cache {
    /// The first of a word's two places.
    #[inline]
    fn place(key: &Key) -> usize {
        let [a, b, c, d] = *key;
        let hash = mix(a ^ 0x2d35_8dcc_aa6c_78a5, b ^ 0x8bb8_4b93_962e_acc9)
            ^ mix(c ^ 0x4b33_a62e_d433_d4a3, d ^ 0x4d5a_2da5_1de1_aa47);
        (hash >> (64 - BITS)) as usize & !1
    }

    /// Adds the ids of a known word to `out`.
    #[inline]
    pub(super) fn copy(&self, key: &Key, out: &mut Vec<u32>) -> bool {
        let place = Self::place(key);
        let [first, second] = &self.slots[place..place + 2] else { return false };
        let slot = if first.key == *key { first } else { second };
        if slot.key != *key {
            return false;
        }
        // All of them, then back: a copy of fixed length is two instructions.
        let length = out.len() + slot.count as usize;
        out.extend_from_slice(&slot.ids);
        out.truncate(length);
        true
    }

    /// Remembers a word, where it has few enough ids.
    pub(super) fn insert(&mut self, key: Key, ids: &[u32]) {
        if ids.len() <= IDS {
            let place = Self::place(&key);
            self.slots[place + 1] = self.slots[place];
            let slot = &mut self.slots[place];
            *slot = Slot { key, ids: [0; IDS], count: ids.len() as u32 };
            slot.ids[..ids.len()].copy_from_slice(ids);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(word: &[u8]) -> Option<Key> {
        let text = [b"xy", word, &[b'z'; PADDING][..]].concat();
        key(&text, 2, 2 + word.len())
    }

    #[test]
    fn a_key_is_the_word_and_nothing_beside_it() {
        let words: [&[u8]; 7] = [b"a", b"a\0", b"ab", b"abcdefgh", b"abcdefghi", &[b'a'; 31], &[b'a'; 30]];
        for (i, a) in words.iter().enumerate() {
            for (j, b) in words.iter().enumerate() {
                assert_eq!(key_of(a) == key_of(b), i == j);
            }
        }
        assert_eq!(key_of(&[b'a'; 32]), None);
    }

    #[test]
    fn a_remembered_word_gives_its_ids_and_a_long_one_is_not_remembered() {
        let mut cache = Cache::default();
        let (known, long) = (key_of(b"cat").unwrap(), key_of(b"dog").unwrap());
        cache.insert(known, &[7, 8, 9]);
        cache.insert(long, &[1; 8]);
        let mut out = vec![5];
        assert!(cache.copy(&known, &mut out) && !cache.copy(&long, &mut out));
        assert_eq!(out, [5, 7, 8, 9]);
    }

    #[test]
    fn a_full_table_forgets_but_never_mistakes_a_word() {
        let mut cache = Cache::default();
        let words: Vec<String> = (0..100_000).map(|n| format!("word{n}")).collect();
        for (id, word) in (0..).zip(&words) {
            cache.insert(key_of(word.as_bytes()).unwrap(), &[id]);
        }
        let mut kept = 0;
        for (id, word) in (0..).zip(&words) {
            let mut out = Vec::new();
            if cache.copy(&key_of(word.as_bytes()).unwrap(), &mut out) {
                assert_eq!(out, [id]);
                kept += 1;
            }
        }
        assert!((1 << 15..=1 << 16).contains(&kept), "{kept}");
    }
}
