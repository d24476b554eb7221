//! Texts into words: merges never cross the border of a word.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, HirKind};

/// Calls `word` with every word of the text as YouTokenToMe sees them: separated by ASCII white space and by `▁`,
/// the character that marks the beginning of a word. Other white space, such as U+00A0, is part of a word.
pub(super) fn spaces<'a>(text: &'a [u8], mut word: impl FnMut(&'a [u8])) {
    let mut start = 0;
    let mut at = 0;
    while at < text.len() {
        let width = separator(text, at);
        if width == 0 {
            at += 1;
            continue;
        }
        if start < at {
            word(&text[start..at]);
        }
        at += width;
        start = at;
    }
    if start < text.len() {
        word(&text[start..]);
    }
}

/// Bytes of the separator at `at`, 0 where there is none.
#[inline]
fn separator(text: &[u8], at: usize) -> usize {
    match text[at] {
        b' ' | b'\t'..=b'\r' => 1,
        0xe2 if text[at + 1..].starts_with(&[0x96, 0x81]) => 3,
        _ => 0,
    }
}

/// Calls `piece` with every match of GPT-2's pattern, as Hugging Face's `ByteLevel` splits:
/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`. The pieces are the text.
pub(super) fn gpt2<'a>(text: &'a str, mut piece: impl FnMut(&'a str)) {
    let classes = &**CLASSES;
    let mut rest = text;
    while !rest.is_empty() {
        let (one, after) = rest.split_at(first_piece(rest, classes));
        piece(one);
        rest = after;
    }
}

fn first_piece(text: &str, classes: &[Kind]) -> usize {
    let bytes = text.as_bytes();
    if bytes[0] == b'\''
        && let Some(length) = contraction(&bytes[1..])
    {
        return 1 + length;
    }
    let led = usize::from(bytes[0] == b' ');
    match kind_at(text, led, classes) {
        Some(kind) if kind != Kind::Space => run(text, led, kind, classes),
        _ => blank(text, classes),
    }
}

/// Length of what follows the apostrophe of an English contraction.
fn contraction(after: &[u8]) -> Option<usize> {
    match after {
        [b'r' | b'v', b'e', ..] | [b'l', b'l', ..] => Some(2),
        [b's' | b't' | b'm' | b'd', ..] => Some(1),
        _ => None,
    }
}

/// End of the run of `kind` that begins at `from`.
fn run(text: &str, from: usize, kind: Kind, classes: &[Kind]) -> usize {
    let mut characters = text[from..].char_indices();
    let end = characters.find(|(_, c)| classes[*c as usize] != kind);
    end.map_or(text.len(), |(at, _)| from + at)
}

/// `\s+(?!\S)|\s+`: white space before a word leaves its last character to the word, unless it is the only one.
fn blank(text: &str, classes: &[Kind]) -> usize {
    let end = run(text, 0, Kind::Space, classes);
    let last = text[..end].char_indices().next_back().map_or(0, |(at, _)| at);
    if end == text.len() || last == 0 { end } else { last }
}

fn kind_at(text: &str, at: usize, classes: &[Kind]) -> Option<Kind> {
    text[at..].chars().next().map(|c| classes[c as usize])
}

#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Other,
    Letter,
    Number,
    Space,
}

/// The kind of every code point: a megabyte, of which a text touches a few pages.
static CLASSES: LazyLock<Box<[Kind]>> = LazyLock::new(|| {
    let mut classes = vec![Kind::Other; char::MAX as usize + 1].into_boxed_slice();
    for (class, kind) in [(r"\p{L}", Kind::Letter), (r"\p{N}", Kind::Number), (r"\s", Kind::Space)] {
        let parsed = regex_syntax::parse(class).map(regex_syntax::hir::Hir::into_kind);
        let Ok(HirKind::Class(Class::Unicode(ranges))) = parsed else { continue };
        for range in ranges.ranges() {
            classes[range.start() as usize..=range.end() as usize].fill(kind);
        }
    }
    classes
});

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;
    use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

    use super::*;

    fn pieces(text: &str) -> Vec<&str> {
        let mut pieces = Vec::new();
        gpt2(text, |piece| pieces.push(piece));
        pieces
    }

    /// Where Hugging Face's own pre-tokenizer cuts.
    fn published(text: &str) -> Vec<&str> {
        let mut cut = PreTokenizedString::from(text);
        ByteLevel::new(false, true, true).pre_tokenize(&mut cut).unwrap();
        let splits = cut.get_splits(OffsetReferential::Original, OffsetType::Byte);
        splits.iter().map(|(_, (start, end), _)| &text[*start..*end]).collect()
    }

    #[test]
    fn english_and_russian_are_cut_as_gpt2_cuts_them() {
        let text = "It's  they've 42 ёжика's, (don't!)\n\n end 'll're ";
        let expected = [
            "It",
            "'s",
            " ",
            " they",
            "'ve",
            " 42",
            " ёжика",
            "'s",
            ",",
            " (",
            "don",
            "'t",
            "!)",
            "\n\n",
            " end",
            " '",
            "ll",
            "'re",
            " ",
        ];
        assert_eq!(pieces(text), expected);
        assert_eq!(published(text), expected);
    }

    proptest! {
        #[test]
        fn any_text_is_cut_as_the_published_pattern_cuts_it(
            text in "([a-cАё1²Ⅷ'\"_ \t\n\u{a0}\u{2028}\u{301}日]|'(s|t|re|ve|m|ll|d|S)|  |\\PC){0,40}"
        ) {
            prop_assert_eq!(pieces(&text), published(&text));
        }

        #[test]
        fn words_lie_between_ascii_white_space_and_marks(text in "[ab \t\n\u{b}\u{c}\r▁▀─日\u{a0}\u{1c}\u{85}]{0,60}") {
            let expected: Vec<&str> = text.split(|c| matches!(c, '\t'..='\r' | ' ' | '▁')).filter(|word| !word.is_empty()).collect();
            let mut words = Vec::new();
            spaces(text.as_bytes(), |word| words.push(std::str::from_utf8(word).unwrap()));
            prop_assert_eq!(words, expected);
        }
    }
}
