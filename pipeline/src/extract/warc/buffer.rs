//! Bytes between a writer and a reader, in one piece: filled at the end, taken from the front.

/// Bytes that a buffer has room for from the start, and keeps when it is empty.
const BASE: usize = 256 << 10;

/// The buffer; what is behind `end` is scratch space.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    at: usize,
    end: usize,
}

impl Buffer {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; BASE], at: 0, end: 0 }
    }

    /// What is there and not taken.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.at..self.end]
    }

    pub(super) fn len(&self) -> usize {
        self.end - self.at
    }

    pub(super) fn is_empty(&self) -> bool {
        self.at == self.end
    }

    /// Room for `count` bytes at least; what is written there is told to [`Buffer::written`].
    pub(super) fn room(&mut self, count: usize) -> &mut [u8] {
        if self.is_empty() {
            (self.at, self.end) = (0, 0);
            // A large record has passed: its memory is not kept for small ones.
            if self.bytes.len() > 16 * BASE.max(count) {
                self.bytes = vec![0; BASE.max(count)];
            }
        }
        if self.bytes.len() - self.end < count {
            let rest = self.len();
            // Twice what is there, so that the bytes of a large record are moved a few times and not with every piece.
            if 2 * (rest + count) > self.bytes.len() {
                self.bytes.resize(2 * (rest + count), 0);
            }
            self.bytes.copy_within(self.at..self.end, 0);
            (self.at, self.end) = (0, rest);
        }
        &mut self.bytes[self.end..]
    }

    pub(super) fn written(&mut self, count: usize) {
        self.end += count;
    }

    /// Takes bytes from the front.
    pub(super) fn take(&mut self, count: usize) {
        self.at = (self.at + count).min(self.end);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_goes_in_comes_out_in_order(steps in proptest::collection::vec((0_usize..400_000, 0_usize..400_000), 1..30)) {
            let mut buffer = Buffer::new();
            let (mut wrote, mut took) = (0_usize, 0_usize);
            for (put, take) in steps {
                let room = buffer.room(put);
                room[..put].iter_mut().enumerate().for_each(|(i, byte)| *byte = ((wrote + i) % 251) as u8);
                buffer.written(put);
                wrote += put;
                let count = take.min(buffer.len());
                let sound = buffer.rest()[..count].iter().enumerate().all(|(i, byte)| *byte == ((took + i) % 251) as u8);
                prop_assert!(sound);
                buffer.take(count);
                took += count;
                prop_assert_eq!(buffer.len(), wrote - took);
            }
        }
    }
}
