//! The `.model` file of YouTokenToMe: numbers in lines.
//!
//! ```text
//! CHARACTERS MERGES          how many lines of each follow
//! CODE_POINT ID              the alphabet, in any order: the published program writes its hash table as it lies
//! LEFT RIGHT MERGED          ids, the earliest merge first
//! UNK PAD BOS EOS            special ids, −1 for none
//! ```
//! A model that was read is written with its alphabet in the order in which it was found, which gives the same bytes
//! back; a new one by ascending id.

use std::fmt::Write;

use super::{Merge, Model};
use crate::bpe::Specials;
use crate::{Error, Result};

/// A part of a model, or what is wrong with it.
pub(super) type Checked<T> = std::result::Result<T, Fault>;

/// What is wrong with which line.
#[derive(Debug)]
pub(super) struct Fault {
    line: usize,
    why: String,
}

impl Fault {
    pub(super) fn at(line: usize, why: String) -> Self {
        Self { line, why }
    }

    /// The error that names the file, or what else was being made.
    pub(super) fn error(self, what: &str) -> Error {
        Error::Bpe {
            what: what.to_owned(),
            why: format!("line {}: {}", self.line, self.why),
            cure: Some(
                "get the file again, or train one with `tokenize bpe TEXTS --vocab-size 16384 --out bpe.model`".to_owned(),
            ),
        }
    }
}

/// Whether a file may be a YouTokenToMe model: it begins with a line of two numbers.
pub(in crate::bpe) fn looks_like(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    std::str::from_utf8(line).is_ok_and(|line| numbers::<2>(line).is_ok())
}

impl Model {
    /// Reads a `.model` file's text; `what` names it in errors.
    ///
    /// # Errors
    /// A line that is not what its place asks for, by its number.
    pub fn parse(text: &str, what: &str) -> Result<Self> {
        read(text).map_err(|fault| fault.error(what))
    }

    /// The text of the `.model` file.
    pub fn to_text(&self) -> String {
        let mut text = format!("{} {}\n", self.alphabet.len(), self.merges.len());
        // Writing to a string cannot fail.
        for (character, id) in &self.alphabet {
            let _ = writeln!(text, "{} {id}", *character as u32);
        }
        for Merge { left, right, merged } in &self.merges {
            let _ = writeln!(text, "{left} {right} {merged}");
        }
        let Specials { pad, unk, bos, eos } = self.specials;
        let [unk, pad, bos, eos] = [unk, pad, bos, eos].map(|id| id.map_or(-1, i64::from));
        let _ = writeln!(text, "{unk} {pad} {bos} {eos}");
        text
    }
}

fn read(text: &str) -> Checked<Model> {
    // The end of the file counts as a line, which no number of a place fits.
    let mut lines = (1..).zip(text.lines().map(Some).chain(std::iter::repeat(None)));
    let (_, [characters, merges]) = numbered::<2>(&mut lines, "two counts")?;
    let mut alphabet = Vec::new();
    for _ in 0..characters {
        let (line, [code, id]) = numbered::<2>(&mut lines, "a code point and an id")?;
        let character = u32::try_from(code).ok().and_then(char::from_u32);
        let fault = || Fault::at(line, format!("{code} is no Unicode character"));
        alphabet.push((character.ok_or_else(fault)?, id_of(line, id)?));
    }
    let mut rules = Vec::new();
    for _ in 0..merges {
        let (line, ids) = numbered::<3>(&mut lines, "three ids of a merge")?;
        let [left, right, merged] = ids.map(|id| id_of(line, id));
        rules.push(Merge { left: left?, right: right?, merged: merged? });
    }
    let (line, ids) = numbered::<4>(&mut lines, "the ids of unk, pad, bos and eos")?;
    let special = |id| if id == -1 { Ok(None) } else { id_of(line, id).map(Some) };
    let [unk, pad, bos, eos] = ids.map(special);
    let mut rest = lines.map_while(|(line, text)| Some((line, text?)));
    if let Some((line, rest)) = rest.find(|(_, rest)| !rest.trim().is_empty()) {
        let start: String = rest.chars().take(20).collect();
        return Err(Fault::at(
            line,
            format!("{start:?} after the last line that the counts of line 1 allow"),
        ));
    }
    Model::checked(alphabet, rules, Specials { pad: pad?, unk: unk?, bos: bos?, eos: eos? })
}

