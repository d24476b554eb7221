//! `mojibake`: rewrites texts whose UTF-8 was read as Latin-1, Windows-1252 or Windows-1251: `cafÃ©`, `РєРѕС‚`.
//!
//! What the wrong reading made of two or more bytes is written back into bytes and read again, if all of the text can be.
//! That alone would change a few sound texts, so the result must also look clearly better than what was there
//! ([`oddness`]). Reading wrong several times over is undone likewise.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Site, Trouble};
use crate::filter::judge::Work;

/// Rewrites texts that were read in a wrong encoding, and no others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mojibake {
    /// Column of the text; by default that of the captions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
}

impl Mojibake {
    pub(super) fn rewriter(&self, site: &mut Site<'_>) -> Result<Work, Trouble> {
        Ok(Work::Rewrite(site.caption_or(self.column.as_deref())?, Box::new(repaired)))
    }
}

/// How often a text may have been read wrong.
const ROUNDS: usize = 3;
/// How much less odd a text must become.
const GAIN: u32 = 2;

/// An encoding of one byte per character, whose lower half is ASCII.
struct Encoding {
    /// Bytes 0x80 to 0xBF; the control character of the same number stands for a byte that has no character.
    middle: &'static str,
    /// The character of byte 0xC0, which the others follow.
    upper: char,
}

/// Windows-1252, and with its control characters Latin-1; Windows-1251.
const ENCODINGS: [Encoding; 2] = [
    Encoding {
        middle: "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}Ž\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}žŸ\u{a0}¡¢£¤¥¦§¨©ª«¬\u{ad}®¯°±²³´µ¶·¸¹º»¼½¾¿",
        upper: 'À',
    },
    Encoding {
        middle: "ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏђ‘’“”•–—\u{98}™љ›њќћџ\u{a0}ЎўЈ¤Ґ¦§Ё©Є«¬\u{ad}®Ї°±Ііґµ¶·ё№є»јЅѕї",
        upper: 'А',
    },
];

impl Encoding {
    /// The bytes of a text; `None` if it has other characters.
    fn bytes(&self, text: &str) -> Option<Vec<u8>> {
        text.chars().map(|c| self.byte(c)).collect()
    }

    fn byte(&self, c: char) -> Option<u8> {
        let code = u32::from(c);
        let upper = code.checked_sub(u32::from(self.upper)).filter(|place| *place < 0x40);
        let place = || self.middle.chars().position(|known| known == c);
        match (code, upper) {
            (0..0x80, _) => u8::try_from(code).ok(),
            (_, Some(place)) => u8::try_from(0xC0 + place).ok(),
            // Latin-1 has its control characters where Windows-1252 has quotes and the like.
            (0x80..0xA0, _) => u8::try_from(code).ok(),
            _ => u8::try_from(0x80 + place()?).ok(),
        }
    }
}

/// The text as it was meant, if it was read wrong.
fn repaired(text: &str) -> Cow<'_, str> {
    let mut best = Cow::Borrowed(text);
    for _ in 0..ROUNDS {
        match repaired_once(&best) {
            Some(better) => best = Cow::Owned(better),
            None => break,
        }
    }
    best
}

fn repaired_once(text: &str) -> Option<String> {
    if text.is_ascii() {
        return None;
    }
    let before = oddness(text);
    let least = before.checked_sub(GAIN)?;
    let read = |encoding: &Encoding| decoded(encoding.bytes(text)?);
    let better = ENCODINGS.iter().filter_map(read).map(|text| (oddness(&text), text));
    let (after, text) = better.min_by_key(|(oddness, _)| *oddness)?;
    (after <= least).then_some(text)
}

/// The bytes as UTF-8; where that fails, with the no-break spaces that somebody made ordinary ones.
fn decoded(bytes: Vec<u8>) -> Option<String> {
    String::from_utf8(bytes).or_else(|error| String::from_utf8(with_no_break(&error.into_bytes()))).ok()
}

/// `à` and `Р` end in the byte 0xA0, a no-break space to the wrong reader. Within a word that was made a space, at its end
/// it was lost in the space that follows.
fn with_no_break(bytes: &[u8]) -> Vec<u8> {
    let mut all = Vec::with_capacity(bytes.len() + 1);
    for (place, &byte) in bytes.iter().enumerate() {
        let lead = place > 0 && matches!(bytes[place - 1], 0xC3 | 0xD0 | 0xD9);
        match byte {
            b' ' if lead && bytes.get(place + 1).is_some_and(|next| *next >= 0x80) => all.push(0xA0),
            b' ' if lead => all.extend([0xA0, b' ']),
            _ => all.push(byte),
        }
    }
    all
}

/// How little a text looks like writing: points for neighbours that people do not put together and wrong readers do.
fn oddness(text: &str) -> u32 {
    let chars = || text.chars();
    let control = chars().filter(|c| matches!(c, '\u{80}'..'\u{a0}')).count();
    let pairs = chars().zip(chars().skip(1)).map(|(a, b)| pair(a, b)).sum::<u32>();
    pairs + 2 * u32::try_from(control).unwrap_or(u32::MAX / 4)
}

fn pair(a: char, b: char) -> u32 {
    // What is seldom true is asked first.
    let case = b.is_uppercase() && a.is_lowercase();
    let symbol = match (is_odd(a), is_odd(b)) {
        (false, false) => false,
        (true, true) => true,
        (true, false) => b.is_alphabetic(),
        (false, true) => a.is_alphabetic(),
    };
    let brand = matches!(a, '©' | '®' | '™' | '°' | '\u{a0}') && b.is_alphabetic();
    u32::from(case) + u32::from(symbol) + u32::from(brand) + start(a, b)
}

