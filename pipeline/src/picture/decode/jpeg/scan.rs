//! One scan of a JPEG file: the order of its blocks, restarts, and the blocks of sequential files (T.81, F.2).

use super::frame::Component;
use super::huffman::{Bits, Table};
use super::idct::{Block, ZIGZAG};
use super::progressive::Band;
use crate::reason::Reason;

/// A component's part in a scan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Its place in the frame.
    pub(super) component: usize,
    dc: usize,
    ac: usize,
}

/// The scan header (T.81, B.2.3).
#[derive(Debug)]
pub(super) struct ScanHeader {
    pub(super) parts: Vec<Part>,
    band: Band,
}

impl ScanHeader {
    /// Reads it.
    ///
    /// # Errors
    /// [`Reason::Decode`] for what no scan can be.
    pub(super) fn read(body: &[u8], components: &[Component]) -> Result<Self, Reason> {
        let (&count, rest) = body.split_first().ok_or(Reason::Decode)?;
        let (parts, rest) = rest.split_at_checked(2 * usize::from(count)).ok_or(Reason::Decode)?;
        let parts: Option<Vec<Part>> =
            parts.as_chunks().0.iter().map(|part| part_of(*part, components)).collect();
        let parts = parts.filter(|parts| !parts.is_empty() && parts.len() <= components.len());
        let &[first, last, approximation, ..] = rest else { return Err(Reason::Decode) };
        Ok(Self { parts: parts.ok_or(Reason::Decode)?, band: Band::new(first, last, approximation) })
    }
}

fn part_of([id, tables]: [u8; 2], components: &[Component]) -> Option<Part> {
    let component = components.iter().position(|component| component.parameters.id == id)?;
    Some(Part { component, dc: usize::from(tables >> 4), ac: usize::from(tables & 15) })
}

/// The tables in force.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) dc: [Option<Table>; 4],
    pub(super) ac: [Option<Table>; 4],
    /// Units between restart markers; 0: there are none.
    pub(super) restart_interval: usize,
}

/// What carries over from block to block, until a restart.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct State {
    /// The last mean of each component, quantised.
    pub(super) means: [i32; 4],
    /// Blocks that are still to be passed over in a progressive scan.
    pub(super) empty_blocks: u32,
}

/// Reads the data of a scan into the components.
///
/// # Errors
/// [`Reason::Decode`] for damaged data.
pub(super) fn read(
    bits: &mut Bits<'_>,
    header: &ScanHeader,
    tables: &Tables,
    components: &mut [Component],
) -> Result<(), Reason> {
    let progressive = components.iter().any(|component| !component.coefficients.is_empty());
    if progressive && !header.band.fits(header.parts.len()) {
        return Err(Reason::Decode);
    }
    let mut state = State::default();
    let order = Order::new(header, components).ok_or(Reason::Decode)?;
    for unit in 0..order.units.0 * order.units.1 {
        if tables.restart_interval > 0 && unit > 0 && unit % tables.restart_interval == 0 {
            bits.restart((unit / tables.restart_interval - 1) as u8 % 8)?;
            state = State::default();
        }
        let (unit_x, unit_y) = (unit % order.units.0, unit / order.units.0);
        for (part, (h, v)) in header.parts.iter().zip(&order.blocks) {
            let component = &mut components[part.component];
            for i in 0..h * v {
                let (x, y) = (unit_x * h + i % h, unit_y * v + i / h);
                match progressive {
                    true => header.band.read(bits, tables, part, &mut state, component.block(x, y)?)?,
                    false => sequential(bits, tables, part, &mut state, component, (x, y))?,
                }
            }
        }
        if bits.is_overrun() {
            return Err(Reason::Decode);
        }
    }
    Ok(())
}

/// How the blocks of a scan follow each other (T.81, A.2): in units of several components, or block by block.
struct Order {
    /// Units per row and column.
    units: (usize, usize),
    /// Blocks per row and column of a unit, for each part.
    blocks: Vec<(usize, usize)>,
}

impl Order {
    fn new(header: &ScanHeader, components: &[Component]) -> Option<Self> {
        let parts: Vec<&Component> = header.parts.iter().map(|part| &components[part.component]).collect();
        match parts.as_slice() {
            [] => None,
            [one] => Some(Self { units: one.own_blocks, blocks: vec![(1, 1)] }),
            [first, ..] => {
                let (h, v) = (first.parameters.h, first.parameters.v);
                let blocks = parts.iter().map(|part| (part.parameters.h, part.parameters.v)).collect();
                Some(Self { units: (first.blocks.0 / h, first.blocks.1 / v), blocks })
            }
        }
    }
}

impl Part {
    /// Its table for the mean of a block.
    pub(super) fn dc<'t>(&self, tables: &'t Tables) -> Result<&'t Table, Reason> {
        tables.dc.get(self.dc).and_then(Option::as_ref).ok_or(Reason::Decode)
    }

    /// Its table for the rest of a block.
    pub(super) fn ac<'t>(&self, tables: &'t Tables) -> Result<&'t Table, Reason> {
        tables.ac.get(self.ac).and_then(Option::as_ref).ok_or(Reason::Decode)
    }

    /// The mean of the next block, quantised.
    pub(super) fn mean(
        &self,
        bits: &mut Bits<'_>,
        tables: &Tables,
        state: &mut State,
    ) -> Result<i32, Reason> {
        let size = bits.symbol(self.dc(tables)?)?;
        if size > 11 {
            return Err(Reason::Decode);
        }
        let mean = state.means.get_mut(self.component).ok_or(Reason::Decode)?;
        *mean = mean.wrapping_add(bits.value(size));
        Ok(*mean)
    }
}

/// Reads a block and turns it into pixels.
fn sequential(
    shared: &mut Bits<'_>,
    tables: &Tables,
    part: &Part,
    state: &mut State,
    component: &mut Component,
    (x, y): (usize, usize),
) -> Result<(), Reason> {
    let mean = part.mean(shared, tables, state)?;
    let table = part.ac(tables)?;
    let mut bits = *shared;
    let mut block = Block::default();
    block.0[0] = mean as f32 * component.factors.0[0];
    let (mut k, mut last) = (1, 0);
    while k < 64 {
        let (run, value) = next(&mut bits, table)?;
        k += usize::from(run);
        match value {
            0 if k >= 64 => break,
            0 => {}
            _ if k >= 64 => return Err(Reason::Decode),
            value => {
                block.0[usize::from(ZIGZAG[k & 63] & 63)] = value as f32 * component.factors.0[k & 63];
                last = k;
            }
        }
        k += 1;
    }
    *shared = bits;
    component.put(x, y, &block, last)
}

/// How many zeros come next, and the value behind them; a run beyond the block ends it.
#[inline(always)]
fn next(bits: &mut Bits<'_>, table: &Table) -> Result<(u8, i32), Reason> {
    if let Some(short) = bits.coefficient(table) {
        return Ok((short.run, short.value.into()));
    }
    match bits.symbol(table)? {
        // Sixteen zeros.
        0xF0 => Ok((15, 0)),
        symbol if symbol & 15 == 0 => Ok((super::huffman::END_OF_BLOCK, 0)),
        symbol => Ok((symbol >> 4, bits.value(symbol & 15))),
    }
}
