//! Lower-casing as Python's `text.lower().strip()` does it.

/// Whether Python's `str.strip` takes the character: Unicode white space and the four ASCII separators.
pub(super) fn is_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{1c}'..='\u{1f}')
}

/// Lower case (full mapping, final sigma by its place) without white space at the ends.
pub(super) fn lower(text: &str) -> String {
    text.trim_matches(is_space).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

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
