//! OpenAI's byte-pair encodings: tiktoken's ranks, lines of a token in base64 and its rank, which is its id.
//!
//! tiktoken joins any two neighbours whose bytes together are a token, lowest rank first. A token can only come about
//! from the two parts that its own bytes merge to, so that one pair for each token says the same.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Specials;
use super::engine::Engine;
use super::merges::{Merges, UNKNOWN, Word};
pub use super::split::Split;
use super::symbols::{Bytes, Symbols};
use crate::{Error, Result};

/// One of OpenAI's encodings.
#[derive(Clone, Debug)]
pub struct Model {
    /// Bytes of each id.
    pieces: Vec<Vec<u8>>,
    /// `<|endoftext|>`.
    end: Option<u32>,
    engine: Engine,
}

/// A published encoding: tokens, pattern, `<|endoftext|>`, and entries with all special ids.
const PUBLISHED: [(usize, Split, u32, usize); 4] = [
    (50_256, Split::Gpt2, 50_256, 50_257),
    (50_280, Split::Gpt2, 50_256, 50_281),
    (100_256, Split::Cl100k, 100_257, 100_277),
    (199_998, Split::O200k, 199_999, 200_019),
];
/// Parts of file names that say the pattern of other ranks.
const NAMES: [(&str, Split); 5] = [
    ("gpt2", Split::Gpt2),
    ("r50k", Split::Gpt2),
    ("p50k", Split::Gpt2),
    ("cl100k", Split::Cl100k),
    ("o200k", Split::O200k),
];

/// Whether a file may be ranks: its first line is base64 and a number.
pub(super) fn looks_like(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    std::str::from_utf8(line).is_ok_and(|line| token(line).is_some())
}

fn token(line: &str) -> Option<(Vec<u8>, u32)> {
    let (token, rank) = line.trim_end().split_once(' ')?;
    let token = STANDARD.decode(token).ok().filter(|token| !token.is_empty())?;
    // The highest number stands for what has no id.
    Some((token, rank.parse().ok().filter(|rank| *rank != UNKNOWN)?))
}

impl Model {
    /// Reads ranks; `what`, their file, names them in errors. The pattern is the published one of so many ranks, or the
    /// one that the file's name has in it: `gpt2`, `r50k`, `p50k`, `cl100k` or `o200k`.
    ///
    /// # Errors
    /// A line that is no token with a rank, by its number; bytes without a rank; an unknown number of ranks.
    pub fn parse(text: &str, what: &str) -> Result<Self> {
        let fault =
            |why: String, cure: &str| Error::Bpe { what: what.to_owned(), why, cure: Some(cure.to_owned()) };
        let again = "get the file again: each line is a token in base64, a space and its rank";
        let (mut tokens, mut lines) = (HashMap::new(), HashMap::new());
        for (line, text) in (1..).zip(text.lines()) {
            let (token, rank) =
                token(text).ok_or_else(|| fault(format!("line {line}: no token with a rank"), again))?;
            if let Some(other) = lines.insert(rank, line) {
                return Err(fault(format!("line {line}: the rank {rank} is that of line {other}"), again));
            }
            if tokens.insert(token, rank).is_some() {
                return Err(fault(format!("line {line}: the token comes twice"), again));
            }
        }
        let published = PUBLISHED.into_iter().find(|(count, ..)| *count == tokens.len());
        let named = NAMES.into_iter().find(|(name, _)| file_name(what).contains(name));
        let split = published.map(|(_, split, ..)| split).or(named.map(|(_, split)| split));
        let split = split.ok_or_else(|| {
            let why = format!("{} ranks are those of no published encoding", tokens.len());
            fault(why, "put gpt2, cl100k or o200k, whose pattern cuts the text, into the file's name")
        })?;
        Self::new(tokens, split, published.map(|(_, _, end, size)| (end, size)))
            .map_err(|byte| fault(format!("the byte {byte} has no rank"), again))
    }

