//! The language of a text as whatlang tells it, in a small part of its time.
//!
//! whatlang looks for each of the 300 trigrams of 37 languages among those of the text. Here each trigram of the text is
//! looked for once, in an index over all languages. The scores are the same to the last bit. What is rare or quick, such as
//! equal scores, very long texts and scripts of few languages, is left to whatlang itself.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::LazyLock;

use whatlang::{Lang, Script};

/// Code, trigrams and alphabet of each language.
const PROFILES: &str = include_str!("profiles.tsv");
/// Trigrams of a language; a text of more is left to whatlang.
const TRIGRAMS: usize = 300;

static LATIN: LazyLock<Languages> = LazyLock::new(|| Languages::of(Script::Latin));
static CYRILLIC: LazyLock<Languages> = LazyLock::new(|| Languages::of(Script::Cyrillic));

/// The language of a text and how sure that is, 0 to 1; `None` if it has no letters.
pub(super) fn detect(text: &str) -> Option<(Lang, f64)> {
    let found = match script(text)? {
        Script::Latin => LATIN.detect(&text.to_lowercase()),
        Script::Cyrillic => CYRILLIC.detect(&text.to_lowercase()),
        _ => None,
    };
    found.or_else(|| whatlang::detect(text).map(|info| (info.lang(), info.confidence())))
}

fn script(text: &str) -> Option<Script> {
    match text.is_ascii() {
        true => text.bytes().any(|byte| byte.is_ascii_alphabetic()).then_some(Script::Latin),
        false => whatlang::detect_script(text),
    }
}

/// Three characters of 21 bits, the first in the highest bits: ordered as whatlang orders them.
type Trigram = u64;

/// The languages of a script.
struct Languages {
    langs: Vec<Lang>,
    /// Where the entries of a trigram lie in `places`.
    index: HashMap<Trigram, (u32, u32), BuildHasherDefault<Mixer>>,
    /// Languages that have the trigram, and how many of theirs are more frequent.
    places: Vec<(u8, u16)>,
    /// The languages, as bits, whose alphabets have a letter.
    alphabets: HashMap<char, u64, BuildHasherDefault<Mixer>>,
}

impl Languages {
    fn of(script: Script) -> Self {
        let known = PROFILES.lines().filter_map(profile).filter(|known| script.langs().contains(&known.0));
        let (mut langs, mut alphabets, mut entries) = (Vec::new(), HashMap::default(), Vec::new());
        for (number, (lang, trigrams, alphabet)) in (0_u8..).zip(known) {
            langs.push(lang);
            alphabet.chars().for_each(|letter| *alphabets.entry(letter).or_insert(0) |= 1 << number);
            let chars: Vec<char> = trigrams.chars().collect();
            let trigrams = chars.as_chunks().0.iter().map(|chars| trigram(*chars));
            entries.extend((0_u16..).zip(trigrams).map(|(place, trigram)| (trigram, number, place)));
        }
        entries.sort_unstable();
        let (mut index, mut start) = (HashMap::default(), 0);
        for run in entries.chunk_by(|a, b| a.0 == b.0) {
            let end = start + run.len() as u32;
            index.insert(run[0].0, (start, end));
            start = end;
        }
        let places = entries.into_iter().map(|(_, number, place)| (number, place)).collect();
        Self { langs, index, places, alphabets }
    }

    /// The best language of a text in lower case; `None` if two are best, or the text is too long.
    fn detect(&self, text: &str) -> Option<(Lang, f64)> {
        let trigrams = ranked(text);
        let (letters, missing) = self.missing(text);
        if letters == 0 || trigrams.is_empty() || trigrams.len() > TRIGRAMS {
            return None;
        }
        // The longer the text, the less the letters say besides the trigrams.
        let weight = (-(f64::from(letters) / 300.0) + 2.0 / 3.0).clamp(1.0 / 3.0, 2.0 / 3.0);
        let most = (trigrams.len() * TRIGRAMS) as f64;
        let likeness = self.likeness(&trigrams);
        let score = |(number, like): (usize, u32)| {
            let known = letters.saturating_sub(2 * missing[number]);
            f64::from(known) / f64::from(letters) * weight + f64::from(like) / most * (1.0 - weight)
        };
        let (mut best, mut second) = ((0, f64::NEG_INFINITY), f64::NEG_INFINITY);
        for (number, score) in likeness[..self.langs.len()].iter().copied().enumerate().map(score).enumerate()
        {
            if score > best.1 {
                (best, second) = ((number, score), best.1);
            } else {
                second = second.max(score);
            }
        }
        (best.1 > second).then(|| (self.langs[best.0], confidence(best.1, second, trigrams.len())))
    }

    /// Letters of a text, and how many of them each alphabet lacks.
    fn missing(&self, text: &str) -> (u32, [u32; 64]) {
        let all = u64::MAX >> (64 - self.langs.len());
        let (mut letters, mut missing, mut ascii) = (0, [0; 64], [0_u32; 128]);
        let mut lack = |letter: char, count: u32| {
            let mut bits = all & !self.alphabets.get(&letter).copied().unwrap_or(0);
            while bits != 0 {
                missing[bits.trailing_zeros() as usize] += count;
                bits &= bits - 1;
            }
        };
        for letter in text.chars().filter(|c| !is_stop(*c)) {
            letters += 1;
            match ascii.get_mut(letter as usize) {
                Some(count) => *count += 1,
                None => lack(letter, 1),
            }
        }
        let used = (0_u8..).zip(ascii).filter(|(_, count)| *count > 0);
        used.for_each(|(letter, count)| lack(char::from(letter), count));
        (letters, missing)
    }

