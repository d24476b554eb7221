//! What a word's merges begin with: its characters, or its bytes.

use std::collections::HashMap;

use super::merges::UNKNOWN;

/// The first symbols of a word.
#[derive(Clone, Debug)]
pub(super) enum Symbols {
    /// Characters behind a word mark; a run of characters outside the alphabet is one unknown symbol.
    Characters(Characters),
    /// Bytes.
    Bytes(Box<Bytes>),
}

/// Ids of characters.
#[derive(Clone, Debug)]
pub(super) struct Characters {
    /// Stands before every word.
    mark: u32,
    /// Characters of the Basic Multilingual Plane, by code point.
    plane: Vec<u32>,
    /// The others.
    beyond: HashMap<char, u32>,
}

/// Ids of bytes.
#[derive(Clone, Debug)]
pub(super) struct Bytes {
    /// Of any byte but a word's last.
    pub(super) inner: [u32; 256],
    /// Of a word's last byte; CLIP marks it.
    pub(super) last: [u32; 256],
    /// Whole words that their merges do not lead to.
    pub(super) whole: HashMap<Box<str>, u32>,
}

impl Symbols {
    /// Adds the symbols of `word`, or gives the id of the whole where it is not merged.
    pub(super) fn of(&self, word: &str, out: &mut Vec<u32>) -> Option<u32> {
        match self {
            Self::Characters(characters) => {
                characters.of(word, out);
                None
            }
            Self::Bytes(bytes) => {
                if !bytes.whole.is_empty()
                    && let Some(id) = bytes.whole.get(word)
                {
                    return Some(*id);
                }
                out.extend(word.bytes().map(|byte| bytes.inner[usize::from(byte)]));
                if let (Some(symbol), Some(byte)) = (out.last_mut(), word.as_bytes().last()) {
                    *symbol = bytes.last[usize::from(*byte)];
                }
                None
            }
        }
    }
}

impl Characters {
    /// Ids of characters; `mark` is the id that stands before every word.
    pub(super) fn new(alphabet: impl Iterator<Item = (char, u32)>, mark: u32) -> Self {
        let mut this = Self { mark, plane: vec![UNKNOWN; 0x1_0000], beyond: HashMap::new() };
        for (character, id) in alphabet {
            match this.plane.get_mut(character as usize) {
                Some(place) => *place = id,
                None => {
                    this.beyond.insert(character, id);
                }
            }
        }
        this
    }

    fn of(&self, word: &str, out: &mut Vec<u32>) {
        out.push(self.mark);
        for character in word.chars() {
            let id = self.id(character);
            if id != UNKNOWN || out.last() != Some(&UNKNOWN) {
                out.push(id);
            }
        }
    }

    /// The id of a character, or [`UNKNOWN`].
    pub(super) fn id(&self, character: char) -> u32 {
        match self.plane.get(character as usize) {
            Some(id) => *id,
            None => self.beyond.get(&character).copied().unwrap_or(UNKNOWN),
        }
    }
}
