//! Which characters become entries.

use std::collections::HashMap;

/// The characters of a model, most frequent first.
pub(super) struct Alphabet {
    pub(super) characters: Vec<char>,
    /// Share of the characters of all words that the alphabet covers.
    pub(super) covered: f64,
}

impl Alphabet {
    /// Takes characters by falling frequency (of equally frequent ones the higher code point first) until they cover
    /// `coverage` of all `total` characters, white space included; a coverage of 1 takes all. The rule is that of
    /// YouTokenToMe: the rarest are dropped as long as what stays is more than the coverage.
    pub(super) fn new(counts: &HashMap<char, u64>, total: u64, coverage: f64) -> Self {
        let mut rising: Vec<(u64, char)> =
            counts.iter().map(|(&character, &count)| (count, character)).collect();
        rising.sort_unstable();
        let enough = total as f64 * coverage;
        let (mut left, mut dropped) = (total, 0);
        while let Some((count, _)) = rising.get(dropped)
            && (left - count) as f64 > enough
        {
            left -= count;
            dropped += 1;
        }
        let all: u64 = counts.values().sum();
        Self {
            characters: rising[dropped..].iter().rev().map(|&(_, character)| character).collect(),
            covered: (all - (total - left)) as f64 / all.max(1) as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_characters_are_dropped_while_the_rest_covers_enough() {
        let counts = HashMap::from([('a', 50), ('b', 30), ('c', 10), ('d', 5), ('e', 5)]);
        let of = |coverage| Alphabet::new(&counts, 120, coverage);
        assert_eq!(of(1.0).characters, ['a', 'b', 'c', 'e', 'd']);
        assert_eq!(of(1.0).covered, 1.0);
        // 115 of 120 are more than 0.95, 110 are not.
        assert_eq!(of(0.95).characters, ['a', 'b', 'c', 'e']);
        assert_eq!(of(0.95).covered, 0.95);
        assert_eq!(of(0.5).characters, ['a']);
    }
}