/// Symbols of the middle of the code pages that seldom touch letters or each other.
fn is_odd(c: char) -> bool {
    let latin = matches!(c, '¡'..='¨' | '¬'..='\u{ad}' | '¯' | '±'..='¹' | '¼'..='¿');
    latin || matches!(c, '€' | '‚' | 'ƒ' | '†' | '‡' | 'ˆ' | '‰' | '‹' | '•' | '˜' | '›')
}

/// Points for the first two bytes of a character of UTF-8, as the wrong readers show them.
fn start(a: char, b: char) -> u32 {
    let middle = |encoding: usize| ENCODINGS[encoding].middle.contains(b);
    // What follows a capital in ordinary texts too.
    let ordinary = || "…“”‘’–—»«™®ёЁіІїЇєЄґҐўЎ№§".contains(b);
    match a {
        'Ã' | 'Â' if middle(0) => 2,
        // `à`, when its no-break space was made an ordinary one.
        'Ã' if b == ' ' => 1,
        // Quotes, dashes, trademarks: U+2000 to U+219F.
        'â' | 'в' if matches!(b, '€' | 'Ђ' | '„' | '†') => 2,
        'Ä' | 'Å' | 'Î' | 'Ï' | 'Ð' | 'Ñ' | 'Ø' | 'Ù' | '×' if middle(0) && !ordinary() => 1,
        'Р' | 'С' | 'В' | 'Г' if middle(1) && !ordinary() => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, prop_assert_eq, prop_oneof, proptest};

    use super::*;

    /// What somebody sees who reads UTF-8 in an encoding.
    fn misread(text: &str, encoding: usize) -> String {
        let encoding = &ENCODINGS[encoding];
        let upper = |byte: u8| char::from_u32(u32::from(encoding.upper) + u32::from(byte) - 0xC0);
        let read = |byte: u8| match byte {
            0..0x80 => char::from(byte),
            0x80..0xC0 => encoding.middle.chars().nth(usize::from(byte) - 0x80).unwrap(),
            _ => upper(byte).unwrap(),
        };
        text.bytes().map(read).collect()
    }

    const SOUND: [&str; 22] = [
        "café",
        "Привет, мир!",
        "рыжий кот на крыше",
        "на",
        "Ещё раз: №5 «Ёлка» — это она…",
        "Київ: їжак і його друзі",
        "Crème brûlée à la carte",
        "Żółta łódź podwodna",
        "smörgåsbord, 5 °C",
        "“don’t” — she said…",
        "Ελληνικά",
        "Straße in Köln",
        "Trademark™ & Brand®",
        "CAFÉ™",
        "PLAQUES IL Y MARQUÉ…",
        "SÃO PAULO",
        "Beyoncé©2020",
        "iPhone für Ärzte",
        "猫の写真",
        "👩‍🚀 in space",
        "Türkçe İstanbul",
        "N° 5, 20 € / m²",
    ];

    #[test]
    fn sound_texts_are_left_alone() {
        for text in SOUND {
            assert_eq!(repaired(text), text);
        }
    }

    #[test]
    fn known_wrecks_are_repaired() {
        for (wreck, text) in [
            ("cafÃ©", "café"),
            ("donâ€™t", "don’t"),
            ("Ã¼ber", "über"),
            ("voilÃ\u{a0}", "voilà"),
            ("voilÃ une photo", "voilà une photo"),
            ("РџСЂРёРІРµС‚", "Привет"),
            ("РЅР° РєСЂС‹С€Рµ", "на крыше"),
            ("Ð\u{9f}Ñ\u{80}Ð¸Ð²ÐµÑ\u{82}", "Привет"),
            ("ÐŸÑ€Ð¸Ð²ÐµÑ‚", "Привет"),
            ("Â© 2020", "© 2020"),
            ("å\u{8d}—äº¬", "南京"),
            ("ðŸ˜€ smile", "😀 smile"),
            ("cafÃƒÂ©", "café"),
        ] {
            assert_eq!(repaired(wreck), text);
        }
    }

    #[test]
    fn sound_texts_that_were_misread_come_back() {
        for text in SOUND.iter().filter(|text| text.chars().filter(|c| !c.is_ascii()).count() > 1) {
            for encoding in 0..2 {
                assert_eq!(repaired(&misread(text, encoding)), *text, "{}", misread(text, encoding));
            }
        }
    }

    fn words(letters: &'static str) -> impl Strategy<Value = String> {
        let letters: Vec<char> = letters.chars().collect();
        let word = proptest::collection::vec(proptest::sample::select(letters), 2..9);
        let text = proptest::collection::vec(word, 1..6);
        text.prop_map(|words| {
            words.iter().map(|word| word.iter().collect()).collect::<Vec<String>>().join(" ")
        })
    }

    fn texts() -> impl Strategy<Value = String> {
        prop_oneof![
            words("абвгдежзийклмнопрстуфхцчшщъыьэюяё"),
            words("абвгґдеєжзиіїйклмнопрстуфхцчшщьюя"),
            words("abcdefghijklmnopqrstuvwxyzàâäçéèêëîïôöùûüß"),
            words("abcdefghijklmnopqrstuvwxyząćęłńóśźżčďěňřšťůž"),
            words("αβγδεζηθικλμνξοπρστυφχψω"),
        ]
    }

    proptest! {
        #[test]
        fn words_are_left_alone_and_come_back(text in texts(), encoding in 0..2_usize) {
            prop_assert_eq!(repaired(&text), text.as_str());
            let wreck = misread(&text, encoding);
            if oddness(&wreck) >= oddness(&text) + GAIN {
                prop_assert_eq!(repaired(&wreck), text.as_str());
            }
        }
    }
}
