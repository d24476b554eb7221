//! YouTokenToMe's encoding: words behind `▁`, characters, merges in the order in which they were learned.
//!
//! Facts from `VKCOM/YouTokenToMe` (`youtokentome/cpp/bpe.cpp`, `utils.cpp`): text is split at ASCII white space and at
//! `▁` itself, nothing else is changed; a run of characters outside the alphabet inside a word is one unknown id.

mod file;
mod pieces;

use super::engine::Engine;
use super::merges::{Merges, UNKNOWN};
use super::split::Split;
use super::symbols::{Characters, Symbols};
use super::{Room, Specials};
use crate::Result;
pub(super) use file::looks_like;
use pieces::Pieces;

/// Stands before every word.
pub const MARK: char = '▁';

/// One merge: the pair and what it becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Merge {
    /// The first id of the pair.
    pub left: u32,
    /// The second.
    pub right: u32,
    /// The id that stands for both.
    pub merged: u32,
}

/// A YouTokenToMe model: its alphabet, its merges from the earliest to the latest, its special ids.
#[derive(Clone, Debug)]
pub struct Model {
    /// In the order of the file.
    alphabet: Vec<(char, u32)>,
    merges: Vec<Merge>,
    specials: Specials,
    pieces: Pieces,
    engine: Engine,
}

impl Model {
    /// A model as a trainer makes it. The characters, `▁` among them, get the lowest ids that `specials` leave free, in
    /// the order given; the merges, pairs of such ids, get the next ones.
    ///
    /// # Errors
    /// A character given twice, no `▁`, a pair of ids that do not exist yet, or special ids that clash or lie beyond
    /// the vocabulary.
    pub fn new(alphabet: Vec<char>, merges: Vec<(u32, u32)>, specials: Specials) -> Result<Self> {
        let mut free = (0..).filter(|id| !specials.has(*id));
        let alphabet = alphabet.into_iter().zip(&mut free).collect();
        let merges = merges.into_iter().zip(free);
        let merges = merges.map(|((left, right), merged)| Merge { left, right, merged }).collect();
        Self::checked(alphabet, merges, specials).map_err(|fault| fault.error("a YouTokenToMe model"))
    }

    /// The alphabet in the order of the file: characters and their ids.
    pub fn alphabet(&self) -> &[(char, u32)] {
        &self.alphabet
    }

    /// The merges, the earliest first.
    pub fn merges(&self) -> &[Merge] {
        &self.merges
    }

    /// The special ids.
    pub fn specials(&self) -> Specials {
        self.specials
    }

    /// Entries, special ids included.
    pub fn vocab_size(&self) -> usize {
        self.pieces.len()
    }

    /// What an id stands for: `▁` and characters, or `<PAD>`, `<UNK>`, `<BOS>`, `<EOS>`.
    pub fn piece(&self, id: u32) -> Option<&str> {
        self.pieces.get(id)
    }

    /// The text as the pieces that its ids stand for; an unknown id's piece is the text itself.
    pub fn segment(&self, text: &str) -> Vec<String> {
        let (mut room, mut pieces) = (Room::default(), Vec::new());
        let known = |character: char| self.character(character) != UNKNOWN;
        for word in text.split(is_separator).filter(|word| !word.is_empty()) {
            let (mut ids, mut rest) = (Vec::new(), word);
            self.engine.encode(&mut room, word, &mut ids);
            for id in ids {
                let (unknown, other) = rest.split_at(rest.find(known).unwrap_or(rest.len()));
                if Some(id) == self.specials.unk {
                    pieces.push(unknown.to_owned());
                    rest = other;
                } else if let Some(piece) = self.piece(id) {
                    pieces.push(piece.to_owned());
                    let text = piece.trim_start_matches(MARK);
                    rest = rest.strip_prefix(text).or_else(|| other.strip_prefix(text)).unwrap_or_default();
                }
            }
        }
        pieces
    }

    /// The text of ids: pieces joined, `▁` as a space, the first space dropped. Special ids are written by name if
    /// `specials`, dropped otherwise; ids outside the vocabulary are dropped.
    pub fn decode(&self, ids: &[u32], specials: bool) -> String {
        let mut text = String::new();
        let kept = ids.iter().filter(|&&id| specials || !self.specials.has(id));
        for (n, piece) in kept.filter_map(|&id| self.piece(id)).enumerate() {
            match piece.strip_prefix(MARK) {
                Some(rest) if n == 0 => text.push_str(rest),
                Some(rest) => text.extend([" ", rest]),
                None => text.push_str(piece),
            }
        }
        text
    }

