//! Words between white space, 16 bytes at a time.

use wide::u8x16;

/// The UTF-8 of `▁`, which separates words as a space does.
const MARK: [u8; 3] = [0xe2, 0x96, 0x81];

/// Lists the words of the first `length` bytes; at least 32 spaces lie behind them.
pub(super) fn cut(bytes: &mut [u8], length: usize, bounds: &mut Vec<[usize; 2]>) {
    let (mut start, mut inside) = (0, 0_u32);
    let mut from = 0;
    while from <= length {
        let mut separators = separators(bytes, from);
        if separators.1 != 0 && blank_marks(bytes, from, separators.1) {
            separators = self::separators(bytes, from);
        }
        let words = !separators.0 & 0xffff;
        // Bits where a word begins or ends.
        let mut edges = (words ^ (words << 1 | inside)) & 0xffff;
        inside = words >> 15;
        while edges != 0 {
            let at = from + edges.trailing_zeros() as usize;
            edges &= edges - 1;
            if words >> (at - from) & 1 == 1 {
                start = at;
            } else {
                bounds.push([start, at]);
            }
        }
        from += 16;
    }
}

/// Bits of the white space, and of the bytes that may begin a [`MARK`].
fn separators(bytes: &[u8], from: usize) -> (u32, u32) {
    let Some(chunk) = bytes.get(from..).and_then(|rest| rest.first_chunk::<16>()) else { return (0xffff, 0) };
    let chunk = u8x16::from(*chunk);
    let space = chunk.simd_eq(u8x16::splat(b' '));
    // Tab, line feed, vertical tab, form feed and carriage return are 9 to 13.
    let control = (chunk - u8x16::splat(9)).min(u8x16::splat(4)).simd_eq(chunk - u8x16::splat(9));
    ((space | control).to_bitmask(), chunk.simd_eq(u8x16::splat(MARK[0])).to_bitmask())
}

/// Writes spaces over the marks that begin at the given bits; whether there was one.
fn blank_marks(bytes: &mut [u8], from: usize, mut candidates: u32) -> bool {
    let mut found = false;
    while candidates != 0 {
        let at = from + candidates.trailing_zeros() as usize;
        candidates &= candidates - 1;
        if let Some(mark) = bytes.get_mut(at..at + 3).filter(|bytes| **bytes == MARK) {
            mark.fill(b' ');
            found = true;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::bpe::split::Split;

    fn words(text: &str) -> Vec<&str> {
        let (mut bytes, mut bounds) = (Vec::new(), Vec::new());
        Split::Spaces.cut(text, &mut bytes, &mut bounds);
        bounds.iter().map(|&[start, end]| &text[start..end]).collect()
    }

    proptest! {
        #[test]
        fn words_lie_between_ascii_white_space_and_marks(text in "[ab \t\n\u{b}\u{c}\r▁▀─日\u{a0}\u{1c}\u{85}]{0,90}") {
            let expected = text.split(|c| matches!(c, '\t'..='\r' | ' ' | '▁')).filter(|word| !word.is_empty());
            prop_assert_eq!(words(&text), expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_long_word_is_one() {
        let text = "x".repeat(1000);
        assert_eq!(words(&text), [&text]);
        assert!(words(&"▁ ".repeat(1000)).is_empty());
    }
}