    /// Of each language the sum over the trigrams of how near their places are to those in the text.
    fn likeness(&self, trigrams: &[Trigram]) -> [u32; 64] {
        let mut likeness = [0; 64];
        for (place, trigram) in (0_u16..).zip(trigrams) {
            let Some(&(start, end)) = self.index.get(trigram) else { continue };
            for &(number, known) in &self.places[start as usize..end as usize] {
                likeness[usize::from(number)] += TRIGRAMS as u32 - u32::from(known.abs_diff(place));
            }
        }
        likeness
    }
}

/// A line of the profiles.
fn profile(line: &str) -> Option<(Lang, &str, &str)> {
    let mut fields = line.split('\t');
    Some((Lang::from_code(fields.next()?)?, fields.next()?, fields.next()?))
}

fn trigram(chars: [char; 3]) -> Trigram {
    chars.iter().fold(0, |trigram, c| trigram << 21 | u64::from(u32::from(*c)))
}

/// What is no letter, for whatlang: all of ASCII besides them.
fn is_stop(c: char) -> bool {
    c.is_ascii() && !c.is_ascii_alphabetic() && c != '\u{7f}'
}

/// The trigrams of a text, each once, the most frequent first, equally frequent ones by their characters backwards.
fn ranked(text: &str) -> Vec<Trigram> {
    let mut all = Vec::with_capacity(text.len() + 1);
    let mut last = [' ', ' '];
    for c in text.chars().map(|c| if is_stop(c) { ' ' } else { c }).chain([' ']) {
        // No spaces alone: a word has one before and one behind it.
        let [before, middle] = last;
        if middle != ' ' || (before != ' ' && c != ' ') {
            all.push(trigram([before, middle, c]));
        }
        last = [middle, c];
    }
    all.sort_unstable_by_key(|trigram| Reverse(*trigram));
    let mut counted: Vec<(usize, Trigram)> =
        all.chunk_by(|a, b| a == b).map(|run| (run.len(), run[0])).collect();
    counted.sort_by_key(|(count, _)| Reverse(*count));
    counted.into_iter().map(|(_, trigram)| trigram).collect()
}

/// How far the best language is before the second: the more trigrams, the less it need be.
fn confidence(best: f64, second: f64, trigrams: usize) -> f64 {
    if best == 0.0 || second == 0.0 {
        return best;
    }
    let enough = (3.0 / trigrams as f64) + 0.015;
    let lead = (best - second) / second;
    if lead > enough { 1.0 } else { lead / enough }
}

/// Mixes one number, such as a trigram.
#[derive(Default)]
struct Mixer(u64);

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        // The golden ratio; the two halves of the product together depend on all bits.
        let product = u128::from(self.0 ^ number) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (product >> 64) as u64 ^ product as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use proptest::sample::select;

    use super::*;

    fn asked(text: &str) -> Option<(Lang, f64)> {
        whatlang::detect(text).map(|info| (info.lang(), info.confidence()))
    }

    #[test]
    fn all_languages_of_both_scripts_have_a_profile() {
        for (script, languages) in [(Script::Latin, &*LATIN), (Script::Cyrillic, &*CYRILLIC)] {
            assert_eq!(languages.langs.len(), script.langs().len());
            assert_eq!(languages.places.len(), TRIGRAMS * script.langs().len());
        }
    }

    #[test]
    fn answers_and_confidences_are_those_of_whatlang() {
        for text in [
            "A small red cat sleeps on the roof of an old house",
            "Black leather boots",
            "Eine kleine rote Katze schläft auf dem Dach",
            "Маленький рыжий кот спит на крыше",
            "Дуже цікаво",
            "猫 sleeps",
            "ΚΑΦΕΣ",
            "קטן",
            "a",
            "IMG 1234 × 5",
            "İSTANBUL'da bir kedi",
            "the the the cat",
            "123",
            "\u{7f}",
            "",
        ] {
            assert_eq!(detect(text), asked(text), "{text}");
        }
        let long =
            (0..4000).map(|n: u32| format!("{:x} ", n.wrapping_mul(2_654_435_761))).collect::<String>();
        assert!(LATIN.detect(&long).is_none(), "more trigrams than a profile has");
        assert_eq!(detect(&long), asked(&long));
    }

    /// Words of trigrams that a language has.
    fn words(places: Vec<(usize, bool)>, lang: usize) -> String {
        let profiles: Vec<Vec<char>> =
            PROFILES.lines().filter_map(profile).map(|(_, trigrams, _)| trigrams.chars().collect()).collect();
        let word = |(place, upper): (usize, bool)| {
            let word: String = profiles[lang][3 * place..][..3].iter().collect();
            if upper { word.to_uppercase() } else { word }
        };
        places.into_iter().map(word).collect()
    }

    proptest! {
        #[test]
        fn any_text_gets_the_answer_of_whatlang(text in any::<String>()) {
            prop_assert_eq!(detect(&text), asked(&text));
        }

        #[test]
        fn words_of_any_language_get_the_answer_of_whatlang(
            places in proptest::collection::vec((0..TRIGRAMS, any::<bool>()), 1..60),
            lang in 0..43_usize,
            end in select(&["", " №5", ", 猫猫猫", " кот"][..]),
        ) {
            let text = words(places, lang) + end;
            prop_assert_eq!(detect(&text), asked(&text));
        }
    }
}
