//! The merges of a byte-pair encoding, learned from counted words.
//!
//! Each step joins the pair of neighbours that occurs most often. Pairs keep the list of the words that hold them, and
//! counts are updated from the neighbours of what was joined, so a step costs as much as the words it changes.
//! A new pair always contains the new entry. Counts of older pairs only fall, so a heap may hold counts that are out
//! of date: a candidate is checked when it comes to the top.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use rustc_hash::FxBuildHasher;

/// Two neighbouring ids.
pub(super) type Pair = (u32, u32);

/// What differs between the published trainers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rules {
    /// YouTokenToMe: a run of n equal ids holds ⌊n/2⌋ pairs; of equally frequent pairs the one whose larger id is
    /// smallest, then whose smaller id is smallest, then the one that begins with the larger; every merge is a new entry.
    Yttm,
    /// Hugging Face `tokenizers`: a run of n equal ids holds n - 1 pairs; of equally frequent pairs the smallest; a
    /// merge that spells an entry that is there already leads to that entry.
    HuggingFace,
}

impl Rules {
    /// Of equally frequent pairs the one with the smaller key is joined first.
    fn key(self, (left, right): Pair) -> u64 {
        match self {
            Self::HuggingFace => u64::from(left) << 32 | u64::from(right),
            Self::Yttm => {
                let (small, large) = (left.min(right), left.max(right));
                u64::from(large) << 32 | u64::from(small) << 1 | u64::from(left < right)
            }
        }
    }

    fn pair(self, key: u64) -> Pair {
        let (high, low) = ((key >> 32) as u32, key as u32);
        match self {
            Self::HuggingFace => (high, low),
            Self::Yttm if low & 1 == 1 => (low >> 1, high),
            Self::Yttm => (high, low >> 1),
        }
    }
}

/// The words under training: ids end to end, shortened in place.
#[derive(Default)]
pub(super) struct Sequences {
    ids: Vec<u32>,
    words: Vec<Word>,
}

#[derive(Clone, Copy)]
struct Word {
    start: usize,
    length: u32,
    count: u64,
}

impl Sequences {
    /// Adds a word as ids.
    pub(super) fn push(&mut self, ids: impl IntoIterator<Item = u32>, count: u64) {
        let start = self.ids.len();
        self.ids.extend(ids);
        self.words.push(Word { start, length: (self.ids.len() - start) as u32, count });
    }

    /// Ids of all words, each as often as it occurs.
    pub(super) fn pieces(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.length) * word.count).sum()
    }
}

/// The next pair to join, largest first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    count: i64,
    key: Reverse<u64>,
    /// Which list of words.
    places: u32,
}

/// Counts of pairs and the words that hold them.
pub(super) struct Learner {
    rules: Rules,
    sequences: Sequences,
    counts: HashMap<u64, i64, FxBuildHasher>,
    heap: BinaryHeap<Candidate>,
    /// Words that hold a pair, one list per candidate.
    places: Vec<Vec<u32>>,
    around: Around,
}

impl Learner {
    /// Counts the pairs of the words, whose ids are all below `entries`.
    pub(super) fn new(sequences: Sequences, rules: Rules, entries: usize) -> Self {
        let mut learner = Self {
            rules,
            sequences,
            counts: HashMap::default(),
            heap: BinaryHeap::new(),
            places: Vec::new(),
            around: Around::default(),
        };
        learner.around.grow(entries);
        learner.count_pairs();
        learner
    }

    fn count_pairs(&mut self) {
        let mut found: HashMap<u64, (i64, Vec<u32>), FxBuildHasher> = HashMap::default();
        for (number, word) in (0..).zip(&self.sequences.words) {
            let ids = &self.sequences.ids[word.start..][..word.length as usize];
            let mut run = 1;
            for pair in ids.windows(2) {
                run = if pair[0] == pair[1] { run + 1 } else { 1 };
                let overlaps = self.rules == Rules::Yttm && run > 1 && run % 2 == 1;
                let (count, places) = found.entry(self.rules.key((pair[0], pair[1]))).or_default();
                *count += if overlaps { 0 } else { word.count as i64 };
                if places.last() != Some(&number) {
                    places.push(number);
                }
            }
        }
        for (key, (count, places)) in found {
            self.counts.insert(key, count);
            self.propose(key, count, places);
        }
    }

