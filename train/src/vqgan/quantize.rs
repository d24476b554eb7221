//! What the quantiser makes of a batch in training.

use burn::tensor::{Int, Tensor};
use tokenize::vqgan::{Quantizer, QuantizerKind};

use super::{CodebookKind, VqGanTask, gumbel};

/// A quantised batch.
pub(super) struct Quantized {
    /// What the encoder gave, `[b, embed_dim, h, w]`.
    pub(super) latents: Tensor<4>,
    /// `[b, h, w]`
    pub(super) codes: Tensor<3, Int>,
    /// What the decoder sees, `[b, embed_dim, h, w]`.
    pub(super) decoded: Tensor<4>,
    /// Weighted loss of the quantisation, `[1]`.
    pub(super) loss: Tensor<1>,
}

impl Quantized {
    /// Quantises as the configuration says; `step` decides a Gumbel quantiser's temperature.
    pub(super) fn new(task: &VqGanTask, quantizer: &Quantizer, latents: Tensor<4>, step: u64) -> Self {
        if task.model.quantizer == QuantizerKind::Gumbel {
            let device = latents.device();
            let temperature = task.gumbel.temperature.at(step);
            let noise = |shape| gumbel::noise(shape, &device);
            if let Some(chosen) = task.gumbel.quantize(quantizer, latents.clone(), noise, temperature) {
                return chosen;
            }
        }
        Self::nearest(task, quantizer, latents)
    }

    /// The nearest rows by the straight-through estimator: the decoder's gradient passes to the latents unchanged.
    fn nearest(task: &VqGanTask, quantizer: &Quantizer, latents: Tensor<4>) -> Self {
        let codes = quantizer.codes(latents.clone().detach());
        let rows = quantizer.lookup(codes.clone());
        let decoded = latents.clone() + (rows.clone() - latents.clone()).detach();
        let loss = match task.codebook.kind {
            CodebookKind::Gradient => task.loss.quantization(latents.clone(), rows),
            CodebookKind::Ema => task.loss.commitment(latents.clone(), rows),
        };
        Self { latents, codes, decoded, loss }
    }
}
