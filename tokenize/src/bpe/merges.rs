//! The merges of a byte-pair encoding, and the merging of one word: lowest rank first, the leftmost of equals.
//!
//! Short words are merged in an array that is scanned for the lowest rank, as a scan of thirty numbers is cheaper than
//! a heap; long ones in a linked list with a heap, O(n log n), so that a word of a megabyte takes no minutes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::mix;

/// The value of a pair that does not merge.
const NONE: u64 = u64::MAX;
/// The key of a free place in the table: a pair of [`UNKNOWN`], which never merges.
const FREE: u64 = u64::MAX;
/// Words of more symbols than this are merged with a heap.
const SHORT: usize = 32;
/// A symbol that stands for text outside the alphabet and takes part in no merge.
pub(super) const UNKNOWN: u32 = u32::MAX;

/// Which pair becomes which symbol, and how early: an open-addressed hash table.
#[derive(Clone, Debug)]
pub(super) struct Merges {
    /// Pair and value side by side, so that a look-up costs one cache line.
    table: Vec<(u64, u64)>,
    shift: u32,
    /// See [`Self::of_library`].
    ambiguous: bool,
}

/// Room for one word while it is merged, kept from word to word.
#[derive(Clone, Debug, Default)]
pub(super) struct Word {
    /// The symbols, before and after.
    pub(super) symbols: Vec<u32>,
    values: Vec<u64>,
    next: Vec<u32>,
    previous: Vec<u32>,
    heap: BinaryHeap<Reverse<(u32, u32, u32)>>,
}

impl Merges {
    /// A table with room for so many pairs.
    pub(super) fn with_room(pairs: usize) -> Self {
        let places = (pairs * 2).next_power_of_two().max(2);
        Self { table: vec![(FREE, NONE); places], shift: 64 - places.trailing_zeros(), ambiguous: false }
    }

    /// The table of `(left, right, rank, merged)`. A pair given twice keeps its last rank, as in the published programs.
    pub(super) fn new(merges: impl ExactSizeIterator<Item = (u32, u32, u32, u32)>) -> Self {
        let mut this = Self::with_room(merges.len());
        for (left, right, rank, merged) in merges {
            this.insert(left, right, rank, merged);
        }
        this
    }

    /// The same for merges of Hugging Face's library, which asks of a candidate whether its pair still makes its symbol,
    /// not whether it is still its pair: not the same where two pairs make one symbol.
    pub(super) fn of_library(merges: &[(u32, u32, u32, u32)]) -> Self {
        let mut made: Vec<u32> = merges.iter().map(|(.., merged)| *merged).collect();
        made.sort_unstable();
        let ambiguous = made.windows(2).any(|pair| pair[0] == pair[1]);
        Self { ambiguous, ..Self::new(merges.iter().copied()) }
    }

    /// Adds a pair to a table that was made large enough.
    pub(super) fn insert(&mut self, left: u32, right: u32, rank: u32, merged: u32) {
        let (pair, mask) = (pair(left, right), self.table.len() - 1);
        let mut at = self.place(pair);
        while self.table[at].0 != FREE && self.table[at].0 != pair {
            at = (at + 1) & mask;
        }
        self.table[at] = (pair, value(rank, merged));
    }

    #[inline]
    fn place(&self, pair: u64) -> usize {
        (mix(pair, 0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }

    /// Rank (upper half) and symbol (lower half) of a pair: values order as ranks do.
    #[inline]
    fn get(&self, left: u32, right: u32) -> u64 {
        let (pair, mask) = (pair(left, right), self.table.len() - 1);
        let mut at = self.place(pair);
        loop {
            let (key, value) = self.table[at];
            if key == pair || key == FREE {
                return value;
            }
            at = (at + 1) & mask;
        }
    }

    /// Merges `word.symbols` as far as it goes.
    pub(super) fn merge(&self, word: &mut Word) {
        if self.ambiguous || word.symbols.len() > SHORT {
            self.merge_long(word);
        } else {
            self.merge_short(word);
        }
    }

    fn merge_short(&self, word: &mut Word) {
        let (mut symbols, mut values) = ([0; SHORT], [NONE; SHORT]);
        let mut length = word.symbols.len().min(SHORT);
        symbols[..length].copy_from_slice(&word.symbols[..length]);
        // The last symbol has no pair; its value stays NONE.
        for at in 1..length {
            values[at - 1] = self.get(symbols[at - 1], symbols[at]);
        }
        while let Some(at) = lowest(&values[..length]) {
            let merged = values[at] as u32;
            symbols[at] = merged;
            length -= 1;
            for gone in at + 1..length {
                symbols[gone] = symbols[gone + 1];
                values[gone] = values[gone + 1];
            }
            values[at] = if at + 1 < length { self.get(merged, symbols[at + 1]) } else { NONE };
            if at > 0 {
                values[at - 1] = self.get(symbols[at - 1], merged);
            }
        }
        word.symbols.clear();
        word.symbols.extend_from_slice(&symbols[..length]);
    }

    fn merge_long(&self, word: &mut Word) {
        let mut list = List::new(self, word);
        while let Some(Reverse((rank, at, merged))) = list.word.heap.pop() {
            let value = list.word.values[at as usize];
            // Not `value == …`: the library that makes ambiguous merges asks for the symbol alone.
            if value != NONE && value as u32 == merged && (self.ambiguous || value >> 32 == u64::from(rank)) {
                list.merge(at as usize, merged);
            }
        }
        list.finish();
    }

    /// Merges with dropout: in each step the candidates are tried in order and each passed over with the probability
    /// that `skip` draws with; where all are passed over the word stays as it is.
    pub(super) fn merge_with_dropout(&self, word: &mut Word, skip: &mut impl FnMut() -> bool) {
        let mut list = List::new(self, word);
        let mut passed = Vec::new();
        while let Some(candidate) = list.word.heap.pop() {
            if skip() {
                passed.push(candidate);
                continue;
            }
            list.word.heap.extend(passed.drain(..));
            let Reverse((rank, at, merged)) = candidate;
            if list.word.values[at as usize] == value(rank, merged) {
                list.merge(at as usize, merged);
            }
        }
        list.finish();
    }
}

/// No neighbour.
const END: u32 = u32::MAX;

/// A word as a linked list with a heap of its candidates.
struct List<'a> {
    merges: &'a Merges,
    word: &'a mut Word,
}

impl<'a> List<'a> {
    fn new(merges: &'a Merges, word: &'a mut Word) -> Self {
        let length = word.symbols.len() as u32;
        word.next.clear();
        word.next.extend((1..length).chain([END]));
        word.previous.clear();
        word.previous.extend([END].into_iter().chain(0..length.saturating_sub(1)));
        word.values.clear();
        word.values.resize(length as usize, NONE);
        word.heap.clear();
        let mut this = Self { merges, word };
        for at in 0..(length as usize).saturating_sub(1) {
            this.look(at);
        }
        this
    }

