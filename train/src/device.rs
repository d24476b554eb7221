//! The burn device of a run, and what is done with it alone.

use burn::tensor::Device;

pub use tokenize::device::open;

/// Whether tensors of this device lie in this process's memory, so that reading one costs nothing.
#[must_use]
pub fn is_host(device: &Device) -> bool {
    device.clone().without_autodiff() == Device::flex()
}

/// Mixes a seed with a counter (SplitMix64), so that neighbouring steps get unrelated random numbers.
#[must_use]
pub fn mix(seed: u64, counter: u64) -> u64 {
    let mut z = seed ^ counter.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_the_host_with_and_without_gradients() {
        assert!(is_host(&open("cpu").unwrap()));
        assert!(is_host(&open("cpu").unwrap().autodiff()));
    }

    #[test]
    fn mixing_separates_neighbours() {
        let mixed: std::collections::HashSet<_> = (0..1000).map(|step| mix(1, step)).collect();
        assert_eq!(mixed.len(), 1000);
        assert_ne!(mix(1, 2), mix(2, 1));
    }
}