    fn propose(&mut self, key: u64, count: i64, places: Vec<u32>) {
        if count > 0 {
            self.heap.push(Candidate { count, key: Reverse(key), places: self.places.len() as u32 });
            self.places.push(places);
        }
    }

    /// The pair that occurs most often, and how often; to be joined next.
    pub(super) fn best(&mut self) -> Option<(Pair, u32)> {
        loop {
            let mut top = self.heap.pop()?;
            let count = self.counts.get(&top.key.0).copied().unwrap_or(0);
            if top.count == count {
                return (count > 0).then(|| (self.rules.pair(top.key.0), top.places));
            }
            if count > 0 {
                top.count = count;
                self.heap.push(top);
            }
        }
    }

    /// Joins `pair` to `joined` in the words of a list that [`Self::best`] gave.
    pub(super) fn join(&mut self, pair: Pair, joined: u32, places: u32) {
        self.around.grow(joined as usize + 1);
        let places = std::mem::take(&mut self.places[places as usize]);
        for number in places {
            let word = &mut self.sequences.words[number as usize];
            let ids = &mut self.sequences.ids[word.start..][..word.length as usize];
            word.length = self.around.join(ids, pair, joined, self.rules, (number, word.count as i64)) as u32;
        }
        self.settle(pair, joined);
    }

    /// Brings the counts up to date with what [`Around`] saw, and proposes the new pairs.
    fn settle(&mut self, (left, right): Pair, joined: u32) {
        let mut around = std::mem::take(&mut self.around);
        around.lost_before.drain(|id, count, _| {
            *self.counts.entry(self.rules.key((id, left))).or_default() += count;
        });
        around.lost_after.drain(|id, count, _| {
            *self.counts.entry(self.rules.key((right, id))).or_default() += count;
        });
        let mut new = Vec::new();
        around.won_before.drain(|id, count, places| new.push(((id, joined), count, places)));
        around.won_after.drain(|id, count, places| new.push(((joined, id), count, places)));
        for &(pair, count, _) in &new {
            *self.counts.entry(self.rules.key(pair)).or_default() += count;
        }
        for (pair, _, places) in new {
            let key = self.rules.key(pair);
            let count = self.counts[&key];
            self.propose(key, count, places);
        }
        self.around = around;
    }

    /// The words as they are now.
    pub(super) fn sequences(&self) -> &Sequences {
        &self.sequences
    }
}

/// What changes around the occurrences of one pair: counts by neighbour, so that the map of all pairs is
/// looked up once per neighbour and not once per occurrence.
#[derive(Default)]
struct Around {
    /// (neighbour, left id of the pair): no longer there.
    lost_before: Tally,
    /// (right id of the pair, neighbour): no longer there.
    lost_after: Tally,
    /// (neighbour, joined): new.
    won_before: Tally,
    /// (joined, neighbour): new.
    won_after: Tally,
}

impl Around {
    fn grow(&mut self, entries: usize) {
        for tally in [&mut self.lost_before, &mut self.lost_after, &mut self.won_before, &mut self.won_after]
        {
            tally.grow(entries);
        }
    }

    /// Joins every occurrence of the pair in one word, from the left; returns the new length.
    fn join(&mut self, ids: &mut [u32], pair: Pair, joined: u32, rules: Rules, word: (u32, i64)) -> usize {
        let (mut read, mut written) = (0, 0);
        while read < ids.len() {
            if ids[read] != pair.0 || ids.get(read + 1) != Some(&pair.1) {
                ids[written] = ids[read];
                read += 1;
                written += 1;
                continue;
            }
            self.before(&ids[..written], pair.0, joined, rules, word);
            self.after(&ids[read + 2..], pair.1, rules, word);
            ids[written] = joined;
            read += 2;
            written += 1;
        }
        written
    }

    fn before(&mut self, ids: &[u32], left: u32, joined: u32, rules: Rules, (word, count): (u32, i64)) {
        let Some(&neighbour) = ids.last() else { return };
        let run = || ids.iter().rev().take_while(|&&id| id == neighbour).count();
        let disjoint = rules == Rules::Yttm;
        // A run that loses its odd one, or whose new one is odd, has as many disjoint pairs as before.
        if neighbour != left || !disjoint || run() % 2 == 1 {
            self.lost_before.add(neighbour, -count, None);
        }
        let more = neighbour != joined || !disjoint || run() % 2 == 1;
        self.won_before.add(neighbour, if more { count } else { 0 }, Some(word));
    }

