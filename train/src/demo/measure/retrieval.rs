//! Does a drawing look like its picture? The rank of the right training picture among all of them, by pixel distance.

use pipeline::picture::Picture;
use rayon::prelude::*;
use serde::Serialize;

/// Ranks of the right pictures and what follows from them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(in super::super) struct Retrieval {
    /// Drawings.
    pub(in super::super) drawings: usize,
    /// Pictures to choose from.
    pub(in super::super) pictures: usize,
    /// Share of drawings whose nearest picture is the right one.
    pub(in super::super) top_1: f64,
    /// Share with the right one among the five nearest.
    pub(in super::super) top_5: f64,
    /// Half of the right pictures are at least this near; 1 is the nearest.
    pub(in super::super) median_rank: usize,
    /// `top_1` of guessing.
    pub(in super::super) chance: f64,
    /// Rank of the right picture for each drawing; 1 is the nearest.
    pub(in super::super) ranks: Vec<usize>,
    /// The nearest picture of each drawing.
    #[serde(skip)]
    pub(in super::super) nearest: Vec<usize>,
}

impl Retrieval {
    /// `asked`: drawings with the index of the right picture in `pictures`, all of one size.
    ///
    /// A picture's rank is one more than the number of pictures that are strictly nearer, so copies of the right
    /// picture count as right.
    pub(super) fn measure(asked: &[(&Picture, usize)], pictures: &[&Picture]) -> Self {
        let found: Vec<(usize, usize)> =
            asked.par_iter().map(|(drawing, right)| rank(drawing, *right, pictures)).collect();
        let (ranks, nearest): (Vec<usize>, Vec<usize>) = found.into_iter().unzip();
        let share = |most: usize| {
            ranks.iter().filter(|rank| **rank <= most).count() as f64 / ranks.len().max(1) as f64
        };
        let mut sorted = ranks.clone();
        sorted.sort_unstable();
        Self {
            drawings: ranks.len(),
            pictures: pictures.len(),
            top_1: share(1),
            top_5: share(5),
            median_rank: sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0),
            chance: 1.0 / pictures.len().max(1) as f64,
            ranks,
            nearest,
        }
    }

    /// Drawings whose nearest picture is the right one.
    pub(in super::super) fn right(&self) -> usize {
        self.ranks.iter().filter(|rank| **rank == 1).count()
    }
}

/// Rank of the right picture, and the nearest one (the right one where it shares the first place).
fn rank(drawing: &Picture, right: usize, pictures: &[&Picture]) -> (usize, usize) {
    let distances: Vec<u64> = pictures.iter().map(|picture| distance(drawing, picture)).collect();
    let own = distances[right];
    let nearer = distances.iter().filter(|distance| **distance < own).count();
    let nearest =
        distances.iter().enumerate().min_by_key(|(_, distance)| **distance).map_or(right, |(index, _)| index);
    (nearer + 1, if nearer == 0 { right } else { nearest })
}

/// Sum of squared differences.
fn distance(a: &Picture, b: &Picture) -> u64 {
    a.pixels().iter().zip(b.pixels()).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_count_strictly_nearer_pictures() {
        let greys =
            |greys: &[u8]| greys.iter().map(|grey| Picture::filled(2, 2, [*grey; 3])).collect::<Vec<_>>();
        // The third picture is a copy of the second.
        let pictures = greys(&[0, 100, 100, 200]);
        let pictures: Vec<&Picture> = pictures.iter().collect();
        let drawings = greys(&[90, 110, 10, 250]);
        let asked: Vec<_> = drawings.iter().zip([1, 2, 3, 0]).collect();
        let found = Retrieval::measure(&asked, &pictures);
        assert_eq!(found.ranks, [1, 1, 4, 4]);
        assert_eq!(found.nearest, [1, 2, 0, 3]);
        assert_eq!((found.top_1, found.top_5, found.median_rank, found.chance), (0.5, 1.0, 1, 0.25));
        assert_eq!(found.right(), 2);
    }

    #[test]
    fn nothing_asked_is_no_division_by_zero() {
        let found = Retrieval::measure(&[], &[]);
        assert_eq!((found.top_1, found.median_rank, found.chance), (0.0, 0, 1.0));
    }
}
