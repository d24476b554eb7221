//! Nearest-neighbour doubling of rows and columns, and its transpose.

use rayon::prelude::*;

/// Every row of `width` values becomes two rows of `2·width`.
pub(super) fn forward(x: &[f32], rows: usize, width: usize) -> Vec<f32> {
    let mut y = vec![0.0; rows * width * 4];
    if y.is_empty() {
        return y;
    }
    y.par_chunks_mut(4 * width).zip(x.par_chunks(width)).for_each(|(two, row)| {
        let (first, second) = two.split_at_mut(2 * width);
        for (pair, value) in first.chunks_exact_mut(2).zip(row) {
            pair.fill(*value);
        }
        second.copy_from_slice(first);
    });
    y
}

/// Sums the four gradients of every input value.
pub(super) fn backward(grad: &[f32], rows: usize, width: usize) -> Vec<f32> {
    let mut dx = vec![0.0; rows * width];
    if dx.is_empty() {
        return dx;
    }
    dx.par_chunks_mut(width).zip(grad.par_chunks(4 * width)).for_each(|(row, two)| {
        let (first, second) = two.split_at(2 * width);
        for ((value, a), b) in row.iter_mut().zip(first.chunks_exact(2)).zip(second.chunks_exact(2)) {
            *value = a[0] + a[1] + b[0] + b[1];
        }
    });
    dx
}
