//! Token shift: half of the channels of a position come from its neighbours.
//!
//! Source: `dalle_pytorch/transformer.py` (`PreShiftToken`). A text position takes its first half from the position
//! before it; a code takes its first quarter from the code above and its second from the code to the left; zeros stand in
//! where there is none. The reference does not shift a sequence that is shorter than the text, which it never draws
//! from; here every sequence is shifted.

use burn::tensor::{Device, Int, Tensor};

use super::config::GptConfig;
use super::segments::Segments;

/// Which positions are whose neighbours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shift(Segments);

/// The first halves of the channels of every position so far, behind a row of zeros.
#[derive(Debug)]
pub(super) struct Seen {
    /// `[b, 1 + positions, d / 2]`
    halves: Tensor<3>,
    len: usize,
}

impl Seen {
    /// An empty buffer for `batch` whole sequences.
    pub(super) fn new(config: &GptConfig, batch: usize, device: &Device) -> Self {
        let shape = [batch, 1 + config.segments().total(), config.dim / 2];
        Self { halves: Tensor::zeros(shape, device), len: 0 }
    }

    /// Forgets everything after the first `len` positions.
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Some rows of the batch; a row may come several times.
    pub(super) fn select(self, rows: Tensor<1, Int>) -> Self {
        Self { halves: self.halves.select(0, rows), len: self.len }
    }

    fn append(&mut self, new: Tensor<3>) {
        let [b, t, half] = new.dims();
        let rows = 1 + self.len..1 + self.len + t;
        self.len += t;
        self.halves.inplace(|halves| halves.slice_assign([0..b, rows, 0..half], new));
    }
}

impl Shift {
    pub(super) const fn new(segments: Segments) -> Self {
        Self(segments)
    }

    /// A sequence from its beginning: `[b, t, d]` → `[b, t, d]`.
    pub(super) fn whole(self, x: Tensor<3>) -> Tensor<3> {
        let [b, _, d] = x.dims();
        let zeros = Tensor::zeros([b, 1, d / 2], &x.device());
        let halves = Tensor::cat(vec![zeros, x.clone().narrow(2, 0, d / 2)], 1);
        self.gather(x, 0, halves)
    }

    /// The positions after the `from` that `seen` holds: `[b, t, d]` → `[b, t, d]`.
    pub(super) fn cached(self, x: Tensor<3>, from: usize, seen: &mut Seen) -> Tensor<3> {
        let d = x.dims()[2];
        seen.truncate(from);
        seen.append(x.clone().narrow(2, 0, d / 2));
        self.gather(x, from, seen.halves.clone())
    }

    /// Takes the neighbours from `halves` `[b, 1 + positions, d / 2]`, whose row 0 is zero.
    fn gather(self, x: Tensor<3>, from: usize, halves: Tensor<3>) -> Tensor<3> {
        let [_, t, d] = x.dims();
        let rows = |neighbour: fn(Segments, usize) -> Option<usize>| {
            let row = |position| neighbour(self.0, position).map_or(0, |position| position as i32 + 1);
            let rows = (from..from + t).map(row).collect::<Vec<_>>();
            Tensor::<1, Int>::from_ints(rows.as_slice(), &x.device())
        };
        let quarter = d / 4;
        let first = halves.clone().narrow(2, 0, quarter).select(1, rows(first));
        let second = halves.narrow(2, quarter, quarter).select(1, rows(second));
        Tensor::cat(vec![first, second, x.narrow(2, 2 * quarter, d - 2 * quarter)], 2)
    }
}

/// Whose first quarter a position gets.
fn first(segments: Segments, position: usize) -> Option<usize> {
    match position.checked_sub(segments.left) {
        Some(code) => (code >= segments.grid).then(|| position - segments.grid),
        None => position.checked_sub(1),
    }
}

/// Whose second quarter a position gets.
fn second(segments: Segments, position: usize) -> Option<usize> {
    match position.checked_sub(segments.left) {
        Some(code) => (!code.is_multiple_of(segments.grid)).then(|| position - 1),
        None => position.checked_sub(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarters_come_from_the_neighbours() {
        let device = Device::flex();
        let segments = Segments { left: 3, grid: 2, right: 0 };
        // Channel c of position p holds 10 (p + 1) + c.
        let x = Tensor::<1, Int>::arange(0..28, &device).float().reshape([1, 7, 4]);
        let x = x.clone() % 4.0 + ((x / 4.0).floor() + 1.0) * 10.0;
        let shifted = Shift::new(segments).whole(x).into_data();
        let expected = [
            [0.0, 0.0, 12.0, 13.0],
            [10.0, 11.0, 22.0, 23.0],
            [20.0, 21.0, 32.0, 33.0],
            [0.0, 0.0, 42.0, 43.0],
            [0.0, 41.0, 52.0, 53.0],
            [40.0, 0.0, 62.0, 63.0],
            [50.0, 61.0, 72.0, 73.0],
        ];
        assert_eq!(shifted.as_slice::<f32>().unwrap(), expected.concat());
    }
}
