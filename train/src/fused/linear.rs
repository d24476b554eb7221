//! What stands around the matrix products of a linear layer: the bias and its gradient.

use rayon::prelude::*;

/// Rows per task; fixed, so that sums over rows do not depend on the threads.
const ROWS: usize = 64;

/// Adds `bias` to every row.
pub(super) fn add_bias(y: &mut [f32], bias: &[f32]) {
    y.par_chunks_mut(ROWS * bias.len()).for_each(|rows| {
        for row in rows.chunks_exact_mut(bias.len()) {
            row.iter_mut().zip(bias).for_each(|(y, b)| *y += b);
        }
    });
}

/// Sums of columns.
pub(super) fn column_sums(grad: &[f32], width: usize) -> Vec<f32> {
    let parts: Vec<Vec<f32>> = grad
        .par_chunks(ROWS * width)
        .map(|rows| {
            let mut sums = vec![0.0; width];
            for row in rows.chunks_exact(width) {
                sums.iter_mut().zip(row).for_each(|(sum, g)| *sum += g);
            }
            sums
        })
        .collect();
    let mut sums = vec![0.0; width];
    for part in parts {
        sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    sums
}
