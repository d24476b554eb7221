//! Text ↔ ids by byte-pair encoding in the manner of YouTokenToMe, kept as a Hugging Face `tokenizer.json`.
//!
//! Text is lower-cased and stripped as ruDALL-E does, split on white space, and each word gets a leading `▁`.
//! Ids 0 to 3 are `<PAD> <UNK> <BOS> <EOS>` (YouTokenToMe's defaults), then characters, then merges.

use std::path::Path;

use pipeline::atomic;
use sha2::{Digest, Sha256};
use tokenizers::decoders::DecoderWrapper;
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::normalizers::{
    Lowercase, NormalizerWrapper, Replace, Sequence, Strip, replace::ReplacePattern,
};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::{AddedToken, Tokenizer};

use crate::{Error, Result};

/// Fills a text up to its length.
pub const PAD: u32 = 0;
/// Stands for a run of characters that the vocabulary lacks.
pub const UNK: u32 = 1;
/// Begins a text.
pub const BOS: u32 = 2;
/// Ends a text.
pub const EOS: u32 = 3;

const SPECIALS: [&str; 4] = ["<PAD>", "<UNK>", "<BOS>", "<EOS>"];
/// The separators of YouTokenToMe: ASCII white space and the word mark itself.
const SEPARATORS: &str = r"[ \t\n\x0b\x0c\r▁]+";

/// A trained byte-pair encoding.
///
/// ```
/// let bpe = tokenize::bpe::Bpe::train(["a red flag", "a green flag"].iter(), 40)?;
/// assert_eq!(bpe.decode(&bpe.encode("Green  FLAG")), "green flag");
/// # Ok::<(), tokenize::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Bpe {
    tokenizer: Tokenizer,
    json: String,
    sha256: String,
}

impl Bpe {
    /// Learns an encoding of at most `vocab_size` entries, special ids included. The result depends on the texts alone,
    /// not on their order. Where the texts do not hold that many pieces, [`Self::vocab_size`] is smaller.
    ///
    /// # Errors
    /// No text, or a vocabulary smaller than the alphabet of the texts.
    pub fn train<I, S>(texts: I, vocab_size: usize) -> Result<Self>
    where
        I: Iterator<Item = S> + Send,
        S: AsRef<str> + Send,
    {
        let mut tokenizer = empty().map_err(defect)?;
        let specials = SPECIALS.map(|token| AddedToken::from(token, true));
        let mut trainer: TrainerWrapper = BpeTrainer::builder()
            .vocab_size(vocab_size)
            .show_progress(false)
            .special_tokens(specials.to_vec())
            .build()
            .into();
        tokenizer.train(&mut trainer, texts).map_err(defect)?;
        let size = tokenizer.get_vocab_size(true);
        if size <= SPECIALS.len() {
            let cure = "give text files, or name the column that holds the text with --columns";
            return Err(untrained("there is no text".to_owned(), cure.to_owned()));
        }
        if size > vocab_size {
            let characters = size - SPECIALS.len();
            let why = format!(
                "a vocabulary of {vocab_size} is too small: the text has {characters} different characters"
            );
            return Err(untrained(why, format!("ask for at least --vocab-size {size}")));
        }
        let json = tokenizer.to_string(true).map_err(defect)?;
        Ok(Self::new(tokenizer, json))
    }

    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// A missing file, another format, or a vocabulary without the four special ids.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let fault = |why: String| Error::Bpe {
            what: path.display().to_string(),
            why,
            cure: Some("make one with `tokenize bpe TEXTS --vocab-size 16384 --out bpe.json`".to_owned()),
        };
        let json = String::from_utf8(bytes)
            .map_err(|_| fault("not a tokenizer.json (not UTF-8 text)".to_owned()))?;
        let tokenizer = Tokenizer::from_bytes(json.as_bytes())
            .map_err(|e| fault(format!("not a tokenizer.json: {e}")))?;
        for (id, token) in (0..).zip(SPECIALS) {
            if tokenizer.token_to_id(token) != Some(id) {
                return Err(fault(format!("{token} must have the id {id}")));
            }
        }
        Ok(Self::new(tokenizer, json))
    }

    fn new(mut tokenizer: Tokenizer, json: String) -> Self {
        // A caption that spells "<BOS>" is text, not a control code.
        tokenizer.set_encode_special_tokens(true);
        let sha256 = hex(&Sha256::digest(json.as_bytes()));
        Self { tokenizer, json, sha256 }
    }

    /// Writes `tokenizer.json`: the bytes that [`Self::sha256`] is the hash of.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        Ok(atomic::write(path.as_ref(), self.json.as_bytes())?)
    }

    /// Bare ids of a text: no BOS, EOS or padding; a run of unknown characters inside a word is one [`UNK`].
    pub fn encode(&self, text: &str) -> Vec<u32> {
        // The library fails only where a model lacks its own unknown token, which `load` has ruled out.
        self.tokenizer
            .encode_fast(text, false)
            .map_or_else(|_| vec![UNK], |encoding| encoding.get_ids().to_vec())
    }

    /// The text of ids; special ids and ids outside the vocabulary are dropped.
    pub fn decode(&self, ids: &[u32]) -> String {
        let pieces = ids.iter().filter(|&&id| id > EOS).filter_map(|&id| self.tokenizer.id_to_token(id));
        let text = pieces.collect::<String>().replace('▁', " ");
        text.strip_prefix(' ').map_or(text.clone(), str::to_owned)
    }

    /// Entries, special ids included.
    pub fn vocab_size(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// Hash of the tokenizer's file, lower-case hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The kind that token shards record.
    pub fn kind(&self) -> &'static str {
        "hf-bpe"
    }
}

