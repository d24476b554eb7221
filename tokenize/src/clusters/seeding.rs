//! k-means++ (Arthur and Vassilvitskii 2007): first centres that lie far apart.
//!
//! Distances between bytes are whole numbers, so the sums that the random number falls into are exact and do not depend
//! on the order of adding.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::palette::Counted;

/// Colours per piece of parallel work.
const CHUNK: usize = 4096;

/// `size` different colours, each drawn with a probability proportional to its pixels and to the square of its distance
/// from those before it. Fewer where there are no more.
pub(super) fn centres(colours: &[Counted], size: usize, seed: u64) -> Vec<[u8; 3]> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut distances = vec![1u32; colours.len()];
    let mut chosen: Vec<[u8; 3]> = Vec::with_capacity(size);
    while chosen.len() < size {
        let sums = sums(colours, &mut distances, chosen.last().copied());
        let total: u64 = sums.iter().sum();
        if total == 0 {
            break;
        }
        chosen.push(draw(colours, &distances, &sums, random.random_range(0..total)));
        if chosen.len() == 1 {
            distances.fill(u32::MAX);
        }
    }
    chosen
}

/// Weights of the chunks, once every colour knows how far the newest centre is.
fn sums(colours: &[Counted], distances: &mut [u32], newest: Option<[u8; 3]>) -> Vec<u64> {
    let chunks = colours.par_chunks(CHUNK).zip(distances.par_chunks_mut(CHUNK));
    chunks
        .map(|(colours, distances)| {
            let colours = colours.iter().zip(distances);
            colours
                .map(|(colour, distance)| {
                    if let Some(centre) = newest {
                        *distance = squared(colour.pixel, centre).min(*distance);
                    }
                    colour.count * u64::from(*distance)
                })
                .sum()
        })
        .collect()
}

/// The colour in whose share of the weights `at` falls.
fn draw(colours: &[Counted], distances: &[u32], sums: &[u64], mut at: u64) -> [u8; 3] {
    let mut chunk = 0;
    while chunk + 1 < sums.len() && at >= sums[chunk] {
        at -= sums[chunk];
        chunk += 1;
    }
    let from = chunk * CHUNK;
    let weights = colours[from..].iter().zip(&distances[from..]);
    for (colour, distance) in weights {
        let weight = colour.count * u64::from(*distance);
        if at < weight {
            return colour.pixel;
        }
        at -= weight;
    }
    colours[from].pixel
}

fn squared(a: [u8; 3], b: [u8; 3]) -> u32 {
    a.iter().zip(&b).map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(pixels: &[([u8; 3], u64)]) -> Vec<Counted> {
        pixels.iter().map(|&(pixel, count)| Counted { pixel, count }).collect()
    }

    #[test]
    fn all_colours_are_taken_before_one_is_taken_twice() {
        let colours = counted(&[([0; 3], 1_000_000), ([0, 0, 1], 1), ([200; 3], 3), ([255; 3], 1)]);
        for seed in 0..20 {
            let mut chosen = centres(&colours, 9, seed);
            chosen.sort_unstable();
            assert_eq!(chosen, [[0; 3], [0, 0, 1], [200; 3], [255; 3]], "seed {seed}");
        }
    }

    #[test]
    fn the_share_of_a_colour_is_its_pixels_times_its_squared_distance() {
        // From black, the two others weigh 3 · 100² and 1 · 200²: the second is drawn 4 times in 7.
        let colours = counted(&[([0; 3], 1_000_000_000), ([100, 0, 0], 3), ([200, 0, 0], 1)]);
        let far = (0..2000).filter(|seed| centres(&colours, 2, *seed)[1] == [200, 0, 0]).count();
        assert!((1080..1210).contains(&far), "{far} of 2000, expected about 1143");
    }

    #[test]
    fn the_last_piece_of_the_last_chunk_can_be_drawn() {
        let colours: Vec<Counted> = (0..10_000u32)
            .map(|i| Counted { pixel: [i.to_le_bytes()[0], i.to_le_bytes()[1], 0], count: 1 })
            .collect();
        let distances = vec![1; colours.len()];
        let sums = vec![4096, 4096, 1808];
        assert_eq!(draw(&colours, &distances, &sums, 9_999), colours[9_999].pixel);
        assert_eq!(draw(&colours, &distances, &sums, 4_096), colours[4_096].pixel);
        assert_eq!(draw(&colours, &distances, &sums, 0), colours[0].pixel);
    }
}
