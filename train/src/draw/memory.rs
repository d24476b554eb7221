//! How much memory a batch of drawings takes, and how many fit.

use crate::gpt::GptConfig;
use crate::machine::in_words;

/// Bytes of an `f32`, in which everything is computed.
const FLOAT: u64 = 4;
/// A share of the memory that others have use for: one part in ten stays free.
const SPARE: u64 = 10;

/// Memory that drawing takes beside the weights, which are loaded already. Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// The image columns of the head, kept side by side.
    pub head: u64,
    /// Keys and values of one sequence: `2 · layers · positions · dim · 4`.
    pub cache: u64,
    /// What a sequence needs while its first positions go through a layer, and its logits.
    pub step: u64,
    /// Sequences of one drawing: 2 with guidance.
    pub sequences: u64,
    /// The codec's activations while one picture is decoded.
    pub decode: u64,
}

impl Footprint {
    /// Of a model whose pictures have `pixels` pixels, drawn by a codec of `channels` channels at full size.
    #[must_use]
    pub fn new(config: &GptConfig, guided: bool, pixels: usize, channels: usize) -> Self {
        let size = |values: usize| values as u64 * FLOAT;
        let positions = config.left.max(1);
        Self {
            head: size(config.dim * config.total_image()),
            cache: size(2 * config.layers * config.segments().total() * config.dim),
            // q, k, v, the four times wider layer before and after its activation, and three of the stream; the logits
            // once more on the host and twice while they are filtered.
            step: size(14 * positions * config.dim) + size(4 * config.total_image()),
            sequences: if guided { 2 } else { 1 },
            // A residual block holds its input, its output and two between them.
            decode: size(4 * channels * pixels),
        }
    }

    /// Bytes of one drawing among others.
    #[must_use]
    pub const fn drawing(&self) -> u64 {
        self.sequences * (self.cache + self.step)
    }

    /// How many of `wanted` drawings fit into `available` bytes at a time: at least one, which is then over it.
    #[must_use]
    pub fn fitting(&self, wanted: usize, available: u64) -> usize {
        let room = (available - available / SPARE).saturating_sub(self.head);
        at_least_one(room / self.drawing().max(1), wanted)
    }

    /// How many of `wanted` pictures the codec may decode at a time.
    #[must_use]
    pub fn decoding(&self, wanted: usize, available: u64) -> usize {
        at_least_one((available - available / SPARE) / self.decode.max(1), wanted)
    }

    /// Bytes of a batch of `batch` drawings.
    #[must_use]
    pub const fn batch(&self, batch: usize) -> u64 {
        self.head + batch as u64 * self.drawing()
    }

    /// One line before the start: what a batch takes, and of what.
    #[must_use]
    pub fn words(&self, batch: usize, available: Option<u64>) -> String {
        let sequences = batch as u64 * self.sequences;
        let free = available.map_or_else(String::new, |bytes| format!(" of {} free", in_words(bytes)));
        format!(
            "memory: {}{free} for {batch} at a time: keys and values {}, steps and logits {}, head {}; decoding {} a picture",
            in_words(self.batch(batch)),
            in_words(sequences * self.cache),
            in_words(sequences * self.step),
            in_words(self.head),
            in_words(self.decode)
        )
    }
}

fn at_least_one(fitting: u64, wanted: usize) -> usize {
    usize::try_from(fitting).unwrap_or(usize::MAX).min(wanted).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    /// Malevich: 1152 positions of 24 layers of 2048.
    fn malevich(guided: bool) -> Footprint {
        let config = GptConfig {
            dim: 2048,
            left: 128,
            grid: 32,
            right: 0,
            text_special: 0,
            image_special: 0,
            ..GptConfig::default()
        };
        Footprint::new(&config, guided, 256 * 256, 128)
    }

    #[test]
    fn keys_and_values_are_two_vectors_for_each_layer_and_position() {
        let plain = malevich(false);
        assert_eq!(plain.cache, 2 * 24 * 1152 * 2048 * 4);
        assert_eq!(plain.head, 8192 * 2048 * 4);
        assert_eq!(plain.decode, 4 * 128 * 256 * 256 * 4);
        assert_eq!(malevich(true).drawing(), 2 * plain.drawing());
    }

    #[test]
    fn a_batch_is_as_large_as_the_memory_allows() {
        let plain = malevich(false);
        assert_eq!(plain.fitting(16, 64 * GIB), 16, "never more than wanted");
        let fitting = plain.fitting(16, 4 * GIB);
        assert!((1..16).contains(&fitting), "{fitting}");
        assert!(plain.batch(fitting) <= 4 * GIB && plain.batch(fitting + 1) > 4 * GIB * 9 / 10);
        assert_eq!(malevich(true).fitting(16, 4 * GIB), fitting / 2);
        assert_eq!((plain.fitting(16, 0), plain.decoding(16, 0)), (1, 1), "one is always tried");
        assert_eq!(plain.decoding(16, GIB), 7);
    }

    #[test]
    fn the_line_names_the_parts() {
        let line = malevich(false).words(4, Some(8 * GIB));
        assert!(
            line.starts_with("memory: 1.81 GiB of 8.00 GiB free for 4 at a time: keys and values 1.69 GiB"),
            "{line}"
        );
    }
}
