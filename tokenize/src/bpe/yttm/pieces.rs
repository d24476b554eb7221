//! What each id of a YouTokenToMe model stands for.

use std::ops::Range;

use super::file::Fault;
use super::{MARK, Merge, Model, engine};
use crate::bpe::Specials;

/// Bytes that all pieces together may have. Published models have less than one hundredth; forty lines that double a
/// piece each would fill any memory.
const LIMIT: usize = 1 << 26;
/// Names of pad, unk, bos and eos.
const NAMES: [&str; 4] = ["<PAD>", "<UNK>", "<BOS>", "<EOS>"];

/// Pieces by id, in one string.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces {
    text: String,
    ranges: Vec<Option<Range<usize>>>,
}

impl Pieces {
    pub(super) fn len(&self) -> usize {
        self.ranges.len()
    }

    pub(super) fn get(&self, id: u32) -> Option<&str> {
        self.text.get(self.ranges.get(id as usize)?.clone()?)
    }

    /// Gives an id its piece.
    fn set(&mut self, id: u32, piece: &str) -> Result<(), String> {
        let size = self.ranges.len();
        match self.ranges.get_mut(id as usize) {
            None => Err(format!("the id {id} is beyond the vocabulary of {size}")),
            Some(Some(_)) => Err(format!("the id {id} is taken")),
            Some(free) => {
                *free = Some(self.text.len()..self.text.len() + piece.len());
                self.text.push_str(piece);
                Ok(())
            }
        }
    }

    fn merge(&mut self, merge: &Merge) -> Result<(), String> {
        let of = |id| self.get(id).ok_or_else(|| format!("the id {id} does not exist yet"));
        let (left, right) = (of(merge.left)?, of(merge.right)?);
        if self.text.len() + left.len() + right.len() > LIMIT {
            return Err(format!("the pieces become longer than {LIMIT} bytes"));
        }
        let piece = [left, right].concat();
        self.set(merge.merged, &piece)
    }
}

impl Model {
    /// Puts the parts together; a fault names the part by its line in a file.
    pub(super) fn checked(
        alphabet: Vec<(char, u32)>,
        merges: Vec<Merge>,
        specials: Specials,
    ) -> Result<Self, Fault> {
        let first_merge = 2 + alphabet.len();
        let last = first_merge + merges.len();
        let named = [specials.pad, specials.unk, specials.bos, specials.eos];
        let size = alphabet.len() + merges.len() + named.iter().flatten().count();
        let mut pieces = Pieces { text: String::new(), ranges: vec![None; size] };
        let (mut mark, mut seen) = (None, std::collections::HashSet::new());
        for (id, name) in named.into_iter().zip(NAMES) {
            id.map_or(Ok(()), |id| pieces.set(id, name))
                .map_err(|why| Fault::at(last, format!("{name}: {why}")))?;
        }
        for (line, &(character, id)) in (2..).zip(&alphabet) {
            if !seen.insert(character) {
                return Err(Fault::at(line, format!("the character {character:?} comes twice")));
            }
            pieces.set(id, character.encode_utf8(&mut [0; 4])).map_err(|why| Fault::at(line, why))?;
            mark = if character == MARK { Some(id) } else { mark };
        }
        let mark =
            mark.ok_or_else(|| Fault::at(1, format!("the alphabet lacks the word mark {MARK:?} (9601)")))?;
        for (line, merge) in (first_merge..).zip(&merges) {
            let of_special = [merge.left, merge.right].into_iter().find(|id| specials.has(*id));
            let special = of_special.map(|id| Fault::at(line, format!("the id {id} is a special one")));
            special.map_or(Ok(()), Err)?;
            pieces.merge(merge).map_err(|why| Fault::at(line, why))?;
        }
        let engine = engine(&alphabet, &merges, mark, specials);
        Ok(Self { alphabet, merges, specials, pieces, engine })
    }
}
