//! The nearest codebook row of every latent vector, without a table of all distances.

use rayon::prelude::*;
use wide::f32x8;

use super::product::{Block, COLUMNS, Panel, ROWS, VECTORS, product, store};
use crate::simd::sum;

/// Panels of positions that a codebook row is held against while it is in the first-level cache.
const PANELS: usize = 4;

/// Sizes of one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Values of a latent vector and of a codebook row.
    pub(super) channels: usize,
    /// Positions of a picture.
    pub(super) area: usize,
}

/// Latents `[b, c, area]` and codebook `[n, c]` → `[b, area]`: the row of the least |e|² − 2·z·e, the first of equals.
pub(super) fn nearest(shape: &Shape, z: &[f32], codebook: &[f32]) -> Vec<i64> {
    let Shape { channels, area } = *shape;
    let blocks = (codebook.len() / channels).div_ceil(ROWS);
    let mut packed = vec![[0.0; ROWS]; blocks * channels];
    let mut norms = vec![[f32::INFINITY; ROWS]; blocks];
    for (entry, row) in codebook.chunks_exact(channels).enumerate() {
        norms[entry / ROWS][entry % ROWS] = sum(row, |v| v * v);
        for (block, value) in packed[entry / ROWS * channels..].iter_mut().zip(row) {
            block[entry % ROWS] = *value;
        }
    }
    let mut codes = vec![0; z.len() / channels];
    codes.par_chunks_mut(area).zip(z.par_chunks(channels * area)).for_each(|(codes, z)| {
        codes.par_chunks_mut(PANELS * COLUMNS).enumerate().for_each(|(part, codes)| {
            let first = part * PANELS * COLUMNS;
            let panels = gather(shape, z, first, codes.len());
            for (codes, panel) in codes.chunks_mut(COLUMNS).zip(search(&panels, &packed, &norms, channels)) {
                codes.copy_from_slice(&panel[..codes.len()]);
            }
        });
    });
    codes
}

/// `count` positions from `first` on as panels over the channels.
fn gather(shape: &Shape, z: &[f32], first: usize, count: usize) -> Vec<Vec<Panel>> {
    let starts = (0..count).step_by(COLUMNS);
    let panel = |start: usize| {
        let n = COLUMNS.min(count - start);
        let mut panel = vec![[0.0; COLUMNS]; shape.channels];
        for (to, from) in panel.iter_mut().zip(z.chunks_exact(shape.area)) {
            to[..n].copy_from_slice(&from[first + start..][..n]);
        }
        panel
    };
    starts.map(panel).collect()
}

/// The nearest row for each column of each panel.
fn search(panels: &[Vec<Panel>], packed: &[Block], norms: &[Block], channels: usize) -> Vec<[i64; COLUMNS]> {
    let mut best = vec![([f32::INFINITY; COLUMNS], [0i32; COLUMNS]); panels.len()];
    for ((left, norms), first) in packed.chunks_exact(channels).zip(norms).zip((0..).step_by(ROWS)) {
        for (right, (least, at)) in panels.iter().zip(&mut best) {
            let tile = product(left, right, [[f32x8::ZERO; VECTORS]; ROWS]);
            for ((row, norm), entry) in tile.iter().zip(norms).zip(first..) {
                let mut products = [0.0; COLUMNS];
                store(row, &mut products);
                for ((least, at), product) in least.iter_mut().zip(at.iter_mut()).zip(products) {
                    let distance = norm - 2.0 * product;
                    let nearer = distance < *least;
                    *at = if nearer { entry } else { *at };
                    *least = if nearer { distance } else { *least };
                }
            }
        }
    }
    best.into_iter().map(|(_, at)| at.map(i64::from)).collect()
}
