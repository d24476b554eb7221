//! Learns byte-pair encodings from text.
//!
//! Modules in the order in which data passes them: `count` and `words` cut texts into words and count them in parallel, `alphabet` chooses the characters, `merge` joins pairs, `characters` and `bytes` make models of it.
//!
//! The result depends on the texts alone, neither on their order nor on the number of threads.

mod alphabet;
mod bytes;
mod characters;
mod count;
mod merge;
mod words;

use std::collections::HashSet;

use pipeline::interrupt::Interrupt;
use pipeline::progress::Progress;
use serde::Serialize;

use super::split::Split;
use super::{Bpe, Specials};
use crate::corpus::Batch;
use crate::{Error, Result};
use count::count;

/// Merges between two looks at the progress line.
const LOOK: usize = 256;
const USUAL_IDS: &str = "the usual ids are --pad-id 0 --unk-id 1 --bos-id 2 --eos-id 3";

/// What to learn.
#[derive(Clone, Debug)]
pub struct LearnConfig {
    /// Characters or bytes.
    pub kind: LearnKind,
    /// Entries at most, special ids included.
    pub vocab_size: usize,
    /// Share of all characters that the alphabet has to cover; the rarest beyond it are left out. Characters only.
    pub coverage: f64,
    /// Learn from lower-cased, stripped text.
    pub lowercase: bool,
    /// Special ids; the other entries take the ids that they leave free, in order.
    pub specials: Specials,
}

impl Default for LearnConfig {
    /// As ruDALL-E and RuDOLPH have it: 16,384 entries of lower-cased characters, all of them, YouTokenToMe's ids.
    fn default() -> Self {
        Self {
            kind: LearnKind::Yttm,
            vocab_size: 16384,
            coverage: 1.0,
            lowercase: true,
            specials: Specials::default(),
        }
    }
}

/// The kinds of encoding that can be learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LearnKind {
    /// Characters between white space, as YouTokenToMe: a `.model` file.
    Yttm,
    /// Bytes of the pieces that GPT-2's pattern gives, as Hugging Face's `ByteLevel`: a `tokenizer.json`.
    ByteLevel,
}

/// A learned encoding.
#[derive(Debug)]
pub struct Learned {
    /// The encoding, lower-casing as the texts were.
    pub bpe: Bpe,
    /// What it was learned from.
    pub summary: Summary,
}

/// What an encoding was learned from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Number of texts.
    pub texts: u64,
    /// Words, or pieces of GPT-2's pattern, in all texts.
    pub words: u64,
    /// Different ones among them.
    pub distinct_words: usize,
    /// Characters of the words.
    pub characters: u64,
    /// Share of the characters that the alphabet covers.
    pub covered: f64,
    /// Characters that are entries, `▁` included; or 256 bytes.
    pub alphabet: usize,
    /// Entries of the vocabulary, special ids included.
    pub entries: usize,
    /// Ids that a word of these texts becomes, on average.
    pub pieces_per_word: f64,
}

/// What looks on while an encoding is learned.
#[derive(Clone, Default)]
pub struct Watch {
    /// Ends the work at the next batch of texts or the next merge.
    pub interrupt: Interrupt,
    /// Counts texts, then tells of merges.
    pub progress: Option<Progress>,
}

impl Watch {
    fn counted(&self, texts: usize) {
        if let Some(progress) = &self.progress {
            progress.add(texts as u64);
        }
    }

    fn learning(&self, done: usize, of: usize) -> Result<()> {
        if let Some(progress) = self.progress.as_ref().filter(|_| done.is_multiple_of(LOOK)) {
            progress.message(format!("{done} of {of} entries"));
        }
        Ok(self.interrupt.check()?)
    }
}

/// Learns an encoding. Where the texts do not hold as many different pieces as asked for, it has fewer entries.
///
/// # Errors
/// No text, a vocabulary without room for the alphabet, special ids that clash, the first error of `batches`, or an
/// interrupt.
pub fn learn<I>(batches: I, config: &LearnConfig, watch: &Watch) -> Result<Learned>
where
    I: Iterator<Item = Result<Batch>> + Send,
{
    check(config)?;
    let counted = match config.kind {
        // Words are lower-cased once each, after they have been counted.
        LearnKind::Yttm => count(batches, Split::Spaces, false, watch),
        LearnKind::ByteLevel => count(batches, Split::Gpt2, config.lowercase, watch),
    }?;
    if counted.words.len() == 0 {
        let cure = "give text files, or name the column that holds the text with --columns";
        return Err(untrained("there is no text".to_owned(), cure.to_owned()));
    }
    match config.kind {
        LearnKind::Yttm => characters::learn(counted, config, watch),
        LearnKind::ByteLevel => bytes::learn(counted, config, watch),
    }
}

