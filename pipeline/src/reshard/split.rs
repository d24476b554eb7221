//! Which side of a split a value goes to: by a hash that anybody can repeat, so that the same value lies on the same side
//! today, next year, and in other people's data.
//!
//! The hash is SHA-256 of the seed in decimal, a colon, and the value as UTF-8; its first eight bytes, read as a
//! big-endian number, divide the values evenly. A value is on the first side whose share, added to those before it, lies
//! above that number. In Python:
//!
//! ```python
//! number = int.from_bytes(hashlib.sha256(f"{seed}:{value}".encode()).digest()[:8], "big")
//! side = "train" if number < 0.98 * 2**64 else "test"
//! ```
//!
//! Changing the shares moves no more values than it must.

use sha2::{Digest, Sha256};

use super::config::Share;

/// Divides values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Splitter {
    seed: String,
    /// The numbers below which the values of each side but the last one lie, ascending.
    limits: Vec<u64>,
}

impl Splitter {
    pub(super) fn new(seed: u64, sides: &[Share]) -> Self {
        let shares = sides.iter().take(sides.len().saturating_sub(1)).map(|side| side.share);
        let sums = shares.scan(0.0, |sum, share| {
            *sum += share;
            Some(*sum)
        });
        Self { seed: format!("{seed}:"), limits: sums.map(limit).collect() }
    }

    /// The number of the side that `value` is on.
    pub(super) fn side(&self, value: &str) -> u8 {
        let mut hash = Sha256::new();
        hash.update(self.seed.as_bytes());
        hash.update(value.as_bytes());
        let number = hash.finalize()[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let side = self.limits.partition_point(|limit| *limit <= number);
        u8::try_from(side).unwrap_or(u8::MAX)
    }
}

/// The whole number for which `number < limit` says the same as `number < share * 2^64`; the product is exact.
fn limit(share: f64) -> u64 {
    (share * 2.0_f64.powi(64)).ceil() as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sides(list: &[(&str, f64)]) -> Vec<Share> {
        list.iter().map(|(name, share)| Share { name: (*name).to_owned(), share: *share }).collect()
    }

    fn halves(seed: u64) -> Splitter {
        Splitter::new(seed, &sides(&[("a", 0.5), ("b", 0.5)]))
    }

    /// Computed by the Python above.
    #[test]
    fn the_hash_is_the_documented_one() {
        let side = |seed, values: [&str; 8]| values.map(|value| halves(seed).side(value));
        let values = ["000000000", "000000001", "http://h/1.jpg", "", "кот", "a", "b", "c"];
        assert_eq!(side(0, values), GOLDEN[0]);
        assert_eq!(side(1, values), GOLDEN[1]);
    }

    const GOLDEN: [[u8; 8]; 2] = [[1, 0, 0, 1, 0, 1, 1, 1], [0, 1, 0, 0, 1, 0, 0, 1]];

    #[test]
    fn limits_are_those_of_exact_arithmetic() {
        assert_eq!(limit(0.5), 1 << 63);
        assert_eq!(limit(0.98), 18_077_809_192_235_360_256);
        assert_eq!(limit(1.0 - f64::EPSILON / 2.0), u64::MAX - 2047);
        // Not a whole number: 1 < 1.8 and 2 is not.
        assert_eq!(limit(1e-19), 2);
    }

    #[test]
    fn shares_are_reached() {
        let splitter = Splitter::new(3, &sides(&[("train", 0.8), ("val", 0.15), ("test", 0.05)]));
        let mut rows = [0_i32; 3];
        for value in 0..20_000 {
            rows[usize::from(splitter.side(&value.to_string()))] += 1;
        }
        // Within five standard deviations.
        assert!((rows[0] - 16_000).abs() < 283 && (rows[2] - 1000).abs() < 155, "{rows:?}");
    }

    proptest! {
        #[test]
        fn a_larger_first_side_keeps_what_it_had(
            value in ".{0,20}", seed: u64, share in 0.01_f64..0.5, more in 0.01_f64..0.49,
        ) {
            let side = |share| Splitter::new(seed, &sides(&[("a", share), ("b", 1.0 - share)])).side(&value);
            prop_assert!(side(share) != 0 || side(share + more) == 0);
        }
    }
}
