//! Hugging Face's `tokenizer.json`, read by their library.
//!
//! Plain byte-level encodings (GPT-2's and what `tokenize bpe --out bpe.json` trains) encode with the engine of the
//! other kinds, which gives the library's ids in a fraction of its time; every other shape encodes with the library.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use tokenizers::Tokenizer;

use super::Specials;
use super::byte_characters::spelling;
use super::engine::Engine;
use super::merges::{Merges, UNKNOWN};
use super::split::Split;
use super::symbols::{Bytes, Symbols};
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
    plain: Option<Plain>,
}

/// A byte-level encoding in the form of the engine.
#[derive(Clone, Debug)]
struct Plain {
    engine: Engine,
    lowercase: bool,
    /// A text that does not begin with a space gets one.
    prefix: bool,
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
        let plain = serde_json::from_str::<Shape>(json).ok().and_then(Shape::plain);
        Ok(Self { tokenizer, specials: Specials { pad, unk, bos, eos }, plain })
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
        self.plain.as_ref().map(|plain| &plain.engine)
    }

    /// The text as the engine sees it.
    pub(super) fn normalised<'t>(&self, text: Cow<'t, str>) -> Cow<'t, str> {
        let Some(plain) = &self.plain else { return text };
        // The library's lower case: each character by itself.
        let text = match plain.lowercase {
            true => Cow::Owned(text.chars().flat_map(char::to_lowercase).collect()),
            false => text,
        };
        if plain.prefix && !text.starts_with(' ') && !text.is_empty() {
            return Cow::Owned([" ", &text].concat());
        }
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

    /// Ids and tokens with the special ones that the file's post-processor adds.
    pub fn framed(&self, text: &str) -> (Vec<u32>, Vec<String>) {
        let encoding = self.tokenizer.encode(text, true);
        encoding
            .map(|encoding| (encoding.get_ids().to_vec(), encoding.get_tokens().to_vec()))
            .unwrap_or_default()
    }

    pub(super) fn decode(&self, ids: &[u32]) -> String {
        self.tokenizer.decode(ids, true).unwrap_or_default()
    }
}

/// The part of a `tokenizer.json` that decides the ids, in the shape that is plain; most others do not parse.
#[derive(Deserialize)]
struct Shape {
    truncation: Option<serde_json::Value>,
    padding: Option<serde_json::Value>,
    added_tokens: Vec<Added>,
    normalizer: Option<Normalizer>,
    pre_tokenizer: PreTokenizer,
    model: Merging,
}

