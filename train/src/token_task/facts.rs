//! What is known of a run before its first step: sizes, operations, memory, what there is to train on.

use burn::module::Module;

use super::data::Sets;
use super::exercise::Exercise;
use super::learner::Taught;
use super::{TextImageConfig, TokenLearner, cut, part};
use crate::data::{Tokens, code_frequency_loss};
use crate::draw::Draws;
use crate::run::{Facts, Memory};

impl<C: TextImageConfig> TokenLearner<C> {
    pub(super) fn known(&self) -> Facts {
        let (shares, batch) = (self.shares.over(self.task.run.steps), self.task.data.batch_size as f64);
        let shared = || self.taught.iter().zip(&shares);
        let core = self.bundle.model.gpt().config();
        let mean = |of: &dyn Fn(&Exercise) -> f64| -> f64 {
            shared().map(|(taught, share)| of(&taught.exercise) * share).sum()
        };
        // One pass of the task that is practised most.
        let most = shared().max_by(|(_, a), (_, b)| a.total_cmp(b));
        Facts {
            parameters: self.bundle.model.num_params(),
            items_per_step: (batch * mean(&|e| e.plan.positions() as f64)).round() as u64,
            items: "tokens",
            flops_per_step: batch * mean(&|e| core.cost(e.plan.lengths()).step()),
            steps_per_epoch: most.map_or(0.0, |(taught, share)| taught.stream.len() as f64 / (batch * share)),
            memory: self.memory(),
            fingerprint: Sets::fingerprint_of(&self.sets),
            notes: self.notes(),
        }
    }

    /// Mean held-out image loss of guessing each code by its frequency in the training images.
    #[must_use]
    pub fn baseline(&self) -> Option<f64> {
        let codebook = self.bundle.codec.codebook_size();
        let sets = self.sets.first()?;
        let held_out = sets.held_out.as_ref().filter(|held_out| held_out.images().len() > 0)?;
        Some(code_frequency_loss(&sets.sample, held_out, codebook))
    }

    /// What a run holds: the longest task's parts, as many as are computed side by side.
    fn memory(&self) -> Memory {
        let (model, data) = (&self.bundle.model, &self.task.data);
        let core = model.gpt().config();
        let parts = self.team.parts(data.parts);
        let side_by_side = self.team.width(parts, part::side_by_side(model)) as u64;
        let rows = data.batch_size.div_ceil(parts) as u64;
        let kept = |taught: &Taught| {
            core.cost(taught.exercise.plan.lengths()).kept(core.layers, self.task.run.recompute)
        };
        let most = self.taught.iter().map(kept).max().unwrap_or(0);
        let weights = model.num_params() as u64;
        Memory {
            data: self.rows_held(),
            weights: Memory::floats(weights),
            average: self.average.bytes(),
            optimizer: self.optimizer.state_bytes(model),
            // Of the parts that are computed, and the sum of those before.
            gradients: Memory::floats((side_by_side + u64::from(parts as u64 > side_by_side)) * weights),
            activations: Memory::floats(side_by_side * rows * most),
            apart: side_by_side > 1,
        }
    }

    /// Bytes of the rows in memory: all, or for each task the present window and the next.
    fn rows_held(&self) -> u64 {
        let buffer = self.task.data.buffer_rows as u64;
        let of_set = |(index, sets): (usize, &Sets)| {
            let tasks = self.taught.iter().filter(|taught| taught.set == index).count() as u64;
            let window = sets.sample.bytes() * buffer / sets.sample.len().max(1) as u64;
            let windows = sets.blocks.as_ref().map_or(0, |_| 2 * window * tasks);
            sets.sample.bytes() + windows + sets.held_out.as_ref().map_or(0, Tokens::bytes)
        };
        self.sets.iter().enumerate().map(of_set).sum()
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for (index, sets) in self.sets.iter().enumerate() {
            notes.push(sets.note(self.task.data.buffer_rows));
            let exercises = self.taught.iter().filter(|taught| taught.set == index);
            let exercises = exercises.map(|taught| &taught.exercise);
            notes.extend(cut::notes(exercises, &sets.sample, [C::LEFT, "model.right"]));
            if let Some(held_out) = &sets.held_out {
                let of = sets.of_name();
                notes.push(format!(
                    "{} held-out rows{of}, {} images",
                    held_out.len(),
                    held_out.images().len()
                ));
            }
        }
        if let Some(baseline) = self.baseline() {
            notes.push(format!("code-frequency baseline of the held-out image loss: {baseline:.3}"));
        }
        notes
    }
}
