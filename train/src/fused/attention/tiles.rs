//! A sparse causal mask cut into tiles: sixteen queries each, with the keys that any of them may see.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::gpt::{FORBIDDEN, MaskKind, Segments};

/// Queries per tile: two vectors. A row of the usual grid of 16.
pub(super) const QUERIES: usize = 16;

/// Up to [`QUERIES`] queries and every key that one of them sees.
#[derive(Debug)]
pub(super) struct Tile {
    pub(super) queries: Vec<usize>,
    pub(super) keys: Vec<usize>,
    /// `[keys, QUERIES]`: 0 where the query sees the key or does not exist, else [`FORBIDDEN`].
    pub(super) bias: Vec<f32>,
}

/// The tiles of one mask, made for each sequence length when it first comes up.
#[derive(Clone, Debug)]
pub(crate) struct Tiles {
    kind: MaskKind,
    segments: Segments,
    made: Arc<Mutex<BTreeMap<usize, Arc<[Tile]>>>>,
}

impl Tiles {
    /// The tiles of a mask kind, from its closed form.
    pub(crate) fn new(kind: MaskKind, segments: Segments) -> Self {
        Self { kind, segments, made: Arc::default() }
    }

    /// Longest sequence they cover.
    pub(crate) fn len(&self) -> usize {
        self.segments.total()
    }

    /// Tiles of the first `positions` positions; each position is a query of exactly one.
    pub(super) fn of(&self, positions: usize) -> Arc<[Tile]> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.entry(positions).or_insert_with(|| self.cut(positions)).clone()
    }

    fn cut(&self, positions: usize) -> Arc<[Tile]> {
        let image = self.segments.image_range();
        let image = image.start.min(positions)..image.end.min(positions);
        let mut grid: Vec<usize> = image.clone().collect();
        if self.kind == MaskKind::Col {
            // Queries of one column share their keys.
            grid.sort_by_key(|position| (position - image.start) % self.segments.grid);
        }
        let (left, right) = ((0..image.start).collect::<Vec<_>>(), (image.end..positions).collect());
        let parts: [Vec<usize>; 3] = [left, grid, right];
        let queries = parts.iter().flat_map(|part| part.chunks(QUERIES));
        queries.map(|queries| self.tile(queries, positions)).collect()
    }

    fn tile(&self, queries: &[usize], positions: usize) -> Tile {
        let causal = self.kind != MaskKind::All;
        let last = if causal { queries.iter().max().copied().unwrap_or(0) } else { positions - 1 };
        let sees = |query: &usize, key: usize| self.kind.allows(&self.segments, *query, key);
        let keys: Vec<usize> =
            (0..=last).filter(|key| queries.iter().any(|query| sees(query, *key))).collect();
        let of = |key: &usize| {
            let key = *key;
            let bias = move |query: Option<&usize>| query.is_none_or(|query| sees(query, key));
            (0..QUERIES).map(move |i| if bias(queries.get(i)) { 0.0 } else { FORBIDDEN })
        };
        let bias = keys.iter().flat_map(of).collect();
        Tile { queries: queries.to_vec(), keys, bias }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_hold_every_allowed_pair_once_and_no_other() {
        let segments = Segments { left: 5, grid: 5, right: 3 };
        let conv = MaskKind::Conv { kernel: 3, wrap: false };
        for kind in [MaskKind::Full, MaskKind::All, MaskKind::Row, MaskKind::Col, conv] {
            for positions in [1, 5, 17, 30, 33] {
                let tiles = Tiles::new(kind, segments);
                let mut pairs = Vec::new();
                for tile in tiles.of(positions).iter() {
                    for (key, bias) in tile.keys.iter().zip(tile.bias.chunks_exact(QUERIES)) {
                        let seen = tile.queries.iter().zip(bias).filter(|(_, bias)| **bias == 0.0);
                        pairs.extend(seen.map(|(query, _)| (*query, *key)));
                    }
                }
                pairs.sort_unstable();
                let all = (0..positions).flat_map(|query| (0..positions).map(move |key| (query, key)));
                let allowed: Vec<_> = all.filter(|(q, k)| kind.allows(&segments, *q, *k)).collect();
                assert_eq!(pairs, allowed, "{kind:?} {positions}");
            }
        }
    }

    #[test]
    fn a_column_shares_its_keys() {
        let tiles = Tiles::new(MaskKind::Col, Segments { left: 4, grid: 16, right: 0 });
        let keys: Vec<usize> = tiles.of(260).iter().skip(1).map(|tile| tile.keys.len()).collect();
        assert_eq!(keys, [20; 16]);
    }
}