#[derive(Deserialize)]
struct Added {
    special: bool,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Normalizer {
    Lowercase,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum PreTokenizer {
    ByteLevel {
        add_prefix_space: bool,
        #[serde(default = "yes")]
        use_regex: bool,
    },
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Merging {
    #[serde(rename = "BPE")]
    Bpe(Vocabulary),
}

#[derive(Deserialize)]
struct Vocabulary {
    dropout: Option<serde_json::Value>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    ignore_merges: bool,
    vocab: HashMap<String, u32>,
    merges: Vec<Pair>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Pair {
    Two([String; 2]),
    One(String),
}

impl Shape {
    /// The engine, where every byte has an id and every merge its symbols.
    fn plain(self) -> Option<Plain> {
        // Tokens that are not special are found in the text before it is cut into words.
        let whole = self.added_tokens.iter().all(|token| token.special);
        let PreTokenizer::ByteLevel { add_prefix_space: prefix, use_regex } = self.pre_tokenizer;
        if self.truncation.is_some() || self.padding.is_some() || !use_regex || !whole {
            return None;
        }
        let lowercase = matches!(self.normalizer, Some(Normalizer::Lowercase));
        let Merging::Bpe(vocabulary) = self.model;
        Some(Plain { engine: vocabulary.engine()?, lowercase, prefix })
    }
}

impl Vocabulary {
    fn engine(self) -> Option<Engine> {
        let affixes = [&self.continuing_subword_prefix, &self.end_of_word_suffix];
        if self.dropout.is_some() || affixes.into_iter().flatten().any(|affix| !affix.is_empty()) {
            return None;
        }
        let mut symbols = Bytes { inner: [UNKNOWN; 256], last: [UNKNOWN; 256], whole: HashMap::new() };
        for (byte, character) in spelling() {
            symbols.inner[usize::from(byte)] = *self.vocab.get(character.encode_utf8(&mut [0; 4]) as &str)?;
        }
        symbols.last = symbols.inner;
        let mut ranked = Vec::with_capacity(self.merges.len());
        for (rank, pair) in (0..).zip(&self.merges) {
            let (left, right) = match pair {
                Pair::Two([left, right]) => (left.as_str(), right.as_str()),
                Pair::One(pair) => pair.split_once(' ')?,
            };
            let id = |token: &str| self.vocab.get(token).copied();
            ranked.push((id(left)?, id(right)?, rank, id(&[left, right].concat())?));
        }
        let merges = Merges::of_library(&ranked);
        let symbols = Symbols::Bytes(Box::new(symbols));
        let mut engine = Engine { split: Split::Gpt2, symbols, merges, unknown: None };
        if self.ignore_merges {
            engine.keep_whole(self.vocab.iter().filter_map(|(token, id)| Some((bytes_of(token)?, *id))));
        }
        Some(engine)
    }
}

/// The text that a token's characters spell.
fn bytes_of(token: &str) -> Option<String> {
    let byte = |character| spelling().find(|(_, other)| *other == character).map(|(byte, _)| byte);
    String::from_utf8(token.chars().map(byte).collect::<Option<_>>()?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokenizers::AddedToken;
    use tokenizers::models::TrainerWrapper;
    use tokenizers::models::bpe::{BPE, BpeTrainer};
    use tokenizers::pre_tokenizers::PreTokenizerWrapper;
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;

    use super::*;
    use crate::bpe::Bpe;

    /// A byte-level encoding that the library trained on this file; `change` makes other shapes of it.
    fn trained(change: fn(&mut serde_json::Value)) -> Bpe {
        let trainer = BpeTrainer::builder()
            .vocab_size(700)
            .show_progress(false)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .special_tokens(
                ["<PAD>", "<UNK>", "<BOS>", "<EOS>"].map(|token| AddedToken::from(token, true)).to_vec(),
            )
            .build();
        let mut tokenizer = Tokenizer::new(BPE::default());
        tokenizer.with_pre_tokenizer(Some(PreTokenizerWrapper::from(ByteLevel::new(false, true, true))));
        tokenizer.with_decoder(Some(ByteLevel::new(false, true, true)));
        let texts = include_str!("hf.rs").lines().chain(["красный флаг и красная шапка, don't we'll"; 9]);
        tokenizer.train(&mut TrainerWrapper::from(trainer), texts).unwrap();
        let mut json = serde_json::from_str(&tokenizer.to_string(false).unwrap()).unwrap();
        change(&mut json);
        Bpe::from_bytes(json.to_string().into_bytes(), "bpe.json").unwrap()
    }

    fn same(bpe: &Bpe, text: &str) {
        let crate::bpe::Kind::Hf(model) = &*bpe.kind else { panic!("not of this kind") };
        assert!(model.plain.is_some());
        let mut expected = Vec::new();
        model.encode(text, &mut expected);
        assert_eq!(bpe.encode(text), expected, "{text:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_engine_gives_the_librarys_ids(texts in proptest::collection::vec(any::<String>(), 20), words in "[a-fklt' красный\n.0-9<BOS>İΣ]{0,200}") {
            let shapes: [fn(&mut serde_json::Value); 4] = [
                |_| (),
                |json| json["pre_tokenizer"]["add_prefix_space"] = true.into(),
                |json| json["normalizer"] = serde_json::json!({"type": "Lowercase"}),
                |json| json["model"]["ignore_merges"] = true.into(),
            ];
            for bpe in shapes.map(trained) {
                same(&bpe, "");
                same(&bpe, &words);
                texts.iter().for_each(|text| same(&bpe, text));
            }
        }

        #[test]
        fn any_text_comes_back(text in any::<String>()) {
            let bpe = trained(|_| ());
            prop_assert_eq!(bpe.decode(&bpe.encode(&text)), text);
        }
    }

    #[test]
    fn other_shapes_are_left_to_the_library() {
        let shapes: [fn(&mut serde_json::Value); 6] = [
            |json| json["pre_tokenizer"] = serde_json::json!({"type": "Metaspace", "replacement": "▁", "add_prefix_space": true, "prepend_scheme": "always"}),
            |json| json["normalizer"] = serde_json::json!({"type": "NFC"}),
            |json| json["pre_tokenizer"] = serde_json::json!({"type": "Whitespace"}),
            |json| json["pre_tokenizer"]["use_regex"] = false.into(),
            |json| json["model"]["end_of_word_suffix"] = "</w>".into(),
            |json| json["added_tokens"][0]["special"] = false.into(),
        ];
        for bpe in shapes.map(trained) {
            assert!(bpe.kind.engine().is_err());
            bpe.encode("red flag");
        }
    }
}