fn numbered<'a, const N: usize>(
    lines: &mut impl Iterator<Item = (usize, Option<&'a str>)>,
    what: &str,
) -> Checked<(usize, [i64; N])> {
    let (line, text) = lines.next().unwrap_or_default();
    let Some(text) = text else {
        return Err(Fault::at(line, format!("the file ends where {what} should be")));
    };
    numbers(text)
        .map(|numbers| (line, numbers))
        .map_err(|found| Fault::at(line, format!("{found:?} is not {what}")))
}

/// Exactly `N` numbers, or the beginning of what is there instead.
fn numbers<const N: usize>(line: &str) -> std::result::Result<[i64; N], String> {
    let found: Option<Vec<i64>> = line.split_ascii_whitespace().map(|word| word.parse().ok()).collect();
    found.and_then(|found| found.try_into().ok()).ok_or_else(|| line.chars().take(40).collect())
}

fn id_of(line: usize, id: i64) -> Checked<u32> {
    // The highest value is taken: it stands for what has no id.
    u32::try_from(id)
        .ok()
        .filter(|id| *id != u32::MAX)
        .ok_or_else(|| Fault::at(line, format!("{id} is no id")))
}

#[cfg(test)]
mod tests {
    use super::super::tests::tiny;
    use super::*;

    const TEXT: &str = "3 2\n9601 4\n97 5\n98 6\n4 5 7\n5 6 8\n1 0 2 3\n";

    fn why(text: &str) -> String {
        Model::parse(text, "bpe.model").unwrap_err().to_string()
    }

    #[test]
    fn a_new_model_is_written_by_ascending_id() {
        assert_eq!(tiny().to_text(), TEXT);
    }

    #[test]
    fn a_model_that_was_read_keeps_the_order_of_its_alphabet() {
        let other =
            TEXT.replace("9601 4\n97 5\n98 6\n", "98 6\n9601 4\n97 5\n").replace("1 0 2 3", "1 0 2 -1");
        let other = other.replace("4 5 7\n5 6 8", "4 5 7\n5 6 3");
        assert_eq!(Model::parse(&other, "bpe.model").unwrap().to_text(), other);
    }

    #[test]
    fn a_bad_line_is_named_by_its_number() {
        let cases = [
            ("97 5", "97", "bpe.model: line 3: \"97\" is not a code point and an id"),
            ("98 6", "55296 6", "bpe.model: line 4: 55296 is no Unicode character"),
            ("98 6", "98 5", "bpe.model: line 4: the id 5 is taken"),
            ("98 6", "97 6", "bpe.model: line 4: the character 'a' comes twice"),
            ("98 6", "98 -6", "bpe.model: line 4: -6 is no id"),
            ("4 5 7", "4 8 7", "bpe.model: line 5: the id 8 does not exist yet"),
            ("4 5 7", "4 1 7", "bpe.model: line 5: the id 1 is a special one"),
            ("5 6 8", "5 6 9", "bpe.model: line 6: the id 9 is beyond the vocabulary of 9"),
            ("5 6 8", "5 x 8", "bpe.model: line 6: \"5 x 8\" is not three ids of a merge"),
            ("1 0 2 3", "1 1 2 3", "bpe.model: line 7: <UNK>: the id 1 is taken"),
            (
                "1 0 2 3\n",
                "1 0 2 3\n\n9\n",
                "bpe.model: line 9: \"9\" after the last line that the counts of line 1 allow",
            ),
            (
                "1 0 2 3\n",
                "",
                "bpe.model: line 7: the file ends where the ids of unk, pad, bos and eos should be",
            ),
            ("9601 4", "99 4", "bpe.model: line 1: the alphabet lacks the word mark '▁' (9601)"),
        ];
        for (good, bad, expected) in cases {
            assert_eq!(why(&TEXT.replace(good, bad)), expected);
        }
    }

    #[test]
    fn counts_that_lie_and_pieces_that_grow_without_end_are_faults() {
        assert!(why("4000000000 1\n9601 4\n").contains("line 3: the file ends where a code point"));
        let merges: String = (4..44).map(|id| format!("{id} {id} {}\n", id + 1)).collect();
        assert!(why(&format!("1 40\n9601 4\n{merges}1 0 2 3\n")).contains("longer than 67108864 bytes"));
    }
}
