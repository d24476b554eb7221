//! How many rows are scored together: as many as a quarter of the free memory holds.

use crate::gpt::GptConfig;
use crate::machine;

/// What is taken for free where the system does not say.
const UNKNOWN: u64 = 4 << 30;
/// More rows make nothing faster.
const MOST: usize = 64;

/// Rows that fit.
#[must_use]
pub fn fitting(config: &GptConfig) -> usize {
    rows_in(machine::free_memory().unwrap_or(UNKNOWN) / 4, config)
}

/// Rows that fit into so many bytes, at least one.
fn rows_in(bytes: u64, config: &GptConfig) -> usize {
    usize::try_from(bytes / row_bytes(config).max(1)).unwrap_or(MOST).clamp(1, MOST)
}

/// Bytes of one row at the widest place of its way: a layer's inner vectors and attention weights, or the logits with
/// their exponentials.
fn row_bytes(config: &GptConfig) -> u64 {
    let positions = config.segments().total() + 1;
    let layer = positions * (14 * config.dim + 2 * config.heads * positions);
    let logits = 4 * positions * config.total_text().max(config.total_image());
    4 * layer.max(logits) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_follows_the_memory_and_the_model() {
        let large = GptConfig::default();
        let small = GptConfig { dim: 128, heads: 4, grid: 8, ..GptConfig::default() };
        assert_eq!(rows_in(0, &large), 1);
        assert_eq!(rows_in(u64::MAX, &large), MOST);
        assert!(rows_in(1 << 30, &small) > rows_in(1 << 30, &large));
        assert!((1..=MOST).contains(&fitting(&large)));
    }
}
