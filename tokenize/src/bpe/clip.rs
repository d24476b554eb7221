//! CLIP's byte-pair encoding (`openai/CLIP`, `clip/simple_tokenizer.py`).

use super::Specials;
use super::engine::Engine;
use crate::{Error, Result};

/// CLIP's encoding.
#[derive(Clone, Debug)]
pub struct Model {
    engine: Engine,
}

/// Whether a file is gzip, as CLIP's vocabulary is.
pub(super) fn looks_like(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

impl Model {
    pub(super) fn read(_: &[u8], what: &str) -> Result<Self> {
        Err(Error::Bpe { what: what.to_owned(), why: "not yet".to_owned(), cure: None })
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Entries.
    pub fn vocab_size(&self) -> usize {
        49408
    }

    /// Start and end of a text.
    pub fn specials(&self) -> Specials {
        Specials { pad: None, unk: None, bos: Some(49406), eos: Some(49407) }
    }

    pub(super) fn decode(&self, _: &[u32]) -> String {
        String::new()
    }
}

pub(super) fn clean(text: &str) -> String {
    text.to_lowercase()
}
