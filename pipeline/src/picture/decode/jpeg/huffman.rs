//! Huffman codes of JPEG (T.81, annexes C and F.2.2) and the bits they are read from.

use crate::reason::Reason;

/// Bits that are looked up at once; most codes with their value are shorter.
const LOOK: u32 = 10;

/// A run that no block has: the end of the block.
pub(super) const END_OF_BLOCK: u8 = 128;

/// A symbol with the value behind it, where both fit into [`LOOK`] bits; `bits` is 0 where they do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Coefficient {
    pub(super) value: i16,
    pub(super) run: u8,
    bits: u8,
}

/// A code table.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// By the next [`LOOK`] bits: length of the code (0: it is longer) and symbol.
    symbols: Box<[(u8, u8); 1 << LOOK]>,
    coefficients: Box<[Coefficient; 1 << LOOK]>,
    /// By length: the first code beyond those of that length, and what leads from a code to its symbol.
    ends: [(i32, i32); 17],
    values: Vec<u8>,
}

impl Table {
    /// The table of `counts[i]` codes of `i + 1` bits and their symbols.
    ///
    /// # Errors
    /// [`Reason::Decode`] when there are more codes than bits or symbols for them.
    pub(super) fn new(counts: &[u8; 16], values: &[u8]) -> Result<Self, Reason> {
        let mut table = Self {
            symbols: Box::new([(0, 0); 1 << LOOK]),
            coefficients: Box::new([Coefficient::default(); 1 << LOOK]),
            ends: [(0, 0); 17],
            values: values.to_vec(),
        };
        let (mut code, mut index) = (0_usize, 0_usize);
        for (length, count) in (1_u8..).zip(counts) {
            let first = (code, index);
            for _ in 0..*count {
                let symbol = *values.get(index).ok_or(Reason::Decode)?;
                table.look_up(code, length, symbol);
                (code, index) = (code + 1, index + 1);
            }
            if code > 1 << length {
                return Err(Reason::Decode);
            }
            table.ends[usize::from(length)] = (code as i32, first.1 as i32 - first.0 as i32);
            code <<= 1;
        }
        for bits in 0..1 << LOOK {
            table.coefficients[bits as usize] = table.coefficient(bits);
        }
        Ok(table)
    }

    fn look_up(&mut self, code: usize, length: u8, symbol: u8) {
        if let Some(spare) = LOOK.checked_sub(length.into()) {
            let places = self.symbols.get_mut(code << spare..(code + 1) << spare);
            places.unwrap_or_default().fill((length, symbol));
        }
    }

    fn coefficient(&self, bits: u32) -> Coefficient {
        let (length, symbol) = self.symbols[bits as usize];
        let (run, size) = (symbol >> 4, symbol & 15);
        match (length, symbol) {
            (0, _) => Coefficient::default(),
            (_, 0) => Coefficient { value: 0, run: END_OF_BLOCK, bits: length },
            _ if size == 0 || u32::from(length + size) > LOOK => Coefficient::default(),
            _ => {
                let magnitude = bits >> (LOOK - u32::from(length + size)) & ((1 << size) - 1);
                Coefficient { value: extend(magnitude, size) as i16, run, bits: length + size }
            }
        }
    }
}

/// The signed value of `size` bits (T.81, table F.1).
fn extend(bits: u32, size: u8) -> i32 {
    let half = 1 << (size.max(1) - 1);
    let value = bits as i32;
    if value < half { value - 2 * half + 1 } else { value }
}

