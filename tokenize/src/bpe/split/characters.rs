//! Classes of characters, as the patterns of published encodings ask for them.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, HirKind};

/// `\p{L}`
pub(super) const LETTER: u8 = 1;
/// `\p{N}`
pub(super) const NUMBER: u8 = 2;
/// `\s`
pub(super) const SPACE: u8 = 4;
/// None of the three.
pub(super) const OTHER: u8 = 8;
/// `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`: o200k's first part of a word.
pub(super) const UPPER: u8 = 16;
/// `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`: its second part.
pub(super) const LOWER: u8 = 32;

const CLASSES: [(&str, u8); 5] = [
    (r"\p{L}", LETTER),
    (r"\p{N}", NUMBER),
    (r"\s", SPACE),
    (r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", UPPER),
    (r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]", LOWER),
];

/// Classes by code point. The tables of the pattern library are those that Hugging Face's and OpenAI's programs use.
static TABLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut table = vec![0_u8; char::MAX as usize + 1];
    for (pattern, class) in CLASSES {
        // The patterns above are valid; a class that were missing would show in every test of this module.
        let parsed = regex_syntax::parse(pattern).map(regex_syntax::hir::Hir::into_kind);
        let Ok(HirKind::Class(Class::Unicode(ranges))) = parsed else { continue };
        for range in ranges.iter() {
            table[range.start() as usize..=range.end() as usize].iter_mut().for_each(|bits| *bits |= class);
        }
    }
    for bits in table.iter_mut().filter(|bits| **bits & (LETTER | NUMBER | SPACE) == 0) {
        *bits |= OTHER;
    }
    table
});

/// A text whose characters are asked for by their places.
pub(super) struct Characters<'a> {
    bytes: &'a [u8],
    length: usize,
    table: &'static [u8],
}

impl<'a> Characters<'a> {
    /// `bytes` are UTF-8 up to `length`; more of them lie behind.
    pub(super) fn new(bytes: &'a [u8], length: usize) -> Self {
        Self { bytes, length, table: &TABLE }
    }

    /// Bytes of the text.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Class and bytes of the character that begins at `at`; class 0 at the end.
    #[inline]
    pub(super) fn at(&self, at: usize) -> (u8, usize) {
        let Some(&[a, b, c, d]) = self.bytes.get(at..).and_then(|rest| rest.first_chunk()) else {
            return (0, 0);
        };
        if at >= self.length {
            return (0, 0);
        }
        let low = |byte: u8, shift: u32| u32::from(byte & 0x3f) << shift;
        let (code, length) = match a {
            0..0x80 => (u32::from(a), 1),
            0x80..0xe0 => (low(a & 0x1f, 6) | low(b, 0), 2),
            0xe0..0xf0 => (low(a & 0x0f, 12) | low(b, 6) | low(c, 0), 3),
            _ => (low(a & 0x07, 18) | low(b, 12) | low(c, 6) | low(d, 0), 4),
        };
        (self.table.get(code as usize).copied().unwrap_or(0), length)
    }

    /// The byte at `at`; 0 at the end.
    #[inline]
    pub(super) fn byte(&self, at: usize) -> u8 {
        if at < self.length { self.bytes[at] } else { 0 }
    }

    /// Where the characters of a class that begin at `at` end.
    #[inline]
    pub(super) fn run(&self, mut at: usize, classes: u8) -> usize {
        loop {
            let (class, length) = self.at(at);
            if class & classes == 0 {
                return at;
            }
            at += length;
        }
    }

    /// Where the bytes of a set that begin at `at` end.
    pub(super) fn run_of(&self, mut at: usize, bytes: &[u8]) -> usize {
        while at < self.length && bytes.contains(&self.bytes[at]) {
            at += 1;
        }
        at
    }

    /// Where an English contraction (`'s`, `'t`, `'re`, `'ve`, `'m`, `'ll`, `'d`) that begins at `at` ends. Without
    /// regard to case, `ſ` is an s.
    pub(super) fn contraction(&self, at: usize, any_case: bool) -> Option<usize> {
        if self.byte(at) != b'\'' {
            return None;
        }
        let letter = |at| if any_case { self.byte(at).to_ascii_lowercase() } else { self.byte(at) };
        match (letter(at + 1), letter(at + 2)) {
            (b's' | b't' | b'm' | b'd', _) => Some(at + 2),
            (b'r' | b'v', b'e') | (b'l', b'l') => Some(at + 3),
            (0xc5, 0xbf) if any_case => Some(at + 3),
            _ => None,
        }
    }
}
