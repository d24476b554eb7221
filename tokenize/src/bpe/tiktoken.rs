//! tiktoken's ranks.

use super::Specials;
use super::engine::Engine;
use crate::{Error, Result};

/// OpenAI's encodings.
#[derive(Clone, Debug)]
pub struct Model {
    engine: Engine,
}

/// Whether a file may be ranks.
pub(super) fn looks_like(_: &[u8]) -> bool {
    false
}

impl Model {
    pub(super) fn parse(_: &str, what: &str, _: Option<()>) -> Result<Self> {
        Err(Error::Bpe { what: what.to_owned(), why: "not yet".to_owned(), cure: None })
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Entries.
    pub fn vocab_size(&self) -> usize {
        0
    }

    /// None.
    pub fn specials(&self) -> Specials {
        Specials { pad: None, unk: None, bos: None, eos: None }
    }

    pub(super) fn decode(&self, _: &[u32]) -> String {
        String::new()
    }

    pub(super) fn to_text(&self) -> String {
        String::new()
    }
}
