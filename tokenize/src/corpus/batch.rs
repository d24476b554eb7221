//! Texts by the thousand: what readers hand to the threads that work on them.

use std::ops::Range;

/// Bytes of text after which a batch is handed over.
pub(super) const BATCH: usize = 1 << 20;

/// Some texts of a corpus, in one buffer.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    text: String,
    bounds: Vec<Range<usize>>,
    /// Texts with bytes that are no UTF-8; those bytes are left out.
    pub damaged: usize,
    /// Where the first of them is.
    pub first_damaged: Option<String>,
}

impl Batch {
    /// Adds a text.
    pub fn push(&mut self, text: &str) {
        let start = self.text.len();
        self.text.push_str(text);
        self.bounds.push(start..self.text.len());
    }

    /// Adds what is UTF-8 of a text; `place` says where it is, should there be anything else.
    pub(super) fn push_bytes(&mut self, bytes: &[u8], place: impl FnOnce() -> String) {
        let start = self.text.len();
        for chunk in bytes.utf8_chunks() {
            self.text.push_str(chunk.valid());
        }
        self.bounds.push(start..self.text.len());
        if self.text.len() - start < bytes.len() {
            self.damaged += 1;
            self.first_damaged.get_or_insert_with(place);
        }
    }

    /// The lines of a file's bytes, the first of which is the `first`th; `place` words the place of a line.
    pub(super) fn from_lines(bytes: Vec<u8>, first: usize, place: impl Fn(usize) -> String) -> Self {
        let mut batch = Self::default();
        match String::from_utf8(bytes) {
            Ok(text) => {
                batch.bounds = lines(text.as_bytes()).collect();
                batch.text = text;
            }
            Err(error) => {
                let bytes = error.into_bytes();
                for (number, line) in (first..).zip(lines(&bytes)) {
                    batch.push_bytes(&bytes[line], || place(number));
                }
            }
        }
        batch
    }

    /// Number of texts.
    pub fn len(&self) -> usize {
        self.bounds.len()
    }

    /// Whether there are no texts.
    pub fn is_empty(&self) -> bool {
        self.bounds.is_empty()
    }

    /// Whether it is time to hand the batch over.
    pub(super) fn is_full(&self) -> bool {
        self.text.len() >= BATCH
    }

    /// The texts in order.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.bounds.iter().map(|range| &self.text[range.clone()])
    }
}

impl<S: AsRef<str>> FromIterator<S> for Batch {
    fn from_iter<I: IntoIterator<Item = S>>(texts: I) -> Self {
        let mut batch = Self::default();
        texts.into_iter().for_each(|text| batch.push(text.as_ref()));
        batch
    }
}

/// The lines without their ends, LF or CR LF.
fn lines(bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', bytes).chain((!bytes.ends_with(b"\n")).then_some(bytes.len()));
    ends.filter(|_| !bytes.is_empty()).map(move |end| {
        // A carriage return is part of the end of a line, not an end by itself.
        let carriage = end < bytes.len() && bytes[start..end].ends_with(b"\r");
        let line = start..end - usize::from(carriage);
        start = end + 1;
        line
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(bytes: &[u8]) -> Batch {
        Batch::from_lines(bytes.to_vec(), 7, |line| format!("a.txt:{line}"))
    }

    #[test]
    fn bytes_that_are_no_utf8_are_left_out_and_counted() {
        let batch = of(b"red\n\xffgreen\xfe\r\nblue\xd0\n");
        assert_eq!(batch.texts().collect::<Vec<_>>(), ["red", "green", "blue"]);
        assert_eq!((batch.damaged, batch.first_damaged.as_deref()), (2, Some("a.txt:8")));
    }

    proptest! {
        #[test]
        fn lines_are_those_of_the_standard_library(text in "[a\n\rё]{0,30}") {
            let batch = of(text.as_bytes());
            prop_assert_eq!(batch.texts().collect::<Vec<_>>(), text.lines().collect::<Vec<_>>());
            prop_assert_eq!(batch.damaged, 0);
        }
    }
}
