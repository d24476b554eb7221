//! How much memory a run will take, part by part, before it starts.

use crate::machine::in_words;

/// Bytes of one number; everything is computed in f32.
const FLOAT: u64 = 4;

/// Bytes that a run holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Rows of the shards.
    pub data: u64,
    /// Trained weights, and other models that are held, such as the codec.
    pub weights: u64,
    /// The running mean of the weights.
    pub average: u64,
    /// Moments of the gradients.
    pub optimizer: u64,
    /// Gradients of the parts that are computed side by side.
    pub gradients: u64,
    /// What the way forth keeps for the way back, of the parts that are computed side by side.
    pub activations: u64,
    /// Whether several threads compute: what one of them gives back to the allocator is not there for the others.
    pub apart: bool,
}

/// The program itself, its threads and what its allocator holds between two requests.
const PROGRAM: u64 = 64 << 20;

impl Memory {
    /// Numbers as bytes.
    #[must_use]
    pub const fn floats(count: u64) -> u64 {
        count * FLOAT
    }

    /// The most that is held at a time: on the way back gradients come as activations go, and a checkpoint is copied before
    /// it is written.
    #[must_use]
    pub fn peak(&self) -> u64 {
        PROGRAM + self.loaded() + self.ahead()
    }

    /// What is there before the first step.
    const fn loaded(&self) -> u64 {
        self.data + self.weights + self.average
    }

    /// The copy of a checkpoint.
    #[must_use]
    pub const fn checkpoint(&self) -> u64 {
        self.weights + self.average + self.optimizer
    }

    /// What the first step adds.
    #[must_use]
    pub fn ahead(&self) -> u64 {
        // Half of them, as measured (bench/memory.py): threads are not at the same place of the way back.
        let apart = if self.apart { self.gradients / 2 } else { 0 };
        self.optimizer + (self.activations + apart).max(self.gradients) + self.checkpoint()
    }

    /// One line: `about 1.2 GiB: weights 0.2, …`.
    #[must_use]
    pub fn words(&self) -> String {
        let parts = [
            ("weights", self.weights),
            ("gradients", self.gradients),
            ("optimizer", self.optimizer),
            ("running mean", self.average),
            ("activations", self.activations),
            ("data", self.data),
            ("checkpoint", self.checkpoint()),
        ];
        let parts = parts.iter().filter(|(_, bytes)| *bytes > 0);
        let parts: Vec<_> = parts.map(|(name, bytes)| format!("{name} {}", in_words(*bytes))).collect();
        format!("memory: about {} at most; {}", in_words(self.peak()), parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_take_the_place_of_activations() {
        let mib = |n: u64| n << 20;
        let memory = Memory {
            weights: mib(100),
            gradients: mib(100),
            optimizer: mib(200),
            activations: mib(500),
            ..Memory::default()
        };
        assert_eq!(memory.peak(), PROGRAM + mib(800 + 300));
        assert_eq!(Memory { activations: 0, ..memory }.peak(), PROGRAM + mib(400 + 300));
        assert_eq!(Memory { apart: true, ..memory }.peak(), PROGRAM + mib(850 + 300));
        assert_eq!(
            memory.words(),
            "memory: about 1.14 GiB at most; weights 100.0 MiB, gradients 100.0 MiB, optimizer 200.0 MiB, activations 500.0 MiB, checkpoint 300.0 MiB"
        );
    }
}