    /// Looks the pair that begins at `at` up, and makes it a candidate where it merges.
    fn look(&mut self, at: usize) {
        let next = self.word.next[at];
        let value = match next {
            END => NONE,
            next => self.merges.get(self.word.symbols[at], self.word.symbols[next as usize]),
        };
        self.word.values[at] = value;
        if value != NONE {
            self.word.heap.push(Reverse(((value >> 32) as u32, at as u32, value as u32)));
        }
    }

    fn merge(&mut self, at: usize, merged: u32) {
        let gone = self.word.next[at] as usize;
        let next = self.word.next[gone];
        self.word.symbols[at] = merged;
        self.word.next[at] = next;
        self.word.values[gone] = NONE;
        // Marks it as gone for `finish`.
        self.word.previous[gone] = gone as u32;
        if next != END {
            self.word.previous[next as usize] = at as u32;
        }
        if let Some(before) = Some(self.word.previous[at]).filter(|&before| before != END) {
            self.look(before as usize);
        }
        self.look(at);
    }

    /// Closes the gaps.
    fn finish(self) {
        let Word { symbols, previous, .. } = self.word;
        let mut at = 0;
        symbols.retain(|_| {
            at += 1;
            previous[at - 1] != at as u32 - 1
        });
    }
}

/// Where the lowest value is, the first of equals; nowhere if all are [`NONE`].
#[inline]
fn lowest(values: &[u64]) -> Option<usize> {
    let mut best = (NONE, 0);
    for (at, &value) in values.iter().enumerate() {
        best = if value < best.0 { (value, at) } else { best };
    }
    (best.0 != NONE).then_some(best.1)
}

#[inline]
fn pair(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

fn value(rank: u32, merged: u32) -> u64 {
    u64::from(rank) << 32 | u64::from(merged)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition: the lowest rank, the leftmost of equals, until nothing merges.
    fn defined(merges: &Merges, mut symbols: Vec<u32>) -> Vec<u32> {
        loop {
            let values = symbols.windows(2).map(|pair| merges.get(pair[0], pair[1]));
            let best =
                values.enumerate().filter(|(_, value)| *value != NONE).min_by_key(|&(at, value)| (value, at));
            let Some((at, value)) = best else { return symbols };
            symbols.splice(at..at + 2, [value as u32]);
        }
    }

    /// Merges over four letters: each joins two earlier symbols into a new one.
    fn merges() -> impl Strategy<Value = Merges> {
        proptest::collection::vec((0..1000_u32, 0..1000_u32), 0..40).prop_map(|picks| {
            let merges = (0..)
                .zip(picks)
                .map(|(rank, (left, right))| (left % (4 + rank), right % (4 + rank), rank, 4 + rank));
            Merges::new(merges.collect::<Vec<_>>().into_iter())
        })
    }

    proptest! {
        #[test]
        fn short_and_long_words_merge_by_the_definition(merges in merges(), symbols in proptest::collection::vec(0..4_u32, 0..60)) {
            let expected = defined(&merges, symbols.clone());
            let mut word = Word { symbols: symbols.clone(), ..Word::default() };
            merges.merge(&mut word);
            prop_assert_eq!(&word.symbols, &expected);
            word.symbols = symbols.clone();
            merges.merge_long(&mut word);
            prop_assert_eq!(&word.symbols, &expected);
            word.symbols = symbols.clone();
            merges.merge_with_dropout(&mut word, &mut || false);
            prop_assert_eq!(&word.symbols, &expected);
            word.symbols = symbols.clone();
            merges.merge_with_dropout(&mut word, &mut || true);
            prop_assert_eq!(&word.symbols, &symbols);
        }
    }

    #[test]
    fn a_word_of_a_megabyte_is_merged_in_a_moment() {
        let doubling =
            Merges::new((0..20).map(|rank| (rank, rank, rank, rank + 1)).collect::<Vec<_>>().into_iter());
        let mut word = Word { symbols: vec![0; 1 << 20], ..Word::default() };
        doubling.merge(&mut word);
        assert_eq!(word.symbols, [20]);
    }
}
