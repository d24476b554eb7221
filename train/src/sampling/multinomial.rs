//! Random numbers that depend on nothing but the seed and the sample's index.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The draws of one sample. Neither the batch it is in nor its neighbours change them.
#[derive(Clone, Debug)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream of sample `index` under `seed`.
    pub fn new(seed: u64, index: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(index);
        Self(rng)
    }

    /// An index with the given probabilities, which sum to about 1; one of probability 0 is never drawn.
    pub fn draw(&mut self, probabilities: &[f64]) -> usize {
        // 53 random bits: uniform in 0..1.
        let uniform = (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let mut rest = uniform * probabilities.iter().sum::<f64>();
        for (index, probability) in probabilities.iter().enumerate() {
            if rest < *probability {
                return index;
            }
            rest -= probability;
        }
        // Rounding can leave a crumb behind the last one.
        probabilities.iter().rposition(|probability| *probability > 0.0).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_follow_the_probabilities() {
        let mut stream = Stream::new(1, 2);
        let mut counts = [0; 4];
        for _ in 0..20_000 {
            counts[stream.draw(&[0.5, 0.0, 0.3, 0.2])] += 1;
        }
        assert_eq!(counts[1], 0);
        for (count, expected) in counts.into_iter().zip([10_000.0, 0.0, 6_000.0, 4_000.0]) {
            assert!((f64::from(count) - expected).abs() < 300.0, "{counts:?}");
        }
    }

    #[test]
    fn a_stream_is_its_seed_and_index() {
        let draws = |seed, index| {
            let mut stream = Stream::new(seed, index);
            (0..32).map(|_| stream.draw(&[0.25; 4])).collect::<Vec<_>>()
        };
        assert_eq!(draws(1, 0), draws(1, 0));
        assert_ne!(draws(1, 0), draws(1, 1));
        assert_ne!(draws(1, 0), draws(2, 0));
    }
}
