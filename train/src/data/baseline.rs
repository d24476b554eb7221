//! What guessing without a model costs.

use super::Tokens;

/// Mean loss in nats of guessing each held-out code by its frequency in the training images, add-one smoothed: what a
/// model reaches that has learned nothing but how common each code is.
#[must_use]
pub fn code_frequency_loss(train: &Tokens, held_out: &Tokens, codebook_size: usize) -> f64 {
    let mut counts = vec![1u64; codebook_size];
    for code in train.images().flatten() {
        counts[usize::from(*code)] += 1;
    }
    let total = counts.iter().sum::<u64>() as f64;
    let codes = held_out.images().flatten();
    let (sum, n) = codes
        .fold((0.0, 0u64), |(sum, n), code| (sum - (counts[usize::from(*code)] as f64 / total).ln(), n + 1));
    sum / n.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tokens::tests::{row, tokens};

    #[test]
    fn the_baseline_is_the_cross_entropy_of_smoothed_frequencies() {
        let train = tokens(vec![row("a", &[], 1), row("b", &[], 1), row("c", &[], 3)]);
        let held_out = tokens(vec![row("d", &[], 1), row("e", &[], 2)]);
        let expected = -((9.0f64 / 28.0).ln() + (1.0f64 / 28.0).ln()) / 2.0;
        assert!((code_frequency_loss(&train, &held_out, 16) - expected).abs() < 1e-12);
    }
}
