//! Texts as models want them: ids by Hugging Face's `tokenizer.json`.

use super::config::TextInput;
use super::network::Sample;
use crate::{Error, Result};

/// A tokenizer that makes rows of one length.
pub(super) struct Ids {
    tokenizer: tokenizers::Tokenizer,
    input: TextInput,
}

impl Ids {
    /// Reads the tokenizer of a model.
    ///
    /// # Errors
    /// [`Error::Input`] for a file that is none.
    pub(super) fn load(input: &TextInput) -> Result<Self> {
        let broken = |e: tokenizers::Error| Error::input(&input.tokenizer, format!("not a tokenizer: {e}"));
        let mut tokenizer = tokenizers::Tokenizer::from_file(&input.tokenizer).map_err(broken)?;
        let cut = tokenizers::TruncationParams { max_length: input.length, ..Default::default() };
        tokenizer.with_truncation(Some(cut)).map_err(broken)?.with_padding(None);
        Ok(Self { tokenizer, input: input.clone() })
    }

    /// The ids of a text; `None` where the tokenizer has none for it.
    pub(super) fn sample(&self, text: &str) -> Option<Sample> {
        let encoding = self.tokenizer.encode(text, true).ok()?;
        let mut ids = encoding.get_ids().to_vec();
        ids.truncate(self.input.length);
        let own = ids.len();
        ids.resize(self.input.length, self.input.pad);
        Some(Sample::Ids(ids, own))
    }
}