/// Special ids have to be different, and an alphabet of characters needs one for all others.
fn check(config: &LearnConfig) -> Result<()> {
    let given: HashSet<u32> = config.specials.ids().collect();
    if given.len() < config.specials.ids().count() {
        return Err(untrained("two special tokens have the same id".to_owned(), USUAL_IDS.to_owned()));
    }
    within(config.specials, config.vocab_size)?;
    if config.kind == LearnKind::Yttm && config.specials.unk.is_none() {
        let why = "a YouTokenToMe model needs an id for unknown characters";
        return Err(untrained(why.to_owned(), "leave out --unk-id, or write bpe.json".to_owned()));
    }
    if !(config.coverage > 0.0 && config.coverage <= 1.0) {
        let why = format!("a coverage of {} is no share of the characters", config.coverage);
        return Err(untrained(
            why,
            "give more than 0 and at most 1, for example --coverage 0.9999".to_owned(),
        ));
    }
    Ok(())
}

/// Special ids are ids of the vocabulary; one that ends early may not reach them.
fn within(specials: Specials, entries: usize) -> Result<()> {
    let Some(id) = specials.ids().find(|&id| id as usize >= entries) else { return Ok(()) };
    Err(untrained(format!("the special id {id} lies beyond a vocabulary of {entries}"), USUAL_IDS.to_owned()))
}

/// The ids that special tokens leave to the others.
fn free_ids(specials: Specials) -> impl Iterator<Item = u32> {
    (0..).filter(move |&id| !specials.has(id))
}

fn untrained(why: String, cure: String) -> Error {
    Error::Bpe { what: "cannot train a BPE".to_owned(), why, cure: Some(cure) }
}