    fn after(&mut self, ids: &[u32], right: u32, rules: Rules, (word, count): (u32, i64)) {
        let Some(&neighbour) = ids.first() else { return };
        let run = || ids.iter().take_while(|&&id| id == neighbour).count();
        if neighbour != right || rules != Rules::Yttm || run() % 2 == 1 {
            self.lost_after.add(neighbour, -count, None);
        }
        self.won_after.add(neighbour, count, Some(word));
    }
}

/// Counts and words by neighbour.
#[derive(Default)]
struct Tally {
    of: Vec<(i64, bool, Vec<u32>)>,
    touched: Vec<u32>,
}

impl Tally {
    fn grow(&mut self, entries: usize) {
        if self.of.len() < entries {
            self.of.resize_with(entries, Default::default);
        }
    }

    #[inline]
    fn add(&mut self, id: u32, count: i64, word: Option<u32>) {
        let (sum, touched, words) = &mut self.of[id as usize];
        if !*touched {
            *touched = true;
            self.touched.push(id);
        }
        *sum += count;
        if let Some(word) = word
            && words.last() != Some(&word)
        {
            words.push(word);
        }
    }

    fn drain(&mut self, mut each: impl FnMut(u32, i64, Vec<u32>)) {
        for id in self.touched.drain(..) {
            let (count, _, words) = std::mem::take(&mut self.of[id as usize]);
            each(id, count, words);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same by the book: every pair of every word counted anew for every merge.
    fn slowly(mut words: Vec<(Vec<u32>, u64)>, merges: usize) -> Vec<Pair> {
        let mut learned = Vec::new();
        for joined in 10..10 + merges as u32 {
            let mut counts: HashMap<Pair, u64> = HashMap::new();
            for (ids, count) in &words {
                for run in ids.chunk_by(|a, b| a == b).filter(|run| run.len() > 1) {
                    *counts.entry((run[0], run[0])).or_default() += count * (run.len() as u64 / 2);
                }
                for pair in ids.windows(2).filter(|pair| pair[0] != pair[1]) {
                    *counts.entry((pair[0], pair[1])).or_default() += count;
                }
            }
            let order = |&(pair, count): &(&Pair, &u64)| {
                let (left, right) = *pair;
                (*count, Reverse(left.max(right)), Reverse(left.min(right)), left)
            };
            let Some((&pair, _)) = counts.iter().max_by_key(order) else { break };
            learned.push(pair);
            for (ids, _) in &mut words {
                let (mut at, mut new) = (0, Vec::new());
                while at < ids.len() {
                    let here = ids[at] == pair.0 && ids.get(at + 1) == Some(&pair.1);
                    new.push(if here { joined } else { ids[at] });
                    at += if here { 2 } else { 1 };
                }
                *ids = new;
            }
        }
        learned
    }

    fn quickly(words: &[(Vec<u32>, u64)], merges: usize) -> Vec<Pair> {
        let mut sequences = Sequences::default();
        for (ids, count) in words {
            sequences.push(ids.iter().copied(), *count);
        }
        let mut learner = Learner::new(sequences, Rules::Yttm, 10);
        let mut learned = Vec::new();
        for joined in 10..10 + merges as u32 {
            let Some((pair, places)) = learner.best() else { break };
            learner.join(pair, joined, places);
            learned.push(pair);
        }
        learned
    }

    proptest! {
        #[test]
        fn counts_kept_up_to_date_choose_as_counts_made_anew(
            words in proptest::collection::vec((proptest::collection::vec(0_u32..4, 0..14), 1_u64..5), 1..12)
        ) {
            prop_assert_eq!(quickly(&words, 40), slowly(words.clone(), 40));
        }

        #[test]
        fn a_key_is_its_pair(left in 0_u32..1 << 31, right in 0_u32..1 << 31) {
            for rules in [Rules::Yttm, Rules::HuggingFace] {
                prop_assert_eq!(rules.pair(rules.key((left, right))), (left, right));
            }
        }
    }
}
