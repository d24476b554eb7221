//! Causal attention over the few keys that a sparse mask allows, forward and backward.
//!
//! A mask row is a short list of key ranges: left text, the own row or column or square, right text.
//! Scores of one query live in a buffer of that many numbers; nothing of size t×t exists. The
//! backward pass computes them again.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;
use tokenize::simd::{add_scaled, dot, exp, max, sum};

use crate::gpt::{MaskKind, Segments};

/// For every query position of a sequence, the ranges of keys it may attend to.
#[derive(Clone, Debug)]
pub(crate) struct KeyRanges {
    ranges: Arc<[Vec<Range<usize>>]>,
}

impl KeyRanges {
    /// Ranges of a mask kind, from its closed form.
    pub(crate) fn new(kind: MaskKind, segments: &Segments) -> Self {
        let of = |query: usize| {
            let mut ranges: Vec<Range<usize>> = Vec::new();
            for key in (0..=query).filter(|key| kind.allows(segments, query, *key)) {
                match ranges.last_mut() {
                    Some(last) if last.end == key => last.end += 1,
                    _ => ranges.push(key..key + 1),
                }
            }
            ranges
        };
        Self { ranges: (0..segments.total()).map(of).collect() }
    }

    /// Longest sequence they cover.
    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }
}

/// Sizes of one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) positions: usize,
    pub(super) heads: usize,
    /// Width of q, of k and of v.
    pub(super) width: usize,
}

impl Shape {
    fn head(&self) -> usize {
        self.width / self.heads
    }

    fn scale(&self) -> f32 {
        1.0 / (self.head() as f32).sqrt()
    }
}

/// One head's q, k and v, each `[positions, head]` without gaps.
struct Head {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
}

impl Head {
    fn cut(shape: &Shape, qkv: &[f32], head: usize) -> Self {
        let cut = |part: usize| {
            let from = part * shape.width + head * shape.head();
            let rows = qkv.chunks_exact(3 * shape.width);
            rows.flat_map(|row| &row[from..from + shape.head()]).copied().collect()
        };
        Self { q: cut(0), k: cut(1), v: cut(2) }
    }
}

/// Softmax of one query's scores over its ranges, in the order of the keys.
fn probabilities(shape: &Shape, q: &[f32], k: &[f32], ranges: &[Range<usize>], out: &mut Vec<f32>) {
    let (d, scale) = (shape.head(), shape.scale());
    out.clear();
    for range in ranges {
        let keys = k[range.start * d..range.end * d].chunks_exact(d);
        out.extend(keys.map(|k| dot(q, k) * scale));
    }
    let top = max(out);
    for p in out.iter_mut() {
        *p = exp(*p - top);
    }
    let total = 1.0 / sum(out, |p| p);
    for p in out.iter_mut() {
        *p *= total;
    }
}

/// `[b, t, 3d]` → `[b, t, d]`
pub(super) fn forward(shape: &Shape, qkv: &[f32], ranges: &KeyRanges) -> Vec<f32> {
    let (t, width, d) = (shape.positions, shape.width, shape.head());
    let mut out = vec![0.0; qkv.len() / 3];
    out.par_chunks_mut(t * width).zip(qkv.par_chunks(3 * t * width)).for_each(|(out, qkv)| {
        let mut p = Vec::new();
        for head in 0..shape.heads {
            let Head { q, k, v } = Head::cut(shape, qkv, head);
            for query in 0..t {
                let ranges = &ranges.ranges[query];
                probabilities(shape, &q[query * d..][..d], &k, ranges, &mut p);
                let out = &mut out[query * width + head * d..][..d];
                for (key, &p) in ranges.iter().cloned().flatten().zip(&p) {
                    add_scaled(out, p, &v[key * d..][..d]);
                }
            }
        }
    });
    out
}

/// Gradient of `qkv`.
pub(super) fn backward(shape: &Shape, grad: &[f32], qkv: &[f32], ranges: &KeyRanges) -> Vec<f32> {
    let (t, width) = (shape.positions, shape.width);
    let mut dqkv = vec![0.0; qkv.len()];
    dqkv.par_chunks_mut(3 * t * width)
        .zip(qkv.par_chunks(3 * t * width).zip(grad.par_chunks(t * width)))
        .for_each(|(dqkv, (qkv, grad))| {
            for head in 0..shape.heads {
                backward_head(shape, head, (qkv, grad), ranges, dqkv);
            }
        });
    dqkv
}

/// One head of one sequence: probabilities `p`, then `ds = p·(dp − Σ p·dp)` with `dp = grad·v`.
fn backward_head(
    shape: &Shape,
    head: usize,
    (qkv, grad): (&[f32], &[f32]),
    ranges: &KeyRanges,
    dqkv: &mut [f32],
) {
    let (t, width, d, scale) = (shape.positions, shape.width, shape.head(), shape.scale());
    let Head { q, k, v } = Head::cut(shape, qkv, head);
    let (mut dk, mut dv) = (vec![0.0f32; k.len()], vec![0.0f32; v.len()]);
    let (mut p, mut dp) = (Vec::new(), Vec::new());
    for query in 0..t {
        let ranges = &ranges.ranges[query];
        let (q, grad) = (&q[query * d..][..d], &grad[query * width + head * d..][..d]);
        probabilities(shape, q, &k, ranges, &mut p);
        dp.clear();
        dp.extend(ranges.iter().cloned().flatten().map(|key| dot(grad, &v[key * d..][..d])));
        let mean: f32 = dot(&p, &dp);
        let dq = &mut dqkv[query * 3 * width + head * d..][..d];
        for ((key, &p), &dp) in ranges.iter().cloned().flatten().zip(&p).zip(&dp) {
            let ds = p * (dp - mean) * scale;
            add_scaled(dq, ds, &k[key * d..][..d]);
            add_scaled(&mut dk[key * d..][..d], ds, q);
            add_scaled(&mut dv[key * d..][..d], p, grad);
        }
    }
    for (row, (dk, dv)) in dqkv.chunks_exact_mut(3 * width).zip(dk.chunks_exact(d).zip(dv.chunks_exact(d))) {
        row[width + head * d..][..d].copy_from_slice(dk);
        row[2 * width + head * d..][..d].copy_from_slice(dv);
    }
}
