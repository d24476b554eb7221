//! One step of a codec's training.

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{DType, Device, Int, Tensor};
use tokenize::metrics::CodeUsage;
use tokenize::vqgan::{QuantizerKind, VqGan};

use super::adversary::{Adversary, adaptive_weight};
use super::ema::EmaCodebook;
use super::loss::{Criterion, Reconstruction};
use super::quantize::Quantized;
use super::restart::Idle;
use super::{CodebookKind, LeftOut, Loaded, Pictures, VqGanTask};
use crate::Result;
use crate::average::Average;
use crate::data::Order;
use crate::device::mix;
use crate::optim::{Optimizer, paths, taken};
use crate::run::{Means, Metrics, Step};

/// A codec in training.
pub struct VqGanLearner {
    pub(super) task: VqGanTask,
    pub(super) device: Device,
    pub(super) train: Pictures,
    pub(super) valid: Pictures,
    pub(super) left_out: LeftOut,
    pub(super) order: Order,
    pub(super) criterion: Criterion,
    pub(super) model: VqGan,
    /// The running mean of the model's weights.
    pub(super) average: Average<VqGan>,
    pub(super) optim: Optimizer,
    pub(super) idle: Idle,
    pub(super) ema: Option<EmaCodebook>,
    pub(super) adversary: Option<Adversary>,
    /// Whether the adversary counted in the last step.
    pub(super) judged: bool,
}

/// What the micro-batches of a step leave for the codebook.
#[derive(Default)]
struct Seen {
    latents: Vec<Tensor<4>>,
    codes: Vec<Tensor<3, Int>>,
}

impl VqGanLearner {
    /// Loads the pictures and draws the first weights.
    ///
    /// # Errors
    /// Pair shards that are missing or hold no pictures; LPIPS weights that are missing or incomplete.
    pub fn new(task: &VqGanTask, device: &Device) -> Result<Self> {
        // A missing file of weights is told before the pictures are read.
        let criterion = Criterion::new(&task.loss, device)?;
        Self::with_pictures(task, Loaded::read(&task.data)?, criterion, device)
    }

    fn with_pictures(
        task: &VqGanTask,
        pictures: Loaded,
        criterion: Criterion,
        device: &Device,
    ) -> Result<Self> {
        let device = device.clone().autodiff();
        device.seed(task.run.seed);
        let Loaded { train, valid, left_out } = pictures;
        let adversary =
            (task.adversary.weight > 0.0).then(|| Adversary::new(&task.adversary, &task.optim, &device));
        let model = task.model.init(&device)?;
        // Both are updated by the one table; frozen parts stay on the graph, where the adaptive weight looks at a gradient.
        let judge = adversary.as_ref().map_or_else(Vec::new, |adversary| paths(&adversary.discriminator));
        task.optim.fits(&[paths(&model), judge].concat())?;
        let codebook = model.quantize.codebook().filter(|_| task.codebook.kind == CodebookKind::Ema);
        Ok(Self {
            order: Order::new(task.run.seed, train.len(), task.data.pictures_per_step()),
            average: Average::begin(&task.average, &model),
            ema: codebook.map(|codebook| EmaCodebook::new(&codebook.val())),
            model,
            optim: Optimizer::new(task.optim.clone()),
            idle: Idle::new(task.model.n_embed, &task.restart),
            adversary,
            judged: false,
            criterion,
            task: task.clone(),
            device,
            train,
            valid,
            left_out,
        })
    }

    /// All micro-batches of `step`, then one step of both optimizers and of the codebook.
    pub(super) fn advance(&mut self, step: u64) -> Step {
        let discriminator = self.adversary.as_ref().map(|adversary| adversary.discriminator.clone());
        let lr = self.task.schedule.at(step, self.task.run.steps);
        let (rows, size) = (self.order.rows(step), self.task.data.batch_size);
        let (mut gradients, mut means) = (GradientsAccumulator::new(), Means::default());
        let mut seen = Seen::default();
        for (part, rows) in rows.chunks(size).enumerate() {
            let (augment, seed) = (&self.task.data.augment, mix(self.task.run.seed, step));
            let pixels = self.train.batch(rows, part * size, augment, seed, &self.device);
            let (grads, metrics) = self.micro_batch(step, pixels, &mut seen);
            gradients.accumulate(&self.model, grads);
            means.add(&metrics);
        }
        let model = taken(&mut self.model);
        let (model, mut made) = self.optim.learn(lr, model, gradients.grads(), means.take());
        self.model = model;
        if made.metrics.not_finite().is_some() {
            if let Some((adversary, before)) = self.adversary.as_mut().zip(discriminator) {
                adversary.forget(before);
            }
            return made;
        }
        if let Some(adversary) = self.adversary.as_mut().filter(|_| self.judged) {
            adversary.step(lr);
        }
        self.move_codebook(step, seen, &mut made.metrics);
        self.average.update(&self.model, step);
        made
    }

