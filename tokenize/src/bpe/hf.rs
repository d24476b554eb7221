//! Hugging Face's `tokenizer.json`, read by their library.

use std::borrow::Cow;

use tokenizers::Tokenizer;

use super::Specials;
use super::engine::Engine;
use crate::{Error, Result};

/// Names under which files keep their special tokens.
const NAMES: [&[&str]; 4] = [
    &["<PAD>", "<pad>", "[PAD]", "<|padding|>"],
    &["<UNK>", "<unk>", "[UNK]"],
    &["<BOS>", "<s>", "<bos>", "[BOS]", "<|startoftext|>", "<|begin_of_text|>", "<|endoftext|>"],
    &["<EOS>", "</s>", "<eos>", "[EOS]", "<|end_of_text|>", "<|endoftext|>"],
];

/// A tokenizer of the library.
#[derive(Clone, Debug)]
pub struct Model {
    tokenizer: Tokenizer,
    specials: Specials,
    engine: Option<Engine>,
}

/// Whether a file may be a `tokenizer.json`: it begins as a JSON object does.
pub(super) fn looks_like(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"{")
}

impl Model {
    /// Reads the text of a `tokenizer.json`; `what` names it in errors.
    ///
    /// # Errors
    /// Anything that the library cannot read.
    pub fn parse(json: &str, what: &str) -> Result<Self> {
        let mut tokenizer = Tokenizer::from_bytes(json.as_bytes()).map_err(|fault| Error::Bpe {
            what: what.to_owned(),
            why: format!("not a tokenizer.json: {fault}"),
            cure: Some("make one with `tokenize bpe TEXTS --vocab-size 16384 --out bpe.json`".to_owned()),
        })?;
        // A caption that spells "<BOS>" is text, not a control code.
        tokenizer.set_encode_special_tokens(true);
        let [pad, unk, bos, eos] =
            NAMES.map(|names| names.iter().find_map(|name| tokenizer.token_to_id(name)));
        Ok(Self { tokenizer, specials: Specials { pad, unk, bos, eos }, engine: None })
    }

    /// The library's own form.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The special ids, by the usual names of their tokens.
    pub fn specials(&self) -> Specials {
        self.specials
    }

    /// Entries, added tokens included.
    pub fn vocab_size(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    pub(super) fn engine(&self) -> Option<&Engine> {
        self.engine.as_ref()
    }

    /// The text as the engine sees it.
    pub(super) fn normalised<'t>(&self, text: Cow<'t, str>) -> Cow<'t, str> {
        text
    }

    /// Adds the ids of a text as the library gives them.
    pub(super) fn encode(&self, text: &str, ids: &mut Vec<u32>) {
        // The library fails only where a model lacks its own unknown token.
        match (self.tokenizer.encode_fast(text, false), self.specials.unk) {
            (Ok(encoding), _) => ids.extend_from_slice(encoding.get_ids()),
            (Err(_), unk) => ids.extend(unk),
        }
    }

    pub(super) fn decode(&self, ids: &[u32]) -> String {
        self.tokenizer.decode(ids, true).unwrap_or_default()
    }
}
