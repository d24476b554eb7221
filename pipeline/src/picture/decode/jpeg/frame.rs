//! The components of a frame while its scans come in: coefficients, then planes of pixels.

use super::header::{Frame, FrameComponent};
use super::idct::{Block, Size, ZIGZAG};
use crate::reason::Reason;

/// Pixels or coefficients of one component.
#[derive(Debug)]
pub(super) struct Component {
    pub(super) parameters: FrameComponent,
    /// What its blocks become.
    pub(super) size: Size,
    /// Blocks per row and column of the component itself: what a scan of it alone holds.
    pub(super) own_blocks: (usize, usize),
    /// Blocks per row and column with those that fill up the last units.
    pub(super) blocks: (usize, usize),
    /// By the coefficient's place in the file.
    pub(super) factors: Block,
    /// Pixels, [`Component::stride`] per row.
    pub(super) plane: Vec<u8>,
    /// Of a progressive file: 64 per block, in the order of the file.
    pub(super) coefficients: Vec<i16>,
}

impl Component {
    /// A component of a frame of which every block becomes at least `8 / reduction` pixels wide.
    pub(super) fn new(frame: &Frame, parameters: FrameComponent, reduction: usize) -> Self {
        let (most_h, most_v) = frame.sampling();
        let FrameComponent { h, v, .. } = parameters;
        // Where a component has fewer samples, its blocks are reduced less; so it need not be enlarged again.
        let size = Size::at_most(8 / reduction.clamp(1, 8) * (most_h / h).min(most_v / v));
        let blocks = (frame.width.div_ceil(8 * most_h) * h, frame.height.div_ceil(8 * most_v) * v);
        let own_blocks = ((frame.width * h).div_ceil(8 * most_h), (frame.height * v).div_ceil(8 * most_v));
        let count = blocks.0 * blocks.1;
        let coefficients = if frame.progressive { vec![0; 64 * count] } else { Vec::new() };
        let plane = vec![0; count * size.pixels() * size.pixels()];
        Self { parameters, size, own_blocks, blocks, factors: Block::default(), plane, coefficients }
    }

    /// Pixels per row of the plane.
    pub(super) fn stride(&self) -> usize {
        self.blocks.0 * self.size.pixels()
    }

    /// Turns a block into pixels at its place; `last` is the place of its last coefficient in the file.
    pub(super) fn put(&mut self, x: usize, y: usize, block: &Block, last: usize) -> Result<(), Reason> {
        let (stride, n) = (self.stride(), self.size.pixels());
        let place = self.plane.get_mut(y * n * stride + x * n..).ok_or(Reason::Decode)?;
        match last {
            0 => self.size.fill(block.0[0], place, stride),
            _ => self.size.transform(block, place, stride),
        }
    }

    /// The coefficients of a block.
    pub(super) fn block(&mut self, x: usize, y: usize) -> Result<&mut [i16; 64], Reason> {
        let at = 64 * (y * self.blocks.0 + x);
        let block = self.coefficients.get_mut(at..).and_then(|rest| rest.first_chunk_mut());
        block.ok_or(Reason::Decode)
    }

    /// Turns all coefficients into pixels, once the last scan is in.
    pub(super) fn finish(&mut self) -> Result<(), Reason> {
        let coefficients = std::mem::take(&mut self.coefficients);
        for (i, stored) in coefficients.as_chunks::<64>().0.iter().enumerate() {
            let mut block = Block::default();
            let mut last = 0;
            for (k, value) in stored.iter().enumerate().filter(|(_, value)| **value != 0) {
                block.0[usize::from(ZIGZAG[k])] = f32::from(*value) * self.factors.0[k];
                last = k;
            }
            self.put(i % self.blocks.0, i / self.blocks.0, &block, last)?;
        }
        Ok(())
    }
}
