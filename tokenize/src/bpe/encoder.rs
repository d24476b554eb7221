//! Encodes text after text and keeps what makes the next one faster.

use std::borrow::Cow;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::engine::Room;
use super::{Bpe, Kind, lower};
use crate::{Error, Result};

/// An encoder of one thread, with a cache of words of its own.
#[derive(Debug)]
pub struct Encoder<'a> {
    bpe: &'a Bpe,
    room: Room,
}

impl<'a> Encoder<'a> {
    pub(super) fn new(bpe: &'a Bpe, room: Room) -> Self {
        Self { bpe, room }
    }

    pub(super) fn into_room(self) -> Room {
        self.room
    }

    /// Bare ids of a text.
    pub fn encode(&mut self, text: &str) -> Vec<u32> {
        let mut ids = Vec::with_capacity(text.len() / 3 + 8);
        self.encode_into(text, &mut ids);
        ids
    }

    /// Adds the ids of a text to `ids`.
    pub fn encode_into(&mut self, text: &str, ids: &mut Vec<u32>) {
        let text = self.prepared(text);
        match self.bpe.kind.engine() {
            Ok(engine) => engine.encode(&mut self.room, &text, ids),
            Err(library) => library.encode(&text, ids),
        }
    }

    /// Bare ids of a text that may not be UTF-8; bytes that are none are dropped, as YouTokenToMe does.
    pub fn encode_bytes(&mut self, text: &[u8]) -> Vec<u32> {
        match std::str::from_utf8(text) {
            Ok(text) => self.encode(text),
            Err(_) => self.encode(&text.utf8_chunks().map(|chunk| chunk.valid()).collect::<String>()),
        }
    }

    /// Bare ids with dropout, see [`Bpe::encode_with_dropout`].
    ///
    /// # Errors
    /// As there.
    pub fn encode_with_dropout(&mut self, text: &str, probability: f64, seed: u64) -> Result<Vec<u32>> {
        if !(0.0..=1.0).contains(&probability) {
            let why = format!("{probability} is no probability");
            return Err(Error::Config { key: "dropout".to_owned(), why });
        }
        let Ok(engine) = self.bpe.kind.engine() else {
            let why = "this shape of tokenizer.json is encoded by the library, which has no seed".to_owned();
            return Err(Error::Config { key: "dropout".to_owned(), why });
        };
        let (text, mut ids, mut rng) = (self.prepared(text), Vec::new(), ChaCha8Rng::seed_from_u64(seed));
        let mut skip = || rng.random::<f64>() < probability;
        engine.encode_with_dropout(&mut self.room, &text, &mut skip, &mut ids);
        Ok(ids)
    }

    /// The text as the merges see it.
    fn prepared<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let text = match self.bpe.lowercase {
            true => Cow::Owned(lower::lower(text)),
            false => Cow::Borrowed(text),
        };
        match &*self.bpe.kind {
            Kind::Clip(_) => Cow::Owned(super::clip::clean(&text)),
            Kind::Hf(model) => model.normalised(text),
            Kind::Yttm(_) | Kind::Tiktoken(_) => text,
        }
    }
}
