//! UTF-16 as UTF-8, while it is read.

use std::io::{self, Read};

/// Bytes taken at a time.
const PIECE: usize = 16 << 10;

/// What is no UTF-16 becomes replacement characters.
pub(super) struct Utf16<R> {
    inner: R,
    big_endian: bool,
    /// Bytes that are not decoded: half a unit, or the first half of a pair.
    rest: Vec<u8>,
    out: Vec<u8>,
    at: usize,
}

impl<R: Read> Utf16<R> {
    pub(super) fn new(inner: R, big_endian: bool) -> Self {
        Self { inner, big_endian, rest: Vec::new(), out: Vec::new(), at: 0 }
    }

    /// Decodes the next piece; `false` at the end.
    fn fill(&mut self) -> io::Result<bool> {
        let before = self.rest.len();
        self.rest.resize(before + PIECE, 0);
        let n = self.inner.read(&mut self.rest[before..])?;
        self.rest.truncate(before + n);
        if self.rest.is_empty() {
            return Ok(false);
        }
        let unit = |two: &[u8]| match self.big_endian {
            true => u16::from_be_bytes([two[0], two[1]]),
            false => u16::from_le_bytes([two[0], two[1]]),
        };
        let mut units: Vec<u16> = self.rest.chunks_exact(2).map(unit).collect();
        if n > 0 && units.last().is_some_and(|last| (0xD800..0xDC00).contains(last)) {
            units.pop();
        }
        self.rest.drain(..2 * units.len());
        let mut text: String =
            char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
        if n == 0 && !self.rest.is_empty() {
            self.rest.clear();
            text.push(char::REPLACEMENT_CHARACTER);
        }
        (self.out, self.at) = (text.into_bytes(), 0);
        Ok(true)
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.out.len() {
            if !self.fill()? {
                return Ok(0);
            }
        }
        let n = (self.out.len() - self.at).min(buffer.len());
        buffer[..n].copy_from_slice(&self.out[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives one byte at a time, so that units and pairs are cut everywhere.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.0.len().min(1).min(buffer.len());
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn decoded(inner: impl Read, big: bool) -> String {
        let mut text = String::new();
        Utf16::new(inner, big).read_to_string(&mut text).unwrap();
        text
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in "\\PC{0,40}") {
            let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            prop_assert_eq!(&decoded(Slow(&big), true), &text);
            prop_assert_eq!(&decoded(&little[..], false), &text);
        }
    }

    #[test]
    fn half_a_unit_and_half_a_pair_are_replaced() {
        assert_eq!(decoded(&[0x41, 0, 0x42][..], false), "A\u{fffd}");
        assert_eq!(decoded(&[0xD8, 0x3D, 0, 0x41, 0xD8, 0x3D][..], true), "\u{fffd}A\u{fffd}");
    }
}