/// Entropy-coded data, bit by bit: stuffed zeros are taken out, a marker ends it.
///
/// Small and copied freely, so that it stays in registers while a block is read; what is seldom called takes and
/// returns it by value for the same reason.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The next bits, from the top.
    buffer: u64,
    count: u32,
    /// How many of them are zeros that stand for what lies beyond the end.
    beyond: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, buffer: 0, count: 0, beyond: 0 }
    }

    /// Bytes read; what follows is a marker, if the data has been read to its end.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Whether more bits were taken than there are.
    pub(super) fn is_overrun(&self) -> bool {
        self.count < self.beyond
    }

    /// Begins after the restart marker `number` (0 to 7).
    ///
    /// # Errors
    /// [`Reason::Decode`] if another marker stands there.
    pub(super) fn restart(&mut self, number: u8) -> Result<(), Reason> {
        if self.is_overrun() {
            return Err(Reason::Decode);
        }
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        // What is left of the interval is less than the bits that were read ahead.
        let marker = rest.windows(2).position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xFF));
        let at = self.at + marker.ok_or(Reason::Decode)?;
        if self.bytes.get(at + 1) != Some(&(0xD0 + number)) {
            return Err(Reason::Decode);
        }
        *self = Self { at: at + 2, ..Self::new(self.bytes) };
        Ok(())
    }

    /// Makes 32 bits ready: a code and its value.
    #[inline(always)]
    fn ready(&mut self) {
        if self.count < 32 {
            self.refill();
        }
    }

    #[inline(always)]
    fn refill(&mut self) {
        const ONES: u64 = 0x0101_0101_0101_0101;
        if let Some(next) = self.bytes.get(self.at..self.at + 8).and_then(|b| b.try_into().ok()) {
            let word = u64::from_be_bytes(next);
            // No byte is 0xFF: no byte of the complement is 0.
            if (!word).wrapping_sub(ONES) & word & (ONES << 7) == 0 {
                // Bits of a byte that is not counted yet are or'ed in again with the same value.
                self.buffer |= word >> self.count;
                let bytes = (64 - self.count) / 8;
                self.at += bytes as usize;
                self.count += 8 * bytes;
                return;
            }
        }
        *self = self.refilled_by_bytes();
    }

    #[cold]
    #[inline(never)]
    fn refilled_by_bytes(mut self) -> Self {
        while self.count <= 56 {
            let byte = match self.bytes.get(self.at..) {
                Some([0xFF, 0, ..]) => {
                    self.at += 2;
                    0xFF
                }
                None | Some([] | [0xFF, ..]) => {
                    self.beyond += 8;
                    0
                }
                Some([byte, ..]) => {
                    self.at += 1;
                    *byte
                }
            };
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
        self
    }

    #[inline(always)]
    fn peek(&self, bits: u32) -> u32 {
        (self.buffer >> 1 >> (63 - bits)) as u32
    }

    #[inline(always)]
    fn skip(&mut self, bits: u32) {
        self.buffer <<= bits;
        self.count = self.count.wrapping_sub(bits);
        debug_assert!(self.count <= 64, "bits were made ready");
    }

    /// `bits` (0 to 16) bits as a number.
    #[inline(always)]
    pub(super) fn take(&mut self, bits: u32) -> u32 {
        self.ready();
        let value = self.peek(bits);
        self.skip(bits);
        value
    }

    /// `size` (0 to 15) bits as a signed value.
    #[inline(always)]
    pub(super) fn value(&mut self, size: u8) -> i32 {
        if size == 0 { 0 } else { extend(self.take(size.into()), size) }
    }

    /// The next symbol.
    #[inline(always)]
    pub(super) fn symbol(&mut self, table: &Table) -> Result<u8, Reason> {
        self.ready();
        let (length, symbol) = table.symbols[self.peek(LOOK) as usize];
        if length > 0 {
            self.skip(length.into());
            return Ok(symbol);
        }
        let (length, symbol) = self.long_symbol(table)?;
        self.skip(length);
        Ok(symbol)
    }

    #[cold]
    #[inline(never)]
    fn long_symbol(self, table: &Table) -> Result<(u32, u8), Reason> {
        for length in LOOK + 1..=16 {
            let code = self.peek(length) as i32;
            let (end, to_symbol) = table.ends[length as usize];
            if code < end {
                let symbol = usize::try_from(code + to_symbol).ok().and_then(|i| table.values.get(i));
                return symbol.map(|symbol| (length, *symbol)).ok_or(Reason::Decode);
            }
        }
        Err(Reason::Decode)
    }

    /// The next coefficient, if it is a short one.
    #[inline(always)]
    pub(super) fn coefficient(&mut self, table: &Table) -> Option<Coefficient> {
        self.ready();
        let found = table.coefficients[self.peek(LOOK) as usize];
        self.skip(found.bits.into());
        (found.bits > 0).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two codes of 2 bits (00, 01), one of 3 (100), one of 12 (1010_0000_0000).
    fn table() -> Table {
        let mut counts = [0; 16];
        (counts[1], counts[2], counts[11]) = (2, 1, 1);
        Table::new(&counts, &[0x00, 0x12, 0x03, 0x77]).unwrap()
    }

    #[test]
    fn symbols_short_and_long() {
        // 00 01 100 101000000000 and zeros.
        let mut bits = Bits::new(&[0b0001_1001, 0b0100_0000, 0b0000_0000]);
        let symbols: Vec<_> = (0..4).map(|_| bits.symbol(&table()).unwrap()).collect();
        assert_eq!(symbols, [0x00, 0x12, 0x03, 0x77]);
        assert!(!bits.is_overrun());
        bits.take(6);
        assert!(bits.is_overrun(), "five bits were left");
        assert_eq!(Bits::new(&[0xFE; 8]).symbol(&table()), Err(Reason::Decode), "no such code");
    }

    #[test]
    fn short_coefficients_carry_their_value() {
        // 01, run 1, 2 bits 10 = 2; 01 with 00 = -3; 00 is the end; 100, run 0, 3 bits 011 = -4.
        let mut bits = Bits::new(&[0b0110_0100, 0b0010_0011, 0, 0]);
        let next = |bits: &mut Bits<'_>| bits.coefficient(&table()).map(|c| (c.value, c.run)).unwrap();
        assert_eq!([next(&mut bits), next(&mut bits)], [(2, 1), (-3, 1)]);
        assert_eq!([next(&mut bits), next(&mut bits)], [(0, END_OF_BLOCK), (-4, 0)]);
        assert_eq!(Bits::new(&[0b1010_0000, 0]).coefficient(&table()), None, "longer than the table looks");
    }

    #[test]
    fn stuffed_zeros_are_taken_out_and_markers_end_the_data() {
        let mut bits = Bits::new(b"\x12\xFF\0\x34\xFF\xD3\x56");
        assert_eq!([bits.take(8), bits.take(8), bits.take(8)], [0x12, 0xFF, 0x34]);
        assert_eq!(bits.restart(4), Err(Reason::Decode));
        bits.restart(3).unwrap();
        assert_eq!(bits.take(8), 0x56);
    }

    #[test]
    fn tables_that_cannot_be_are_refused() {
        let mut counts = [0; 16];
        counts[0] = 3;
        assert!(Table::new(&counts, &[1, 2, 3]).is_err(), "three codes of one bit");
        counts[0] = 2;
        assert!(Table::new(&counts, &[1]).is_err(), "a symbol is missing");
    }

    proptest::proptest! {
        /// Bits in any portions are those of the bytes.
        #[test]
        fn portions_do_not_matter(bytes: Vec<u8>, portions in proptest::collection::vec(0_u32..17, 0..64)) {
            let stuffed: Vec<u8> =
                bytes.iter().flat_map(|b| if *b == 0xFF { vec![0xFF, 0] } else { vec![*b] }).collect();
            let mut bits = Bits::new(&stuffed);
            let mut at = 0;
            for portion in portions {
                let bit = |i: u32| bytes.get(i as usize / 8).map_or(0, |b| u32::from(*b) >> (7 - i % 8) & 1);
                let expected = (at..at + portion).fold(0, |value, i| value << 1 | bit(i));
                proptest::prop_assert_eq!(bits.take(portion), expected);
                at += portion;
                proptest::prop_assert_eq!(bits.is_overrun(), at as usize > 8 * bytes.len());
            }
        }
    }
}