    fn character(&self, character: char) -> u32 {
        match &self.engine.symbols {
            Symbols::Characters(characters) => characters.id(character),
            Symbols::Bytes(_) => UNKNOWN,
        }
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }
}

fn is_separator(character: char) -> bool {
    matches!(character, '\t'..='\r' | ' ' | MARK)
}

fn engine(alphabet: &[(char, u32)], merges: &[Merge], mark: u32, specials: Specials) -> Engine {
    let ranked = (0..).zip(merges).map(|(rank, merge)| (merge.left, merge.right, rank, merge.merged));
    Engine {
        split: Split::Spaces,
        symbols: Symbols::Characters(Characters::new(alphabet.iter().copied(), mark)),
        merges: Merges::new(ranked.collect::<Vec<_>>().into_iter()),
        unknown: specials.unk,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::bpe::Bpe;

    /// ▁ a b ▁a ab
    pub(super) fn tiny() -> Model {
        Model::new(vec![MARK, 'a', 'b'], vec![(4, 5), (5, 6)], Specials::default()).unwrap()
    }

    fn ids(model: &Model, text: &str) -> Vec<u32> {
        let mut out = Vec::new();
        model.engine.encode(&mut Room::default(), text, &mut out);
        out
    }

    #[test]
    fn the_earliest_merge_comes_first() {
        assert_eq!(ids(&tiny(), "ab bab"), [7, 6, 4, 6, 8]);
        assert_eq!(tiny().segment("ab bab"), ["▁a", "b", "▁", "b", "ab"]);
    }

    #[test]
    fn a_run_of_unknown_characters_is_one_id_and_its_own_piece() {
        assert_eq!(ids(&tiny(), "日本a本b 日"), [4, 1, 5, 1, 6, 4, 1]);
        assert_eq!(tiny().segment("日本a本b"), ["▁", "日本", "a", "本", "b"]);
        let mut silent = Specials { unk: None, ..Specials::default() };
        silent.pad = Some(1);
        let silent = Model::new(vec![MARK, 'a'], vec![], silent).unwrap();
        assert_eq!(ids(&silent, "日a"), [0, 4]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn text_in_the_alphabet_comes_back_with_single_spaces(text in any::<String>(), picks in proptest::collection::vec(any::<(u16, u16)>(), 0..60)) {
            let mut alphabet = vec![MARK];
            alphabet.extend(text.chars().filter(|c| !is_separator(*c)).collect::<BTreeSet<_>>());
            let mut seen = BTreeSet::new();
            let merges = (alphabet.len() as u32 + 4..).zip(picks).map(|(size, (left, right))| {
                (4 + u32::from(left) % (size - 4), 4 + u32::from(right) % (size - 4))
            });
            let merges = merges.collect::<Vec<_>>();
            prop_assume!(merges.iter().all(|pair| seen.insert(*pair)));
            let model = Model::new(alphabet, merges, Specials::default());
            prop_assume!(model.is_ok());
            let bpe = Bpe::from(model.unwrap());
            let words: Vec<&str> = text.split(is_separator).filter(|word| !word.is_empty()).collect();
            let ids = bpe.encode(&text);
            prop_assert_eq!(bpe.decode(&ids), words.join(" "));
            prop_assert_eq!(bpe.as_yttm().unwrap().segment(&text).len(), ids.len());
            let dropped = bpe.encode_with_dropout(&text, 0.5, 7).unwrap();
            prop_assert_eq!(bpe.decode(&dropped), words.join(" "));
        }
    }

    #[test]
    fn decoding_writes_or_drops_special_ids() {
        let model = tiny();
        assert_eq!(model.decode(&[2, 7, 1, 4, 6, 3, 99], false), "a b");
        assert_eq!(model.decode(&[2, 7, 1, 4, 6, 3, 99], true), "<BOS> a<UNK> b<EOS>");
        assert_eq!(model.decode(&[], true), "");
    }
}
