//! Trains an encoding in the manner of YouTokenToMe with Hugging Face's library, kept as its `tokenizer.json`.
//!
//! Text is lower-cased and stripped as ruDALL-E does, split on white space, and each word gets a leading `▁`.
//! Ids 0 to 3 are `<PAD> <UNK> <BOS> <EOS>` (YouTokenToMe's defaults), then characters, then merges.

use tokenizers::decoders::DecoderWrapper;
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::normalizers::{
    Lowercase, NormalizerWrapper, Replace, Sequence, Strip, replace::ReplacePattern,
};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::{AddedToken, Tokenizer};

use super::{Bpe, UNK};
use crate::{Error, Result};

const SPECIALS: [&str; 4] = ["<PAD>", "<UNK>", "<BOS>", "<EOS>"];
/// The separators of YouTokenToMe: ASCII white space and the word mark itself.
const SEPARATORS: &str = r"[ \t\n\x0b\x0c\r▁]+";

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
        Self::from_bytes(json.into_bytes(), "the trained BPE")
    }
}

fn untrained(why: String, cure: String) -> Error {
    Error::Bpe { what: "cannot train a BPE".to_owned(), why, cure: Some(cure) }
}

/// What the library can only say if this file is wrong.
fn defect(error: tokenizers::Error) -> Error {
    untrained(error.to_string(), "this is a defect, please report it".to_owned())
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bpe::{BOS, EOS, PAD};

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
        let text = include_str!("train.rs");
        let lines: Vec<&str> = text.lines().collect();
        let first = Bpe::train(lines.iter(), 600).unwrap();
        for _ in 0..4 {
            assert_eq!(Bpe::train(lines.iter().rev(), 600).unwrap().sha256(), first.sha256());
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

    fn is_separator(c: char) -> bool {
        matches!(c, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | '▁')
    }

    /// Lower case, runs of separators as one space, none at the ends.
    fn normalise(text: &str) -> String {
        let lower: String = text.chars().flat_map(char::to_lowercase).collect();
        let words: Vec<&str> = lower.split(is_separator).filter(|word| !word.is_empty()).collect();
        words.join(" ").trim().to_owned()
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
