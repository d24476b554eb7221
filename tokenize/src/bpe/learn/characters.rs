//! The encoding that YouTokenToMe would learn.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;

use super::alphabet::Alphabet;
use super::count::Counted;
use super::merge::{Learner, Rules, Sequences};
use super::words::Words;
use super::{LearnConfig, Learned, Summary, Watch, free_ids, untrained, within};
use crate::Result;
use crate::bpe::Bpe;
use crate::bpe::yttm::{MARK, Model};

/// Learns from counted words: the same alphabet and merges as YouTokenToMe with its queue in a defined order (its
/// tests build it so; as it is installed, it takes equally frequent pairs in the order of a hash table).
pub(super) fn learn(counted: Counted, config: &LearnConfig, watch: &Watch) -> Result<Learned> {
    let spaces = counted.characters - characters(&counted.words);
    let words = if config.lowercase { lowered(&counted.words) } else { counted.words };
    let counts = count_characters(&words);
    let total = spaces + counts.values().sum::<u64>();
    let Alphabet { characters, covered } = Alphabet::new(&counts, total, config.coverage);
    let alphabet: Vec<char> = std::iter::once(MARK).chain(characters).collect();
    let wanted = entries(config, alphabet.len())?;

    let sequences = sequences(&words, &alphabet);
    let mut learner = Learner::new(sequences, Rules::Yttm, alphabet.len());
    let mut merges = Vec::new();
    for joined in alphabet.len()..wanted {
        watch.learning(joined, wanted)?;
        let Some((pair, places)) = learner.best() else { break };
        learner.join(pair, joined as u32, places);
        merges.push(pair);
    }

    within(config.specials, config.specials.ids().count() + alphabet.len() + merges.len())?;
    let occurrences = words.iter().map(|(_, count)| count).sum::<u64>();
    let summary = Summary {
        texts: counted.texts,
        words: occurrences,
        distinct_words: words.len(),
        characters: counts.values().sum(),
        covered,
        alphabet: alphabet.len(),
        entries: config.specials.ids().count() + alphabet.len() + merges.len(),
        pieces_per_word: learner.sequences().pieces() as f64 / occurrences.max(1) as f64,
    };
    let ids: Vec<u32> = free_ids(config.specials).take(alphabet.len() + merges.len()).collect();
    let merges = merges.into_iter().map(|(left, right)| (ids[left as usize], ids[right as usize])).collect();
    let bpe = Bpe::from(Model::new(alphabet, merges, config.specials)?).with_lowercase(config.lowercase);
    Ok(Learned { bpe, summary })
}

/// Characters and merges that the vocabulary has room for.
fn entries(config: &LearnConfig, alphabet: usize) -> Result<usize> {
    let least = config.specials.ids().count() + alphabet;
    if config.vocab_size < least {
        let different = alphabet - 1;
        return Err(untrained(
            format!(
                "a vocabulary of {} is too small: the text has {different} different characters",
                config.vocab_size
            ),
            format!(
                "ask for at least --vocab-size {least}, or leave rare characters out with --coverage 0.9999"
            ),
        ));
    }
    Ok(config.vocab_size - config.specials.ids().count())
}

fn characters(words: &Words) -> u64 {
    words.iter().map(|(word, count)| count * text(word).chars().count() as u64).sum()
}

fn lowered(words: &Words) -> Words {
    let mut lowered = Words::default();
    for (word, count) in words.iter() {
        lowered.add(text(word).to_lowercase().as_bytes(), count);
    }
    lowered
}

fn count_characters(words: &Words) -> HashMap<char, u64> {
    let mut counts: HashMap<char, u64, FxBuildHasher> = HashMap::default();
    for (word, count) in words.iter() {
        for character in text(word).chars() {
            *counts.entry(character).or_default() += count;
        }
    }
    counts.into_iter().collect()
}

/// Words as places in the alphabet, behind the mark; other characters are left out.
fn sequences(words: &Words, alphabet: &[char]) -> Sequences {
    let places: HashMap<char, u32, FxBuildHasher> = alphabet.iter().copied().zip(0..).collect();
    let mut sequences = Sequences::default();
    for (word, count) in words.iter() {
        let ids = text(word).chars().filter_map(|character| places.get(&character).copied());
        sequences.push(std::iter::once(0).chain(ids), count);
    }
    sequences
}

/// Words are cut from texts at characters, so that they are whole.
fn text(word: &[u8]) -> &str {
    std::str::from_utf8(word).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpe::Specials;
    use crate::bpe::learn::{LearnKind, learn};
    use crate::corpus::Batch;

    const TEXTS: &str = include_str!("../../../tests/golden/yttm-learn/texts.txt");

    fn learned(config: &LearnConfig) -> Learned {
        let batch: Batch = TEXTS.lines().collect();
        learn([Ok(batch)].into_iter(), config, &Watch::default()).unwrap()
    }

    /// Compares with a file of the published program, whose alphabet is in no order.
    fn assert_published(learned: &Learned, file: &str) {
        let published = Model::parse(file, "golden").unwrap();
        let ours = learned.bpe.as_yttm().unwrap();
        let sorted = |model: &Model| {
            let mut alphabet = model.alphabet().to_vec();
            alphabet.sort_unstable_by_key(|&(_, id)| id);
            alphabet
        };
        assert_eq!(sorted(ours), sorted(&published));
        assert_eq!(ours.merges(), published.merges());
        assert_eq!(ours.specials(), published.specials());
    }

    #[test]
    fn the_model_is_the_one_that_youtokentome_learns() {
        let config = LearnConfig { vocab_size: 300, lowercase: false, ..LearnConfig::default() };
        assert_published(&learned(&config), include_str!("../../../tests/golden/yttm-learn/all.model"));
    }

    #[test]
    fn rare_characters_and_special_ids_are_as_youtokentome_has_them() {
        let specials = Specials { pad: None, unk: Some(7), bos: Some(2), eos: None };
        let config =
            LearnConfig { kind: LearnKind::Yttm, vocab_size: 90, coverage: 0.97, lowercase: false, specials };
        let learned = learned(&config);
        assert!((0.95..0.98).contains(&learned.summary.covered), "{:?}", learned.summary);
        assert_published(&learned, include_str!("../../../tests/golden/yttm-learn/covered.model"));
    }

    #[test]
    fn lower_casing_first_and_lower_casing_words_are_the_same() {
        let config = LearnConfig { vocab_size: 60, ..LearnConfig::default() };
        let texts = ["ΟΔΟΣ Σ İstanbul", "É COTÉ ẞ"];
        let of = |texts: Batch, config: &LearnConfig| {
            learn([Ok(texts)].into_iter(), config, &Watch::default()).unwrap().bpe.sha256().to_owned()
        };
        let lower: Batch = texts.iter().map(|text| text.to_lowercase()).collect();
        let kept = LearnConfig { lowercase: false, ..config.clone() };
        assert_eq!(of(texts.iter().collect(), &config), of(lower, &kept));
    }
}