    /// Losses of one micro-batch and their gradients, weighted by its share of the step.
    fn micro_batch(&mut self, step: u64, pixels: Tensor<4>, seen: &mut Seen) -> (GradientsParams, Metrics) {
        let share = 1.0 / self.task.data.accumulate as f64;
        let quantized = Quantized::new(&self.task, &self.model.quantize, self.latents(pixels.clone()), step);
        seen.latents.push(quantized.latents.inner());
        seen.codes.push(quantized.codes);
        let features = self.model.decode_features(quantized.decoded);
        let drawn = self.model.decoder.draw(features.clone());
        let weight = self.task.adversary.weight_at(step);
        self.judged = self.adversary.is_some() && weight > 0.0;
        let judged = match self.judged {
            true => self.judge_with_adversary(weight, &pixels, &drawn, &features),
            false => self.judge(&pixels, &drawn),
        };
        let mut metrics = judged.metrics.with("quantization", scalar(&quantized.loss));
        if self.task.model.quantizer == QuantizerKind::Gumbel {
            metrics.push("temperature", self.task.gumbel.temperature.at(step));
        }
        let total = judged.total + scalar(&quantized.loss);
        let loss = (judged.loss + quantized.loss).mul_scalar(share);
        let grads = GradientsParams::from_grads(loss.backward(), &self.model);
        if let Some(adversary) = self.adversary.as_mut().filter(|_| self.judged) {
            let said = adversary.learn(pixels, drawn, share);
            said.iter().for_each(|(name, value)| metrics.push(name, value));
        }
        (grads, metrics.with("loss", total))
    }

    /// The encoder's latents; where it is frozen no gradient is needed there.
    fn latents(&self, pixels: Tensor<4>) -> Tensor<4> {
        let frozen = ["encoder", "quant_conv"].iter().all(|part| self.task.optim.rate(part) == 0.0);
        match frozen {
            true => Tensor::from_inner(self.model.clone().valid().latents(pixels.inner())),
            false => self.model.latents(pixels),
        }
    }

    /// The reconstruction loss alone.
    fn judge(&self, pixels: &Tensor<4>, drawn: &Tensor<4>) -> Judged {
        let reconstruction = self.criterion.reconstruction(pixels.clone(), drawn.clone());
        let (metrics, total) = (described(&reconstruction), scalar(&reconstruction.total));
        Judged { loss: reconstruction.total, total, metrics }
    }

    /// Reconstruction and adversarial loss, balanced by the adaptive weight.
    ///
    /// Both losses are taken back to the picture once; from there one backward pass through the codec carries their
    /// weighted sum, so that VGG16 and the discriminator run once, not twice as in the published code.
    fn judge_with_adversary(
        &mut self,
        weight: f64,
        pixels: &Tensor<4>,
        drawn: &Tensor<4>,
        features: &Tensor<4>,
    ) -> Judged {
        let picture = drawn.clone().detach().require_grad();
        let slope = |loss: Tensor<1>| {
            picture.grad(&loss.backward()).unwrap_or_else(|| picture.clone().inner().zeros_like())
        };
        let reconstruction = self.criterion.reconstruction(pixels.clone(), picture.clone());
        let (mut metrics, total) = (described(&reconstruction), scalar(&reconstruction.total));
        let of_reconstruction = slope(reconstruction.total);
        let Some(adversary) = &mut self.adversary else { return self.judge(pixels, drawn) };
        let adversarial = adversary.loss(picture.clone());
        let value = scalar(&adversarial);
        let of_adversary = slope(adversarial);
        let decoder = &self.model.decoder;
        let draw = || decoder.draw(features.clone().detach());
        let adaptive = adaptive_weight(decoder.conv_out(), draw, [&of_reconstruction, &of_adversary]);
        let weight = weight * adaptive;
        metrics.push("adversarial", weight * value);
        metrics.push("adversarial_weight", weight);
        let push = of_reconstruction + of_adversary.mul_scalar(weight);
        let loss = (drawn.clone() * Tensor::from_inner(push)).sum();
        Judged { loss, total: total + weight * value, metrics }
    }

    /// Moves rows that learn as running means, and those that nobody uses.
    fn move_codebook(&mut self, step: u64, seen: Seen, metrics: &mut Metrics) {
        let (latents, codes) = (Tensor::cat(seen.latents, 0), Tensor::cat(seen.codes, 0));
        let mut usage = CodeUsage::new(self.task.model.n_embed);
        usage.add(&codes_of(codes.clone()));
        let mut quantize = self.model.quantize.clone();
        if let Some(ema) = &mut self.ema {
            let rows = ema.update(&self.task.codebook, &latents, &codes);
            quantize = quantize.with_codebook(Tensor::from_inner(rows).require_grad());
        }
        let seeds = (self.task.run.seed, step);
        let (quantize, moved) = self.idle.restart(quantize, &latents, &codes, &self.task.restart, seeds);
        if let Some((ema, codebook)) = self.ema.as_mut().zip(quantize.codebook()) {
            ema.restart(&moved, &codebook.val());
        }
        self.model.quantize = quantize;
        metrics.push("perplexity", usage.summary().perplexity);
        metrics.push("restarted", moved.len() as f64);
    }
}

/// A micro-batch's losses at the picture.
struct Judged {
    /// What to go back from; its value means nothing where the adversary counts.
    loss: Tensor<1>,
    /// The losses' weighted sum.
    total: f64,
    metrics: Metrics,
}

fn described(loss: &Reconstruction) -> Metrics {
    let mut metrics = Metrics::new().with("reconstruction", scalar(&loss.pixels));
    metrics.extend([loss.perceptual.as_ref().map(|distance| ("perceptual", scalar(distance)))]);
    metrics
}

pub(super) fn scalar(loss: &Tensor<1>) -> f64 {
    f64::from(loss.clone().into_scalar::<f32>())
}

pub(super) fn codes_of(codes: Tensor<3, Int>) -> Vec<u16> {
    codes
        .into_data()
        .convert_dtype(DType::I64)
        .iter::<i64>()
        .map(|code| u16::try_from(code).unwrap_or(u16::MAX))
        .collect()
}

#[cfg(test)]
mod tests;
