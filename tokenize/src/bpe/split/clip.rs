//! CLIP's pattern: `<|startoftext|>|<|endoftext|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`, any case.

use super::characters::{Characters, LETTER, OTHER, SPACE};

/// Names that are one word each.
pub(in crate::bpe) const CONTROLS: [&str; 2] = ["<|startoftext|>", "<|endoftext|>"];

/// Lists the words; white space is none.
pub(super) fn cut(text: &Characters<'_>, bounds: &mut Vec<[usize; 2]>) {
    let mut start = 0;
    while start < text.length() {
        let (class, length) = text.at(start);
        let end = if class & SPACE != 0 {
            start = text.run(start, SPACE);
            continue;
        } else if let Some(end) = control(text, start).or_else(|| text.contraction(start, true)) {
            end
        } else if class & (LETTER | OTHER) != 0 {
            text.run(start, class & (LETTER | OTHER))
        } else {
            start + length
        };
        bounds.push([start, end]);
        start = end;
    }
}

/// Where one of [`CONTROLS`] that begins here ends.
fn control(text: &Characters<'_>, start: usize) -> Option<usize> {
    let same =
        |name: &str| (start..).zip(name.bytes()).all(|(at, byte)| text.byte(at).eq_ignore_ascii_case(&byte));
    CONTROLS.into_iter().find(|name| same(name)).map(|name| start + name.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::bpe::split::Split;

    const PATTERN: &str =
        r"(?i)<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

    proptest! {
        #[test]
        fn words_are_those_of_the_pattern(text in "([a-cstrevldmж'ſ0-9½ \n.,!\u{301}あ日\u{a0}😀\u{1c}]{0,12}|<\\|endoftext\\|>|<\\|StartOfText\\|>){0,4}") {
            let (mut bytes, mut bounds) = (Vec::new(), Vec::new());
            Split::Clip.cut(&text, &mut bytes, &mut bounds);
            let words: Vec<&str> = bounds.iter().map(|&[start, end]| &text[start..end]).collect();
            let pattern = fancy_regex::Regex::new(PATTERN).unwrap();
            let expected: Vec<&str> = pattern.find_iter(&text).map(|word| word.unwrap().as_str()).collect();
            prop_assert_eq!(words, expected);
        }
    }
}
