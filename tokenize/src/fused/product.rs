//! The inner loop of the convolutions: a small matrix product whose result stays in registers.

use wide::f32x8;

/// Values of one vector.
pub(super) const LANES: usize = 8;
/// Vectors side by side in a register tile.
pub(super) const VECTORS: usize = 3;
/// Rows of a register tile. With 3 vectors each, 12 of the 16 registers of AVX2 hold sums, enough to hide the latency of
/// two multiply-adds per cycle.
pub(super) const ROWS: usize = 4;
/// Columns of a register tile.
pub(super) const COLUMNS: usize = VECTORS * LANES;

/// One column of the left matrix: a value for each row of the tile.
pub(super) type Block = [f32; ROWS];
/// One row of the right matrix: a value for each column of the tile.
pub(super) type Panel = [f32; COLUMNS];
/// A register tile.
pub(super) type Tile = [[f32x8; VECTORS]; ROWS];

/// The vectors of a panel's row.
#[inline(always)]
pub(super) fn load(panel: &Panel) -> [f32x8; VECTORS] {
    std::array::from_fn(|i| lanes(&panel[i * LANES..]))
}

/// The first vector of `values`; zeros if there are too few.
#[inline(always)]
pub(super) fn lanes(values: &[f32]) -> f32x8 {
    values.first_chunk::<LANES>().map_or(f32x8::ZERO, |values| f32x8::new(*values))
}

/// Writes the vectors of a tile's row.
#[inline(always)]
pub(super) fn store(row: &[f32x8; VECTORS], panel: &mut Panel) {
    for (values, vector) in panel.chunks_exact_mut(LANES).zip(row) {
        values.copy_from_slice(vector.as_array());
    }
}

/// `tile + left · right`, summed over the shared side in order.
#[inline(always)]
pub(super) fn product(left: &[Block], right: &[Panel], mut tile: Tile) -> Tile {
    for (left, right) in left.iter().zip(right) {
        let right = load(right);
        for (row, value) in tile.iter_mut().zip(left) {
            let value = f32x8::splat(*value);
            for (sum, right) in row.iter_mut().zip(right) {
                *sum = right.mul_add(value, *sum);
            }
        }
    }
    tile
}