/// The text that [`Bpe::encode`] sees: lower case, runs of separators as one space, none at the ends.
pub fn normalise(text: &str) -> String {
    let lower: String = text.chars().flat_map(char::to_lowercase).collect();
    let words: Vec<&str> = lower.split(is_separator).filter(|word| !word.is_empty()).collect();
    words.join(" ").trim().to_owned()
}

fn untrained(why: String, cure: String) -> Error {
    Error::Bpe { what: "cannot train a BPE".to_owned(), why, cure: Some(cure) }
}

/// What the library can only say if this file is wrong.
fn defect(error: tokenizers::Error) -> Error {
    untrained(error.to_string(), "this is a defect, please report it".to_owned())
}

fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | '▁')
}

fn empty() -> tokenizers::Result<Tokenizer> {
    let model = BPE::builder().unk_token(SPECIALS[UNK as usize].to_owned()).fuse_unk(true).build()?;
    let normalizer = Sequence::new(vec![
        NormalizerWrapper::from(Lowercase),
        Replace::new(ReplacePattern::Regex(SEPARATORS.to_owned()), " ")?.into(),
        Strip::new(true, true).into(),
    ]);
    let words = Metaspace::new('▁', PrependScheme::Always, true);
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_normalizer(Some(NormalizerWrapper::from(normalizer)))?;
    tokenizer.with_pre_tokenizer(Some(PreTokenizerWrapper::from(words.clone())));
    tokenizer.with_decoder(Some(DecoderWrapper::from(words)));
    Ok(tokenizer)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXTS: [&str; 4] =
        ["Красный флаг", "red flag, red apple", "зелёное яблоко", "a green apple and a flag"];

    fn trained() -> Bpe {
        Bpe::train(TEXTS.iter(), 80).unwrap()
    }

    #[test]
    fn special_ids_come_first_and_are_dropped_when_decoding() {
        let bpe = trained();
        let ids = bpe.encode("Red FLAG");
        assert!(ids.iter().all(|&id| id > EOS));
        let framed = [&[BOS][..], &ids, &[EOS, PAD, PAD, 9_999]].concat();
        assert_eq!(bpe.decode(&framed), "red flag");
    }

    #[test]
    fn a_run_of_unknown_characters_is_one_unk() {
        let bpe = trained();
        let ids = bpe.encode("red 日本 flag");
        assert_eq!(ids.iter().filter(|&&id| id == UNK).count(), 1);
        assert_eq!(bpe.decode(&ids), "red  flag");
    }

    #[test]
    fn control_codes_in_a_caption_are_text() {
        let ids = trained().encode("<BOS> red <PAD>");
        assert!(!ids.contains(&BOS) && !ids.contains(&PAD), "{ids:?}");
    }

    #[test]
    fn training_depends_on_the_texts_alone() {
        let text = include_str!("bpe.rs");
        let lines: Vec<&str> = text.lines().collect();
        let first = Bpe::train(lines.iter(), 600).unwrap();
        for _ in 0..4 {
            assert_eq!(Bpe::train(lines.iter().rev(), 600).unwrap().json, first.json);
        }
        assert_eq!(first.vocab_size(), 600);
    }

    #[test]
    fn a_vocabulary_beyond_the_text_is_trained_as_far_as_it_goes() {
        let bpe = Bpe::train(["ab ab"].iter(), 1_000).unwrap();
        // <PAD> <UNK> <BOS> <EOS> a b ▁ ab ▁ab, in whichever order the merges happen.
        assert_eq!(bpe.vocab_size(), 9);
        assert_eq!(bpe.encode("ab").len(), 1);
    }

    #[test]
    fn no_text_and_too_small_a_vocabulary_are_errors_with_a_cure() {
        let none = Bpe::train(["", " \t"].iter(), 100).unwrap_err();
        assert_eq!(none.to_string(), "cannot train a BPE: there is no text");
        assert!(none.hint().unwrap().contains("--columns"));
        let small = Bpe::train(TEXTS.iter(), 10).unwrap_err();
        assert!(small.hint().unwrap().starts_with("ask for at least --vocab-size"), "{small}");
    }

    #[test]
    fn a_saved_tokenizer_loads_as_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bpe.json");
        let bpe = trained();
        bpe.save(&path).unwrap();
        let loaded = Bpe::load(&path).unwrap();
        assert_eq!(loaded.sha256(), bpe.sha256());
        assert_eq!(loaded.encode("Green  флаг"), bpe.encode("green флаг"));
    }

    #[test]
    fn another_format_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bpe.model");
        atomic::write(&path, "10 20\n9601 4\n").unwrap();
        assert!(Bpe::load(&path).unwrap_err().to_string().contains("bpe.model: not a tokenizer.json"));
    }

    proptest! {
        #[test]
        fn decoding_gives_the_normalised_text(text in "[a-gA-Gрндлёя ,\t▁]{0,80}") {
            let bpe = trained();
            let known: String = text.chars().filter(|c| is_separator(*c) || bpe.encode(&c.to_string()).iter().all(|&id| id != UNK)).collect();
            prop_assert_eq!(bpe.decode(&bpe.encode(&known)), normalise(&known));
        }

        #[test]
        fn any_text_encodes_within_the_vocabulary(text in any::<String>()) {
            let bpe = trained();
            prop_assert!(bpe.encode(&text).iter().all(|&id| (id as usize) < bpe.vocab_size() && id != BOS));
        }
    }
}
