//! What all kinds of encoding have in common: cut a text into words, look each up or merge it.

use super::cache::{self, Cache};
use super::merges::{Merges, UNKNOWN, Word};
use super::split::Split;
use super::symbols::Symbols;

/// A byte-pair encoding in the form that encodes.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    pub(super) split: Split,
    pub(super) symbols: Symbols,
    pub(super) merges: Merges,
    /// What a run of text outside the alphabet becomes; without it, nothing.
    pub(super) unknown: Option<u32>,
}

/// Room that is kept from text to text, and the words seen so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Room {
    cache: Cache,
    word: Word,
    bytes: Vec<u8>,
    bounds: Vec<[usize; 2]>,
}

impl Engine {
    /// Words that are one id as they are, whatever their merges would give (`ignore_merges`).
    pub(super) fn keep_whole(&mut self, words: impl Iterator<Item = (String, u32)>) {
        if let Symbols::Bytes(bytes) = &mut self.symbols {
            bytes.whole = words.map(|(word, id)| (word.into(), id)).collect();
        }
    }

    /// Adds the ids of `text` to `out`.
    pub(super) fn encode(&self, room: &mut Room, text: &str, out: &mut Vec<u32>) {
        let Room { cache, word, bytes, bounds } = room;
        self.split.cut(text, bytes, bounds);
        for &[start, end] in bounds.iter() {
            let key = cache::key(bytes, start, end);
            if let Some(key) = &key
                && cache.copy(key, out)
            {
                continue;
            }
            let before = out.len();
            self.merge(&text[start..end], word, out, |word| self.merges.merge(word));
            if let Some(key) = key {
                cache.insert(key, &out[before..]);
            }
        }
    }

    /// The same with BPE dropout (Provilkov et al. 2020): every merge is passed over where `skip` says so.
    pub(super) fn encode_with_dropout(
        &self,
        room: &mut Room,
        text: &str,
        skip: &mut impl FnMut() -> bool,
        out: &mut Vec<u32>,
    ) {
        let Room { word, bytes, bounds, .. } = room;
        self.split.cut(text, bytes, bounds);
        for &[start, end] in bounds.iter() {
            self.merge(&text[start..end], word, out, |word| self.merges.merge_with_dropout(word, skip));
        }
    }

    #[inline(never)]
    fn merge(&self, text: &str, word: &mut Word, out: &mut Vec<u32>, merge: impl FnOnce(&mut Word)) {
        word.symbols.clear();
        if let Some(id) = self.symbols.of(text, &mut word.symbols) {
            out.push(id);
            return;
        }
        merge(word);
        let known = |&symbol: &u32| if symbol == UNKNOWN { self.unknown } else { Some(symbol) };
        out.extend(word.symbols.iter().filter_map(known));
    }
}