impl Bpe {
    /// Learns a lower-casing encoding in the manner of YouTokenToMe with at most `vocab_size` entries, special ids
    /// included: the short form of [`learn`].
    ///
    /// # Errors
    /// No text, or a vocabulary smaller than the alphabet of the texts.
    pub fn train<I, S>(texts: I, vocab_size: usize) -> Result<Self>
    where
        I: Iterator<Item = S> + Send,
        S: AsRef<str> + Send,
    {
        let mut texts = texts.fuse();
        let batches = std::iter::from_fn(|| {
            let batch: Batch = texts.by_ref().take(1024).collect();
            (!batch.is_empty()).then_some(Ok(batch))
        });
        let config = LearnConfig { vocab_size, ..LearnConfig::default() };
        Ok(learn(batches, &config, &Watch::default())?.bpe)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bpe::{BOS, EOS, PAD, UNK};

    const TEXTS: [&str; 4] =
        ["Красный флаг", "red flag, red apple", "зелёное яблоко", "a green apple and a flag"];

    fn trained() -> Bpe {
        Bpe::train(TEXTS.iter(), 80).unwrap()
    }

    fn of<S: AsRef<str>>(texts: &[S], config: &LearnConfig) -> Result<Learned> {
        let batches: Vec<Batch> = texts.chunks(3).map(Batch::from_iter).collect();
        learn(batches.into_iter().map(Ok), config, &Watch::default())
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
        let ids = trained().encode("red 日本 flag");
        assert_eq!(ids.iter().filter(|&&id| id == UNK).count(), 1);
        assert_eq!(trained().decode(&ids), "red  flag");
    }

    #[test]
    fn learning_depends_on_the_texts_alone() {
        let lines: Vec<&str> = include_str!("mod.rs").lines().collect();
        let reversed: Vec<&str> = lines.iter().rev().copied().collect();
        for kind in [LearnKind::Yttm, LearnKind::ByteLevel] {
            let config = LearnConfig { kind, vocab_size: 600, ..LearnConfig::default() };
            let first = of(&lines, &config).unwrap();
            assert_eq!((first.bpe.vocab_size(), first.summary.entries), (600, 600));
            let other = of(&reversed, &config).unwrap();
            assert_eq!((other.bpe.sha256(), &other.summary), (first.bpe.sha256(), &first.summary));
        }
    }

    #[test]
    fn a_vocabulary_beyond_the_text_is_trained_as_far_as_it_goes() {
        let bpe = Bpe::train(["ab ab"].iter(), 1_000).unwrap();
        // <PAD> <UNK> <BOS> <EOS> ▁ b a, then two merges.
        assert_eq!((bpe.vocab_size(), bpe.encode("ab").len()), (9, 1));
        let config = LearnConfig { kind: LearnKind::ByteLevel, vocab_size: 1_000, ..LearnConfig::default() };
        let bytes = of(&["ab ab"], &config).unwrap().bpe;
        assert_eq!((bytes.vocab_size(), bytes.encode("ab ab").len()), (262, 2));
    }

    #[test]
    fn what_was_learned_is_summed_up() {
        let summary = of(&TEXTS, &LearnConfig { vocab_size: 80, ..LearnConfig::default() }).unwrap().summary;
        assert_eq!((summary.texts, summary.words, summary.distinct_words), (4, 14, 11));
        assert_eq!((summary.characters, summary.covered, summary.entries), (59, 1.0, 74));
        assert!((1.0..2.0).contains(&summary.pieces_per_word), "{summary:?}");
    }

    #[test]
    fn what_cannot_be_learned_is_an_error_with_a_cure() {
        let none = Bpe::train(["", " \t"].iter(), 100).unwrap_err();
        assert_eq!(none.to_string(), "cannot train a BPE: there is no text");
        assert!(none.hint().unwrap().contains("--columns"));
        let small = Bpe::train(TEXTS.iter(), 10).unwrap_err();
        assert!(small.hint().unwrap().starts_with("ask for at least --vocab-size"), "{small}");
        let bytes = LearnConfig { kind: LearnKind::ByteLevel, vocab_size: 259, ..LearnConfig::default() };
        assert!(of(&TEXTS, &bytes).unwrap_err().hint().unwrap().ends_with("--vocab-size 260"));
        let with = |change: fn(&mut LearnConfig)| {
            let mut config = LearnConfig { vocab_size: 80, ..LearnConfig::default() };
            change(&mut config);
            of(&TEXTS, &config).unwrap_err().to_string()
        };
        assert!(with(|c| c.specials.eos = Some(0)).contains("the same id"));
        assert!(with(|c| c.specials.eos = Some(80)).contains("beyond a vocabulary of 80"));
        assert!(with(|c| c.specials.unk = None).contains("unknown characters"));
        assert!(with(|c| c.coverage = 0.0).contains("coverage of 0"));
    }

    #[test]
    fn a_special_id_beyond_what_the_text_holds_is_an_error() {
        let specials = Specials { eos: Some(500), ..Specials::default() };
        for kind in [LearnKind::Yttm, LearnKind::ByteLevel] {
            let config = LearnConfig { kind, vocab_size: 1_000, specials, ..LearnConfig::default() };
            let error = of(&["ab ab"], &config).unwrap_err().to_string();
            assert!(error.contains("the special id 500 lies beyond a vocabulary of "), "{error}");
        }
    }

    #[test]
    fn bytes_take_the_ids_that_special_tokens_leave() {
        let specials = Specials { pad: Some(257), unk: None, bos: Some(1), eos: None };
        let config =
            LearnConfig { kind: LearnKind::ByteLevel, vocab_size: 270, specials, ..LearnConfig::default() };
        let bpe = of(&TEXTS, &config).unwrap().bpe;
        assert_eq!((bpe.specials(), bpe.vocab_size()), (specials, 270));
        // Of the bytes in GPT-2's order `!` is the first, `"` the second.
        assert_eq!(bpe.encode("!\""), [0, 2]);
        assert_eq!(bpe.decode(&bpe.encode("Ёжик & 日本")), "ёжик & 日本");
    }

    proptest! {
        #[test]
        fn any_text_encodes_within_the_vocabulary(text in any::<String>()) {
            let bpe = trained();
            prop_assert!(bpe.encode(&text).iter().all(|&id| (id as usize) < bpe.vocab_size() && id != BOS));
        }

        #[test]
        fn decoding_gives_the_words_back(text in "[a-gA-Gрндлёя ,\t▁]{0,80}") {
            let words = |text: &str| {
                let words: Vec<String> = text.split([' ', '\t', '▁']).filter(|w| !w.is_empty()).map(str::to_lowercase).collect();
                words.join(" ")
            };
            let alphabet = format!("{text} {}", "abcdefgрндлёя,");
            let bpe = Bpe::train([&alphabet, "ab cd ёя"].iter(), 40).unwrap();
            prop_assert_eq!(bpe.decode(&bpe.encode(&text)), words(&text));
        }
    }
}
