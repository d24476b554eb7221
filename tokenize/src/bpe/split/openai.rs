//! OpenAI's patterns, each as a function from the beginning of a word to its end.
//!
//! The patterns are those of `openai/tiktoken` (`tiktoken_ext/openai_public.py`); tests compare with them as written.

use super::characters::{Characters, LETTER, LOWER, NUMBER, OTHER, SPACE, UPPER};

/// `'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
pub(super) fn gpt2(text: &Characters<'_>, start: usize) -> usize {
    if let Some(end) = text.contraction(start, false) {
        return end;
    }
    let at = start + usize::from(text.byte(start) == b' ');
    let class = text.at(at).0 & (LETTER | NUMBER | OTHER);
    if class == 0 { spaces(text, start) } else { text.run(at, class) }
}

/// `'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|…`
pub(super) fn cl100k(text: &Characters<'_>, start: usize) -> usize {
    if let Some(end) = text.contraction(start, true) {
        return end;
    }
    let at = behind_prefix(text, start).filter(|&at| text.at(at).0 & LETTER != 0).unwrap_or(start);
    if text.at(at).0 & LETTER != 0 {
        return text.run(at, LETTER);
    }
    numbers_and_signs(text, start, b"\r\n").unwrap_or_else(|| match text.run(start, SPACE) {
        // `\s++$`
        end if end == text.length() => end,
        _ => lines(text, start),
    })
}

/// `[^\r\n\p{L}\p{N}]?` upper* lower+ contraction? | the same with upper+ lower* | `\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|…`
pub(super) fn o200k(text: &Characters<'_>, start: usize) -> usize {
    let begins = [behind_prefix(text, start), Some(start)];
    let lower = |at| lower_word(text, at);
    let upper = |at| Some(text.run(text.run(at, UPPER), LOWER)).filter(|_| text.at(at).0 & UPPER != 0);
    let word = begins.into_iter().flatten().find_map(lower);
    if let Some(end) = word.or_else(|| begins.into_iter().flatten().find_map(upper)) {
        return text.contraction(end, true).unwrap_or(end);
    }
    numbers_and_signs(text, start, b"\r\n/").unwrap_or_else(|| lines(text, start))
}

/// upper* lower+, which share characters: the first gives back as many as the second needs.
fn lower_word(text: &Characters<'_>, start: usize) -> Option<usize> {
    let (mut at, mut shared) = (start, None);
    loop {
        let (class, length) = text.at(at);
        if class & UPPER == 0 {
            break;
        }
        at += length;
        if class & LOWER != 0 {
            shared = Some(at);
        }
    }
    Some(text.run(at, LOWER)).filter(|end| *end > at).or(shared)
}

/// Behind `[^\r\n\p{L}\p{N}]`.
fn behind_prefix(text: &Characters<'_>, start: usize) -> Option<usize> {
    let (class, length) = text.at(start);
    (class & (SPACE | OTHER) != 0 && !matches!(text.byte(start), b'\r' | b'\n')).then_some(start + length)
}

/// `\p{N}{1,3}| ?[^\s\p{L}\p{N}]+` and then the given bytes.
fn numbers_and_signs(text: &Characters<'_>, start: usize, tail: &[u8]) -> Option<usize> {
    if text.at(start).0 & NUMBER != 0 {
        let third = (0..3).fold(start, |at, _| {
            let (class, length) = text.at(at);
            if class & NUMBER == 0 { at } else { at + length }
        });
        return Some(third);
    }
    let at = start + usize::from(text.byte(start) == b' ');
    (text.at(at).0 & OTHER != 0).then(|| text.run_of(text.run(at, OTHER), tail))
}

/// `\s*[\r\n]+|\s+(?!\S)|\s+`
fn lines(text: &Characters<'_>, start: usize) -> usize {
    let (mut at, mut line) = (start, None);
    loop {
        let (class, length) = text.at(at);
        if class & SPACE == 0 {
            break;
        }
        at += length;
        if matches!(text.byte(at - length), b'\r' | b'\n') {
            line = Some(at);
        }
    }
    line.unwrap_or_else(|| spaces(text, start))
}

/// `\s+(?!\S)|\s+`: all white space up to the end; before a word all but the last, unless it is alone.
fn spaces(text: &Characters<'_>, start: usize) -> usize {
    let (mut last, mut end) = (start, start);
    loop {
        let (class, length) = text.at(end);
        if class & SPACE == 0 {
            break;
        }
        last = end;
        end += length;
    }
    if end < text.length() && last > start { last } else { end }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::bpe::split::Split;

    const GPT2: &str = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
    const CL100K: &str = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s";
    const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    fn words(split: Split, text: &str) -> Vec<&str> {
        let (mut bytes, mut bounds) = (Vec::new(), Vec::new());
        split.cut(text, &mut bytes, &mut bounds);
        bounds.iter().map(|&[start, end]| &text[start..end]).collect()
    }

    fn compare(text: &str) {
        for (split, pattern) in [(Split::Gpt2, GPT2), (Split::Cl100k, CL100K), (Split::O200k, O200K)] {
            let pattern = fancy_regex::Regex::new(pattern).unwrap();
            let expected: Vec<&str> = pattern.find_iter(text).map(|word| word.unwrap().as_str()).collect();
            assert_eq!(words(split, text), expected, "{split:?} {text:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn words_are_those_of_the_patterns(text in "[a-cA-CstrevlldmSTРж'ſ0-9½ \n\r\t/.,!\u{301}ʰあ日ǅ\u{a0}\u{2003}😀\u{1c}]{0,40}") {
            compare(&text);
        }

        #[test]
        fn so_they_are_on_any_text(text in any::<String>()) {
            compare(&text);
        }
    }
}
