//! Attention of a few new positions over the cached keys that their mask allows.
//!
//! Keys and values lie where the cache keeps them, `[b, heads, capacity, head]`; nothing of them is copied, and a
//! forbidden key costs nothing.

use rayon::prelude::*;
use tokenize::simd::exp;
use wide::f32x8;

use super::product::LANES;
use crate::gpt::{MaskKind, Segments};

/// Which positions a query sees.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight {
    /// What image positions see.
    pub(crate) kind: MaskKind,
    /// Where the image lies.
    pub(crate) segments: Segments,
}

impl Sight {
    /// The positions that `query` sees, ascending.
    fn keys(&self, query: usize) -> Vec<usize> {
        let image = self.segments.image_range();
        let from = if image.contains(&query) { image.start } else { query + 1 };
        let sees = |key: &usize| self.kind.allows(&self.segments, query, *key);
        (0..from).chain((from..=query).filter(sees)).collect()
    }
}

/// Sizes of one call.
#[derive(Clone, Copy, Debug)]
pub(in crate::fused) struct Sizes {
    /// New positions of each sequence.
    pub(in crate::fused) new: usize,
    pub(in crate::fused) heads: usize,
    /// Width of one head.
    pub(in crate::fused) head: usize,
    /// Positions that the cache has room for.
    pub(in crate::fused) capacity: usize,
    /// Positions before the new ones.
    pub(in crate::fused) start: usize,
}

/// The queries of `qkv` `[b, new, 3d]` over `keys` and `values` `[b, heads, capacity, head]`, which hold the new positions
/// already → `[b, new, d]`.
pub(in crate::fused) fn forward(
    sizes: &Sizes,
    qkv: &[f32],
    keys: &[f32],
    values: &[f32],
    sight: &Sight,
) -> Vec<f32> {
    let width = sizes.heads * sizes.head;
    let seen = (sizes.start..sizes.start + sizes.new).map(|query| sight.keys(query)).collect::<Vec<_>>();
    let mut out = vec![0.0; qkv.len() / 3];
    let one = |(row, out): (usize, &mut [f32])| {
        let (sequence, seen) = (row / sizes.new, &seen[row % sizes.new]);
        let mut scores = Vec::with_capacity(seen.len());
        for (head, out) in out.chunks_exact_mut(sizes.head).enumerate() {
            let query = &qkv[row * 3 * width + head * sizes.head..][..sizes.head];
            let at = (sequence * sizes.heads + head) * sizes.capacity * sizes.head;
            let part = at..at + sizes.capacity * sizes.head;
            attend(query, &keys[part.clone()], &values[part], seen, &mut scores, out);
        }
    };
    if out.len() == width {
        one((0, out.as_mut_slice()));
    } else {
        out.par_chunks_mut(width).enumerate().for_each(one);
    }
    out
}

/// One query of one head: `out` is the mean of the seen values, weighted by the softmax of their scores.
fn attend(q: &[f32], keys: &[f32], values: &[f32], seen: &[usize], scores: &mut Vec<f32>, out: &mut [f32]) {
    let (head, scale) = (q.len(), 1.0 / (q.len() as f32).sqrt());
    scores.clear();
    scores.extend(seen.iter().map(|key| dot(q, &keys[key * head..][..head]) * scale));
    let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0.0;
    for score in scores.iter_mut() {
        *score = exp(*score - top);
        total += *score;
    }
    for (key, score) in seen.iter().zip(scores.iter()) {
        let share = score / total;
        for (to, value) in out.iter_mut().zip(&values[key * head..][..head]) {
            *to += share * value;
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let vectors =
        a.iter().zip(b).fold(f32x8::ZERO, |sum, (a, b)| f32x8::new(*a).mul_add(f32x8::new(*b), sum));
    vectors.reduce_add() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_sees_what_its_mask_allows() {
        let segments = Segments { left: 5, grid: 5, right: 3 };
        let conv = MaskKind::Conv { kernel: 3, wrap: true };
        for kind in [MaskKind::Full, MaskKind::Row, MaskKind::Col, conv] {
            for query in 0..segments.total() {
                let allowed = (0..=query).filter(|key| kind.allows(&segments, query, *key));
                assert_eq!(
                    Sight { kind, segments }.keys(query),
                    allowed.collect::<Vec<_>>(),
                    "{kind:?} {query}"
                );
            }
        }
    }
}
