//! The scans of a progressive file (T.81, annex G): some coefficients of every block, or one more bit of them.

use super::huffman::Bits;
use super::scan::{Part, State, Tables};
use crate::reason::Reason;

/// Which coefficients, and which of their bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Band {
    first: usize,
    last: usize,
    /// The bit that was known before; 0 in a first scan.
    high: u32,
    /// The bit that is known after it.
    low: u32,
}

impl Band {
    /// From the three last bytes of a scan header.
    pub(super) fn new(first: u8, last: u8, approximation: u8) -> Self {
        let [first, last] = [first, last].map(usize::from);
        Self { first, last, high: u32::from(approximation >> 4), low: u32::from(approximation & 15) }
    }

    /// Whether a progressive scan of that many components may have it.
    pub(super) fn fits(&self, components: usize) -> bool {
        let order = self.first <= self.last && self.last < 64 && self.low <= 13;
        let alone = if self.first == 0 { self.last == 0 } else { components == 1 };
        order && alone && (self.high == 0 || self.high == self.low + 1)
    }

    /// Reads what the scan holds of a block.
    pub(super) fn read(
        &self,
        bits: &mut Bits<'_>,
        tables: &Tables,
        part: &Part,
        state: &mut State,
        block: &mut [i16; 64],
    ) -> Result<(), Reason> {
        match (self.first, self.high) {
            (0, 0) => {
                block[0] = (part.mean(bits, tables, state)? << self.low) as i16;
                Ok(())
            }
            (0, _) => {
                block[0] |= (bits.take(1) << self.low) as i16;
                Ok(())
            }
            (_, 0) => self.first_bits(bits, tables, part, state, block),
            _ => self.one_more_bit(bits, tables, part, state, block),
        }
    }

    /// G.1.2.2.
    fn first_bits(
        &self,
        bits: &mut Bits<'_>,
        tables: &Tables,
        part: &Part,
        state: &mut State,
        block: &mut [i16; 64],
    ) -> Result<(), Reason> {
        if state.empty_blocks > 0 {
            state.empty_blocks -= 1;
            return Ok(());
        }
        let table = part.ac(tables)?;
        let mut k = self.first;
        while k <= self.last {
            let symbol = bits.symbol(table)?;
            match (symbol >> 4, symbol & 15) {
                (15, 0) => k += 16,
                (run, 0) => {
                    state.empty_blocks = (1 << run) - 1 + bits.take(run.into());
                    break;
                }
                (run, size) => {
                    k += usize::from(run);
                    if k > self.last {
                        return Err(Reason::Decode);
                    }
                    block[k] = (bits.value(size) << self.low) as i16;
                    k += 1;
                }
            }
        }
        Ok(())
    }

    /// G.1.2.3: a bit for each coefficient that is not 0 yet, and new ones of one bit.
    fn one_more_bit(
        &self,
        bits: &mut Bits<'_>,
        tables: &Tables,
        part: &Part,
        state: &mut State,
        block: &mut [i16; 64],
    ) -> Result<(), Reason> {
        let table = part.ac(tables)?;
        let mut k = self.first;
        while k <= self.last && state.empty_blocks == 0 {
            let symbol = bits.symbol(table)?;
            let (run, new) = match (symbol >> 4, symbol & 15) {
                (15, 0) => (15, 0),
                (run, 0) => {
                    state.empty_blocks = (1 << run) + bits.take(run.into());
                    break;
                }
                (run, 1) => (run, if bits.take(1) == 1 { 1 << self.low } else { -1 << self.low }),
                _ => return Err(Reason::Decode),
            };
            k = self.refine(bits, block, k, run);
            if new != 0 {
                *block.get_mut(k).filter(|_| k <= self.last).ok_or(Reason::Decode)? = new;
            }
            k += 1;
        }
        if state.empty_blocks > 0 {
            state.empty_blocks -= 1;
            // More zeros than a block has.
            self.refine(bits, block, k, 64);
        }
        Ok(())
    }

    /// Reads a bit for each coefficient that is not 0, from `k` on, until behind `zeros` zeros another one comes; returns
    /// its place.
    fn refine(&self, bits: &mut Bits<'_>, block: &mut [i16; 64], k: usize, mut zeros: u8) -> usize {
        let bit = 1 << self.low;
        for (k, value) in block.iter_mut().enumerate().take(self.last + 1).skip(k) {
            if *value == 0 {
                if zeros == 0 {
                    return k;
                }
                zeros -= 1;
            } else if bits.take(1) == 1 && *value & bit == 0 {
                *value = value.saturating_add(if *value > 0 { bit } else { -bit });
            }
        }
        self.last + 1
    }
}
