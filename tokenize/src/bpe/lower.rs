//! Lower-casing as Python's `text.lower().strip()` does it.

use std::sync::LazyLock;

/// Lower case of Latin, Greek and Cyrillic by code point, as the library's own search takes longer than the encoding.
static LOWER: LazyLock<Vec<Option<char>>> = LazyLock::new(|| {
    let single = |character: char| {
        let mut lower = character.to_lowercase();
        lower.next().filter(|_| lower.len() == 0)
    };
    ('\0'..'\u{530}').map(single).collect()
});

/// Whether Python's `str.strip` takes the character: Unicode white space and the four ASCII separators.
pub(super) fn is_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{1c}'..='\u{1f}')
}

/// Lower case (full mapping, final sigma by its place) without white space at the ends.
pub(super) fn lower(text: &str) -> String {
    let text = text.trim_matches(is_space);
    let (table, mut out) = (&*LOWER, String::with_capacity(text.len()));
    for character in text.chars() {
        match table.get(character as usize) {
            // Which of the two small ones it becomes depends on what stands around it.
            _ if character == 'Σ' => return text.to_lowercase(),
            Some(Some(lower)) => out.push(*lower),
            _ => out.extend(character.to_lowercase()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lower_is_the_librarys(text in "[A-Za-zА-я İΣΑςẞʼnǄꙖ\u{a0}\u{1c}😀]{0,20}", any in any::<String>()) {
            prop_assert_eq!(lower(&text), text.trim_matches(is_space).to_lowercase());
            prop_assert_eq!(lower(&any), any.trim_matches(is_space).to_lowercase());
        }
    }

    #[test]
    fn lower_is_pythons() {
        // Expected values are what CPython 3.11 prints.
        let cases = [
            (" Рыжий КОТ\u{a0}", "рыжий кот"),
            ("ΟΔΟΣ ΟΔΟΣ.", "οδος οδος."),
            ("İstanbul", "i\u{307}stanbul"),
            ("\u{1f}A\u{1c}", "a"),
            ("ẞß", "ßß"),
            ("\u{200b}A", "\u{200b}a"),
        ];
        for (text, expected) in cases {
            assert_eq!(lower(text), expected);
        }
    }
}
