//! JPEG at 1/1, 1/2, 1/4 or 1/8 of its size: sequential and progressive, Huffman-coded, 8 bits.
//!
//! A picture that will be made smaller anyway need not be decoded in full: most of the time then goes into reading
//! codes. Strict: whatever is wrong with a file is an error.

use super::colour::interleave;
use super::frame::Component;
use super::header::{Colour, Header};
use super::huffman::{Bits, Table};
use super::scan::{self, ScanHeader, Tables};
use super::segments::{DHT, DQT, DRI, EOI, SOS, Segments};
use crate::reason::Reason;

/// Pixels as they come out of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Samples {
    pub(super) width: usize,
    pub(super) height: usize,
    /// 1 (grey), 3 (RGB) or 4 (amounts of ink) bytes per pixel.
    pub(super) pixels: Vec<u8>,
}

/// Decodes a file whose header has been read; sides are divided by `reduction` (1, 2, 4 or 8) and rounded up.
///
/// # Errors
/// [`Reason::Decode`] for damaged files.
pub(super) fn decode(bytes: &[u8], header: &Header<'_>, reduction: usize) -> Result<Samples, Reason> {
    let frame = &header.frame;
    let parameters = frame.components.iter();
    let mut components: Vec<Component> =
        parameters.map(|parameters| Component::new(frame, *parameters, reduction)).collect();
    let mut tables = Tables::default();
    let mut seen = vec![false; components.len()];
    let mut segments = Segments::new(bytes);
    while let Some(segment) = segments.next() {
        match segment.marker {
            DQT => quantisation(segment.body, &mut components)?,
            DHT => huffman(segment.body, &mut tables)?,
            DRI => tables.restart_interval = restart_interval(segment.body)?,
            SOS => {
                let scan = ScanHeader::read(segment.body, &components)?;
                scan.parts.iter().for_each(|part| seen[part.component] = true);
                let mut bits = Bits::new(segments.rest());
                scan::read(&mut bits, &scan, &tables, &mut components)?;
                segments.at += bits.position();
            }
            EOI => break,
            _ => {}
        }
    }
    if seen.contains(&false) {
        return Err(Reason::Decode);
    }
    components.iter_mut().try_for_each(Component::finish)?;
    let (width, height) = (frame.width.div_ceil(reduction), frame.height.div_ceil(reduction));
    let colour = header.colour;
    debug_assert_eq!(components.len() == 1, colour == Colour::Grey);
    Ok(Samples { width, height, pixels: interleave(&components, colour, reduction, (width, height)) })
}

/// T.81, B.2.4.1.
fn quantisation(mut body: &[u8], components: &mut [Component]) -> Result<(), Reason> {
    while let Some((&kind, rest)) = body.split_first() {
        let bytes = if kind >> 4 == 0 { 64 } else { 128 };
        let (values, rest) = rest.split_at_checked(bytes).ok_or(Reason::Decode)?;
        let table: [u16; 64] = match bytes {
            64 => std::array::from_fn(|i| values[i].into()),
            _ => std::array::from_fn(|i| u16::from_be_bytes([values[2 * i], values[2 * i + 1]])),
        };
        for component in components.iter_mut().filter(|c| c.parameters.table == usize::from(kind & 15)) {
            component.factors = component.size.factors(&table);
        }
        body = rest;
    }
    Ok(())
}

/// T.81, B.2.4.2.
fn huffman(mut body: &[u8], tables: &mut Tables) -> Result<(), Reason> {
    while let Some((&[kind, ref counts @ ..], rest)) = body.split_first_chunk::<17>() {
        let count = counts.iter().copied().map(usize::from).sum();
        let (values, rest) = rest.split_at_checked(count).ok_or(Reason::Decode)?;
        let class = if kind >> 4 == 0 { &mut tables.dc } else { &mut tables.ac };
        *class.get_mut(usize::from(kind & 15)).ok_or(Reason::Decode)? = Some(Table::new(counts, values)?);
        body = rest;
    }
    Ok(())
}

/// T.81, B.2.4.4.
fn restart_interval(body: &[u8]) -> Result<usize, Reason> {
    let interval = body.first_chunk().ok_or(Reason::Decode)?;
    Ok(u16::from_be_bytes(*interval).into())
}