    /// A model of tokens with their ranks; the error is a byte that has none.
    fn new(
        tokens: HashMap<Vec<u8>, u32>,
        split: Split,
        published: Option<(u32, usize)>,
    ) -> std::result::Result<Self, u8> {
        let mut symbols = Bytes { inner: [UNKNOWN; 256], last: [UNKNOWN; 256], whole: HashMap::new() };
        for byte in 0..=u8::MAX {
            symbols.inner[usize::from(byte)] = *tokens.get(&[byte][..]).ok_or(byte)?;
        }
        symbols.last = symbols.inner;
        let mut ranked: Vec<(Vec<u8>, u32)> = tokens.into_iter().collect();
        ranked.sort_unstable_by_key(|(_, rank)| *rank);
        let merges = merges(&ranked, &mut symbols);
        let size = published
            .map_or(0, |(_, size)| size)
            .max(ranked.last().map_or(0, |(_, rank)| *rank as usize + 1));
        let mut pieces = vec![Vec::new(); size.min(ranked.len() * 2)];
        for (token, rank) in ranked {
            if let Some(piece) = pieces.get_mut(rank as usize) {
                *piece = token;
            }
        }
        Ok(Self {
            pieces,
            end: published.map(|(end, _)| end),
            engine: Engine { split, symbols: Symbols::Bytes(Box::new(symbols)), merges, unknown: None },
        })
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Entries, special ids included.
    pub fn vocab_size(&self) -> usize {
        self.pieces.len()
    }

    /// `<|endoftext|>` of a published encoding.
    pub fn specials(&self) -> Specials {
        Specials { pad: None, unk: None, bos: None, eos: self.end }
    }

    /// The text of ids; bytes that are no UTF-8 become `�`.
    pub(super) fn decode(&self, ids: &[u32]) -> String {
        let bytes: Vec<u8> =
            ids.iter().filter_map(|&id| self.pieces.get(id as usize)).flatten().copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// One pair for each token that its bytes lead to; the others, which only a whole word can be, go to `symbols`.
fn merges(ranked: &[(Vec<u8>, u32)], symbols: &mut Bytes) -> Merges {
    let mut merges = Merges::with_room(ranked.len());
    let mut word = Word::default();
    for (token, rank) in ranked.iter().filter(|(token, _)| token.len() > 1) {
        word.symbols.clear();
        word.symbols.extend(token.iter().map(|byte| symbols.inner[usize::from(*byte)]));
        merges.merge(&mut word);
        match *word.symbols {
            [left, right] => merges.insert(left, right, *rank, *rank),
            _ => {
                if let Ok(whole) = std::str::from_utf8(token) {
                    symbols.whole.insert(whole.into(), *rank);
                }
            }
        }
    }
    merges
}

fn file_name(path: &str) -> &str {
    std::path::Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bpe::Bpe;

    /// Ranks of all bytes and some words.
    fn ranks(words: &[&str]) -> String {
        let bytes =
            (0..=255_u8).map(|byte| vec![byte]).chain(words.iter().map(|word| word.as_bytes().to_vec()));
        bytes.zip(0..).map(|(token, rank)| format!("{} {rank}\n", STANDARD.encode(token))).collect()
    }

    const WORDS: [&str; 11] = ["th", "he", "the", " t", "at", "cat", "ца", "aa", "aaa", "zzzz", "ab"];

    fn bpe() -> Bpe {
        Bpe::from_bytes(ranks(&WORDS).into_bytes(), "words.cl100k.tiktoken").unwrap()
    }

    /// tiktoken's own rule: the two neighbours whose bytes have the lowest rank are joined.
    fn defined(word: &str) -> Vec<u32> {
        let tokens: HashMap<Vec<u8>, u32> = ranks(&WORDS).lines().map(|line| token(line).unwrap()).collect();
        if let Some(id) = tokens.get(word.as_bytes()) {
            return vec![*id];
        }
        let mut parts: Vec<Vec<u8>> = word.bytes().map(|byte| vec![byte]).collect();
        loop {
            let joined =
                parts.windows(2).enumerate().filter_map(|(at, two)| Some((*tokens.get(&two.concat())?, at)));
            let Some((_, at)) = joined.min() else { break };
            let joined = parts[at..at + 2].concat();
            parts.splice(at..at + 2, [joined]);
        }
        parts.iter().map(|part| tokens[part]).collect()
    }

    proptest! {
        #[test]
        fn neighbours_join_by_rank(word in "(th|he|a|b|c|t|z|ц|а){1,12}") {
            prop_assert_eq!(bpe().encode(&word), defined(&word));
        }

        #[test]
        fn any_text_comes_back(text in any::<String>()) {
            prop_assert_eq!(bpe().decode(&bpe().encode(&text)), text);
        }
    }

    #[test]
    fn a_token_that_no_merges_lead_to_is_a_whole_word() {
        assert_eq!(bpe().encode("zzzz"), [256 + 9]);
        assert_eq!(bpe().encode("zzzzz").len(), 5);
    }

    #[test]
    fn bad_ranks_are_refused_by_line() {
        let why = |text: &str, name: &str| Bpe::from_bytes(text.into(), name).unwrap_err().to_string();
        let good = ranks(&["ab"]);
        assert_eq!(why(&good, "cl100k/x"), "cl100k/x: 257 ranks are those of no published encoding");
        assert_eq!(why(&format!("{good}?? 9\n"), "gpt2"), "gpt2: line 258: no token with a rank");
        assert_eq!(why(&format!("{good}YWJj 9\n"), "gpt2"), "gpt2: line 258: the rank 9 is that of line 10");
        assert_eq!(why(&format!("{good}YWI= 900\n"), "gpt2"), "gpt2: line 258: the token comes twice");
        assert_eq!(why("YWI= 0\n", "gpt2"), "gpt2: the byte 0 has no rank");
    }
}
