//! Causal attention over the few keys that a sparse mask allows, forward and backward.
//!
//! Sixteen queries at a time meet the keys that any of them may see, as small dense products in registers; nothing of
//! size t×t exists. Scores lie key by key, `[keys, 16]`, so the softmax over keys runs down whole vectors. The backward
//! pass computes them again.

pub(super) mod cached;
mod product;
mod tiles;

use rayon::prelude::*;
use tokenize::simd::exp;

pub(crate) use cached::Sight;
use product::{LANES, columns, rows};
pub(crate) use tiles::Tiles;
use tiles::{QUERIES, Tile};

/// Sizes of one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) positions: usize,
    pub(super) heads: usize,
    /// Width of q, of k and of v.
    pub(super) width: usize,
}

/// Which third of a row of `qkv`.
#[derive(Clone, Copy)]
enum Part {
    Query,
    Key,
    Value,
}

impl Shape {
    fn head(&self) -> usize {
        self.width / self.heads
    }

    /// Width of one head, filled up to whole vectors.
    fn padded(&self) -> usize {
        self.head().next_multiple_of(LANES)
    }

    fn scale(&self) -> f32 {
        1.0 / (self.head() as f32).sqrt()
    }

    /// Where a head's part of a position begins in `qkv`.
    fn at(&self, position: usize, part: Part, head: usize) -> usize {
        (position * 3 + part as usize) * self.width + head * self.head()
    }
}

/// Buffers of one tile, kept from tile to tile.
#[derive(Default)]
struct Scratch {
    /// `[QUERIES, padded]`
    q: Vec<f32>,
    grad: Vec<f32>,
    /// `[keys, padded]`
    k: Vec<f32>,
    v: Vec<f32>,
    /// `[padded, QUERIES]`: the queries, scaled, or their gradients.
    turned: Vec<f32>,
    /// `[keys, QUERIES]`
    p: Vec<f32>,
    ds: Vec<f32>,
    /// `[QUERIES, padded]` or `[keys, padded]`
    out: Vec<f32>,
}

/// Rows of one head from where they begin, one behind the other, filled up to whole vectors.
fn gather(shape: &Shape, starts: impl Iterator<Item = usize>, from: &[f32], to: &mut Vec<f32>) {
    to.clear();
    for at in starts {
        to.extend_from_slice(&from[at..at + shape.head()]);
        to.resize(to.len() + shape.padded() - shape.head(), 0.0);
    }
}

/// `[QUERIES, padded]` → `[padded, QUERIES]`, times `factor`.
fn turn(shape: &Shape, from: &[f32], factor: f32, to: &mut Vec<f32>) {
    to.clear();
    to.resize(shape.padded() * QUERIES, 0.0);
    for (query, row) in from.chunks_exact(shape.padded()).enumerate() {
        for (to, value) in to[query..].iter_mut().step_by(QUERIES).zip(row) {
            *to = value * factor;
        }
    }
}

impl Scratch {
    /// Reads a tile's queries, keys and values, and computes the probabilities.
    fn attend(&mut self, shape: &Shape, tile: &Tile, qkv: &[f32], head: usize) {
        let at = |part| move |position: &usize| shape.at(*position, part, head);
        gather(shape, tile.queries.iter().map(at(Part::Query)), qkv, &mut self.q);
        self.q.resize(QUERIES * shape.padded(), 0.0);
        gather(shape, tile.keys.iter().map(at(Part::Key)), qkv, &mut self.k);
        gather(shape, tile.keys.iter().map(at(Part::Value)), qkv, &mut self.v);
        turn(shape, &self.q, shape.scale(), &mut self.turned);
        self.p.resize(tile.keys.len() * QUERIES, 0.0);
        rows(&self.k, shape.padded(), &self.turned, QUERIES, &mut self.p);
        softmax(&mut self.p, &tile.bias);
    }

    /// Makes room for a product of `rows` rows.
    fn room(&mut self, shape: &Shape, rows: usize) {
        self.out.resize(rows * shape.padded(), 0.0);
    }
}

/// Softmax down the columns of `[keys, QUERIES]` scores plus their bias.
fn softmax(scores: &mut [f32], bias: &[f32]) {
    let (scores, _) = scores.as_chunks_mut::<QUERIES>();
    let (bias, _) = bias.as_chunks::<QUERIES>();
    let mut top = [f32::NEG_INFINITY; QUERIES];
    for (scores, bias) in scores.iter_mut().zip(bias) {
        for ((score, bias), top) in scores.iter_mut().zip(bias).zip(&mut top) {
            *score += bias;
            *top = if *score > *top { *score } else { *top };
        }
    }
    let mut total = [0.0; QUERIES];
    for scores in scores.iter_mut() {
        for ((score, top), total) in scores.iter_mut().zip(&top).zip(&mut total) {
            *score = exp(*score - top);
            *total += *score;
        }
    }
    let total = total.map(|total| 1.0 / total);
    for scores in scores.iter_mut() {
        for (score, total) in scores.iter_mut().zip(&total) {
            *score *= total;
        }
    }
}

