//! The byte-level encoding that Hugging Face's `tokenizers` would learn, as its `tokenizer.json`.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::count::Counted;
use super::merge::{Learner, Pair, Rules, Sequences};
use super::words::Words;
use super::{LearnConfig, Learned, Summary, Watch, free_ids, untrained, within};
use crate::Result;
use crate::bpe::byte_characters::spelling;
use crate::bpe::{Bpe, Specials};

/// Values of a byte, each an entry.
const BYTES: usize = 256;

/// Learns from counted pieces of text. Bytes are entries in the order of the characters that GPT-2 writes them as; of two
/// ways to spell an entry both are merges, as the library has it.
pub(super) fn learn(counted: Counted, config: &LearnConfig, watch: &Watch) -> Result<Learned> {
    let least = config.specials.ids().count() + BYTES;
    if config.vocab_size < least {
        let why = format!("a vocabulary of {} is too small: there are {BYTES} bytes", config.vocab_size);
        return Err(untrained(why, format!("ask for at least --vocab-size {least}")));
    }
    let wanted = config.vocab_size - config.specials.ids().count();
    let (mut entries, sequences) = start(&counted.words);
    let mut known: HashMap<String, u32> = entries.iter().cloned().zip(0..).collect();
    let mut learner = Learner::new(sequences, Rules::HuggingFace, BYTES);
    let mut merges = Vec::new();
    while entries.len() < wanted {
        watch.learning(entries.len(), wanted)?;
        let Some((pair, places)) = learner.best() else { break };
        let piece = [entries[pair.0 as usize].as_str(), &entries[pair.1 as usize]].concat();
        let joined = *known.entry(piece).or_insert_with_key(|piece| {
            entries.push(piece.clone());
            entries.len() as u32 - 1
        });
        learner.join(pair, joined, places);
        merges.push(pair);
    }

    within(config.specials, config.specials.ids().count() + entries.len())?;
    let occurrences = counted.words.iter().map(|(_, count)| count).sum::<u64>();
    let summary = Summary {
        texts: counted.texts,
        words: occurrences,
        distinct_words: counted.words.len(),
        characters: counted.characters - counted.texts,
        covered: 1.0,
        alphabet: BYTES,
        entries: config.specials.ids().count() + entries.len(),
        pieces_per_word: learner.sequences().pieces() as f64 / occurrences.max(1) as f64,
    };
    let file = tokenizer_json(&entries, &last_of_each(merges), config);
    let bpe = Bpe::from_bytes(format!("{file:#}\n").into_bytes(), "the trained BPE")?;
    Ok(Learned { bpe: bpe.with_lowercase(config.lowercase), summary })
}

/// The bytes as entries, and the words as places among them.
fn start(words: &Words) -> (Vec<String>, Sequences) {
    let mut bytes: Vec<(char, u8)> = spelling().map(|(byte, character)| (character, byte)).collect();
    bytes.sort_unstable();
    let mut places = [0; BYTES];
    for (&(_, byte), place) in bytes.iter().zip(0..) {
        places[usize::from(byte)] = place;
    }
    let mut sequences = Sequences::default();
    for (word, count) in words.iter() {
        sequences.push(word.iter().map(|&byte| places[usize::from(byte)]), count);
    }
    (bytes.iter().map(|(character, _)| character.to_string()).collect(), sequences)
}

/// A pair that was joined again later, when its parts came about in another way, counts where it was joined last.
fn last_of_each(merges: Vec<Pair>) -> Vec<Pair> {
    let last: HashMap<Pair, usize> = merges.iter().copied().zip(0..).collect();
    let kept = merges.into_iter().enumerate().filter(|(place, pair)| last.get(pair) == Some(place));
    kept.map(|(_, pair)| pair).collect()
}

fn tokenizer_json(entries: &[String], merges: &[Pair], config: &LearnConfig) -> Value {
    let Specials { pad, unk, bos, eos } = config.specials;
    let named = [(pad, "<PAD>"), (unk, "<UNK>"), (bos, "<BOS>"), (eos, "<EOS>")];
    let mut specials: Vec<(u32, &str)> =
        named.into_iter().filter_map(|(id, name)| Some((id?, name))).collect();
    specials.sort_unstable();
    let mut vocabulary: Vec<(u32, &str)> = free_ids(config.specials)
        .zip(entries.iter().map(String::as_str))
        .chain(specials.iter().copied())
        .collect();
    vocabulary.sort_unstable();
    let vocabulary: Map<String, Value> =
        vocabulary.into_iter().map(|(id, piece)| (piece.to_owned(), id.into())).collect();
    let added: Vec<Value> = specials
        .into_iter()
        .map(|(id, content)| {
            json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                   "normalized": false, "special": true})
        })
        .collect();
    let merges: Vec<[&str; 2]> =
        merges.iter().map(|&(left, right)| [left, right].map(|id| entries[id as usize].as_str())).collect();
    let byte_level =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": config.lowercase.then(|| json!({"type": "Lowercase"})),
        "pre_tokenizer": byte_level,
        "post_processor": null,
        "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocabulary, "merges": merges,
        },
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokenizers::models::TrainerWrapper;
    use tokenizers::models::bpe::{BPE, BpeTrainer};
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;
    use tokenizers::{AddedToken, Tokenizer};

    use super::*;
    use crate::bpe::learn::{LearnKind, learn};
    use crate::corpus::Batch;

    /// Vocabulary and merges as Hugging Face's own trainer gives them.
    fn published(texts: &[String], vocab_size: usize) -> Value {
        let mut tokenizer = Tokenizer::new(BPE::default());
        tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
        let specials = ["<PAD>", "<UNK>", "<BOS>", "<EOS>"].map(|name| AddedToken::from(name, true));
        let mut trainer: TrainerWrapper = BpeTrainer::builder()
            .vocab_size(vocab_size)
            .show_progress(false)
            .special_tokens(specials.to_vec())
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .build()
            .into();
        tokenizer.train(&mut trainer, texts.iter()).unwrap();
        serde_json::from_str(&tokenizer.to_string(false).unwrap()).unwrap()
    }

    fn learned(texts: &[String], vocab_size: usize) -> Value {
        let config = LearnConfig {
            kind: LearnKind::ByteLevel,
            vocab_size,
            lowercase: false,
            ..LearnConfig::default()
        };
        let batches = [Ok(texts.iter().collect::<Batch>())];
        let bpe = learn(batches.into_iter(), &config, &Watch::default()).unwrap().bpe;
        serde_json::from_slice(&bpe.file).unwrap()
    }

    proptest! {
        #[test]
        fn the_model_is_the_one_that_tokenizers_learns(
            texts in proptest::collection::vec("([abc]{1,9} ?|ab|Ё|ёж | {1,3}|'s){0,12}", 1..20),
            vocab_size in 262_usize..330,
        ) {
            prop_assume!(texts.iter().any(|text| !text.is_empty()));
            let (published, learned) = (published(&texts, vocab_size), learned(&texts, vocab_size));
            prop_assert_eq!(&learned["model"]["vocab"], &published["model"]["vocab"]);
            prop_assert_eq!(&learned["model"]["merges"], &published["model"]["merges"]);
        }
    }
}
