//! Which pixels BERT's objective hides.

use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::device::mix;

/// Keeps these draws apart from those of the order of rows.
const STREAM: u64 = 0x6d61_736b_6564;

/// For each of `rows` pictures of `pixels` pixels whether a pixel is told; each one is hidden with this probability. A
/// pure function of (seed, step).
pub(super) fn seen(rows: usize, pixels: usize, hidden: f64, (seed, step): (u64, u64)) -> Vec<Vec<bool>> {
    let mut random = ChaCha8Rng::seed_from_u64(mix(seed ^ STREAM, step));
    (0..rows).map(|_| (0..pixels).map(|_| random.random::<f64>() >= hidden).collect()).collect()
}

/// `[rows, pixels]`: 1 where a pixel is told, 0 where it is hidden.
pub(super) fn tensor(seen: &[Vec<bool>], device: &Device) -> Tensor<2> {
    let pixels = seen.first().map_or(0, Vec::len);
    let values = seen.iter().flatten().map(|seen| f32::from(u8::from(*seen))).collect::<Vec<_>>();
    Tensor::from_data(TensorData::new(values, [seen.len(), pixels]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_holds_and_steps_differ() {
        let first = seen(8, 1024, 0.15, (1, 0));
        let hidden = first.iter().flatten().filter(|seen| !**seen).count() as f64 / 8192.0;
        assert!((hidden - 0.15).abs() < 0.02, "{hidden}");
        assert_eq!(first, seen(8, 1024, 0.15, (1, 0)));
        assert_ne!(first, seen(8, 1024, 0.15, (1, 1)));
        assert_ne!(first[0], first[1]);
    }
}