/// `[b, t, 3d]` → `[b, t, d]`
pub(super) fn forward(shape: &Shape, qkv: &[f32], tiles: &Tiles) -> Vec<f32> {
    let (t, width, d) = (shape.positions, shape.width, shape.head());
    let tiles = tiles.of(t);
    let mut out = vec![0.0; qkv.len() / 3];
    out.par_chunks_mut(t * width).zip(qkv.par_chunks(3 * t * width)).for_each(|(out, qkv)| {
        let mut s = Scratch::default();
        for (head, tile) in (0..shape.heads).flat_map(|head| tiles.iter().map(move |tile| (head, tile))) {
            s.attend(shape, tile, qkv, head);
            s.room(shape, QUERIES);
            columns(&s.p, QUERIES, &s.v, shape.padded(), &mut s.out);
            for (query, row) in tile.queries.iter().zip(s.out.chunks_exact(shape.padded())) {
                out[query * width + head * d..][..d].copy_from_slice(&row[..d]);
            }
        }
    });
    out
}

/// Gradient of `qkv`.
pub(super) fn backward(shape: &Shape, grad: &[f32], qkv: &[f32], tiles: &Tiles) -> Vec<f32> {
    let (t, width) = (shape.positions, shape.width);
    let tiles = tiles.of(t);
    let mut dqkv = vec![0.0; qkv.len()];
    dqkv.par_chunks_mut(3 * t * width)
        .zip(qkv.par_chunks(3 * t * width).zip(grad.par_chunks(t * width)))
        .for_each(|(dqkv, (qkv, grad))| {
            let mut s = Scratch::default();
            for (head, tile) in (0..shape.heads).flat_map(|head| tiles.iter().map(move |tile| (head, tile))) {
                backward_tile(shape, tile, head, (qkv, grad), &mut s, dqkv);
            }
        });
    dqkv
}

/// One tile of one head: probabilities `p`, then `ds = p·(dp − Σ p·dp)` with `dp = grad·v`.
fn backward_tile(
    shape: &Shape,
    tile: &Tile,
    head: usize,
    (qkv, grad): (&[f32], &[f32]),
    s: &mut Scratch,
    dqkv: &mut [f32],
) {
    let (keys, padded) = (tile.keys.len(), shape.padded());
    s.attend(shape, tile, qkv, head);
    let starts = tile.queries.iter().map(|query| query * shape.width + head * shape.head());
    gather(shape, starts, grad, &mut s.grad);
    s.grad.resize(QUERIES * padded, 0.0);
    turn(shape, &s.grad, 1.0, &mut s.turned);
    s.ds.resize(keys * QUERIES, 0.0);
    rows(&s.v, padded, &s.turned, QUERIES, &mut s.ds);
    score_gradient(&s.p, &mut s.ds, shape.scale());
    s.room(shape, QUERIES);
    columns(&s.ds, QUERIES, &s.k, padded, &mut s.out);
    add(shape, &tile.queries, Part::Query, head, &s.out, dqkv);
    s.room(shape, keys);
    rows(&s.ds, QUERIES, &s.q, padded, &mut s.out);
    add(shape, &tile.keys, Part::Key, head, &s.out, dqkv);
    rows(&s.p, QUERIES, &s.grad, padded, &mut s.out);
    add(shape, &tile.keys, Part::Value, head, &s.out, dqkv);
}

/// `dp` → `p·(dp − Σ p·dp)·scale`, both `[keys, QUERIES]`.
fn score_gradient(p: &[f32], dp: &mut [f32], scale: f32) {
    let (p, _) = p.as_chunks::<QUERIES>();
    let (dp, _) = dp.as_chunks_mut::<QUERIES>();
    let mut mean = [0.0; QUERIES];
    for (p, dp) in p.iter().zip(dp.iter()) {
        for ((mean, p), dp) in mean.iter_mut().zip(p).zip(dp) {
            *mean += p * dp;
        }
    }
    for (p, dp) in p.iter().zip(dp.iter_mut()) {
        for ((dp, p), mean) in dp.iter_mut().zip(p).zip(&mean) {
            *dp = p * (*dp - mean) * scale;
        }
    }
}

/// Adds rows of one head to where they belong in the gradient of `qkv`.
fn add(shape: &Shape, positions: &[usize], part: Part, head: usize, rows: &[f32], dqkv: &mut [f32]) {
    for (position, row) in positions.iter().zip(rows.chunks_exact(shape.padded())) {
        let to = &mut dqkv[shape.at(*position, part, head)..][..shape.head()];
        to.iter_mut().zip(row).for_each(|(to, value)| *to += value);
    }
}
