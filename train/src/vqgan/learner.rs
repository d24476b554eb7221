//! One step of a VQGAN's training, its validation and what it keeps.

use std::path::Path;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor};
use sha2::{Digest, Sha256};
use tokenize::metrics::{CodeUsage, Psnr, mean_squared_error};
use tokenize::pixels;
use tokenize::vqgan::{Precision, VqGan};

use super::adversary::Adversary;
use super::codebook::Idle;
use super::{LeftOut, Loaded, Pictures, VqGanTask};
use crate::data::Order;
use crate::device::mix;
use crate::optim::Optimizer;
use crate::run::{Facts, Learner, Metrics, load_module, sample_name, save_module};
use crate::{Error, Result};

/// Pictures per validation batch and per sample grid row.
const CHUNK: usize = 16;

/// A codec in training.
pub struct VqGanLearner {
    task: VqGanTask,
    device: Device,
    train: Pictures,
    valid: Pictures,
    left_out: LeftOut,
    order: Order,
    model: VqGan,
    optim: Optimizer,
    idle: Idle,
    adversary: Option<Adversary>,
}

/// What the forward pass leaves for the losses.
struct Pass {
    latents: Tensor<4>,
    codes: Tensor<3, Int>,
    rows: Tensor<4>,
    features: Tensor<4>,
    drawn: Tensor<4>,
}

impl VqGanLearner {
    /// Loads the pictures and draws the first weights.
    ///
    /// # Errors
    /// Pair shards that are missing or hold no pictures.
    pub fn new(task: &VqGanTask, device: &Device) -> Result<Self> {
        let device = device.clone().autodiff();
        device.seed(task.run.seed);
        let Loaded { train, valid, left_out } = Loaded::read(&task.data)?;
        let adversary =
            (task.adversary.weight > 0.0).then(|| Adversary::new(&task.adversary, &task.optim, &device));
        Ok(Self {
            order: Order::new(task.run.seed, train.len(), task.data.batch_size),
            model: task.model.init(&device)?,
            optim: Optimizer::new(task.optim.clone()),
            idle: Idle::new(task.model.n_embed, &task.restart),
            adversary,
            task: task.clone(),
            device,
            train,
            valid,
            left_out,
        })
    }

    /// Quantises with the straight-through estimator: the decoder's gradient passes to the latents unchanged.
    fn forward(&self, pixels: Tensor<4>) -> Pass {
        let latents = match self.passes_pixels_on() {
            true => Tensor::from_inner(self.model.clone().valid().latents(pixels.inner())),
            false => self.model.latents(pixels),
        };
        let codes = self.model.quantize.codes(latents.clone().detach());
        let rows = self.model.quantize.lookup(codes.clone());
        let quantized = latents.clone() + (rows.clone() - latents.clone()).detach();
        let features = self.model.decode_features(quantized);
        let drawn = self.model.decoder.draw(features.clone());
        Pass { latents, codes, rows, features, drawn }
    }

    /// Whether everything before the codebook is frozen, so that no gradient is needed there.
    fn passes_pixels_on(&self) -> bool {
        ["encoder", "quant_conv"].iter().all(|part| self.task.optim.rates.get(*part) == Some(&0.0))
    }

    /// Weighted adversarial loss and its weight, once the discriminator counts.
    fn adversarial(&self, step: u64, pixels: &Tensor<4>, pass: &Pass) -> Option<(Tensor<1>, f64)> {
        let weight = self.task.adversary.weight_at(step);
        let adversary = self.adversary.as_ref().filter(|_| weight > 0.0)?;
        let reconstruction = |drawn| self.task.loss.reconstruction(pixels.clone(), drawn);
        let weight = weight * adversary.adaptive_weight(&self.model, pass.features.clone(), reconstruction);
        Some((adversary.loss(pass.drawn.clone()).mul_scalar(weight), weight))
    }

    /// Reconstructions of held-out pictures `from..to`, with their codes.
    fn reconstruct(&self, from: usize, to: usize) -> (Tensor<4>, Tensor<4>, Tensor<3, Int>) {
        let device = self.device.clone().without_autodiff();
        let pixels = self.valid.range(from, to, &device);
        let model = self.model.clone().valid();
        let codes = model.encode(pixels.clone());
        (pixels, model.decode(codes.clone()), codes)
    }
}

fn scalar(loss: &Tensor<1>) -> f64 {
    f64::from(loss.clone().inner().into_scalar::<f32>())
}

fn codes_of(codes: Tensor<3, Int>) -> Vec<u16> {
    codes.into_data().iter::<i64>().map(|code| u16::try_from(code).unwrap_or(u16::MAX)).collect()
}

impl Learner for VqGanLearner {
    fn step(&mut self, step: u64) -> Result<Metrics> {
        let lr = self.task.schedule.at(step, self.task.run.steps);
        let rows = self.order.rows(step);
        let seed = mix(self.task.run.seed, step);
        let pixels = self.train.batch(&rows, &self.task.data.augment, seed, &self.device);
        let pass = self.forward(pixels.clone());
        let reconstruction = self.task.loss.reconstruction(pixels.clone(), pass.drawn.clone());
        let quantization = self.task.loss.quantization(pass.latents.clone(), pass.rows.clone());
        let mut loss = reconstruction.clone() + quantization.clone();
        let mut metrics = Metrics::new()
            .with("reconstruction", scalar(&reconstruction))
            .with("quantization", scalar(&quantization));
        let adversarial = self.adversarial(step, &pixels, &pass);
        if let Some((term, weight)) = &adversarial {
            metrics.push("adversarial", scalar(term));
            metrics.push("adversarial_weight", *weight);
            loss = loss + term.clone();
        }
        metrics.push("loss", scalar(&loss));
        let grads = GradientsParams::from_grads(loss.backward(), &self.model);
        let (model, norm) = self.optim.step(lr, self.model.clone(), grads);
        self.model = model;
        if adversarial.is_some()
            && let Some(adversary) = self.adversary.take()
        {
            let (adversary, loss) = adversary.step(lr, pixels, pass.drawn);
            metrics.push("discriminator", scalar(&loss));
            self.adversary = Some(adversary);
        }
        let seeds = (self.task.run.seed, step);
        let quantize = self.model.quantize.clone();
        let (quantize, moved) =
            self.idle.restart(quantize, &pass.latents, pass.codes, &self.task.restart, seeds);
        self.model.quantize = quantize;
        Ok(metrics.with("restarted", moved as f64).with("grad_norm", norm).with("lr", lr))
    }

    fn validate(&mut self) -> Result<Metrics> {
        let (mut psnr, mut usage) = (Psnr::default(), CodeUsage::new(self.task.model.n_embed));
        let mut loss = 0.0;
        for from in (0..self.valid.len()).step_by(CHUNK) {
            let to = self.valid.len().min(from + CHUNK);
            let (pixels, drawn, codes) = self.reconstruct(from, to);
            let part = self.task.loss.reconstruction(pixels.clone(), drawn.clone());
            loss += f64::from(part.into_scalar::<f32>()) * (to - from) as f64;
            usage.add(&codes_of(codes));
            let (originals, drawn) = (pixels::to_pictures(pixels)?, pixels::to_pictures(drawn)?);
            for (original, drawn) in originals.iter().zip(&drawn) {
                psnr.add(mean_squared_error(original.pixels(), drawn.pixels()).unwrap_or(1.0));
            }
        }
        let usage = usage.summary();
        Ok(Metrics::new()
            .with("loss", loss / self.valid.len() as f64)
            .with("psnr", psnr.mean())
            .with("codebook_usage", usage.usage)
            .with("codebook_perplexity", usage.perplexity))
    }

    fn sample(&mut self, dir: &Path, step: u64) -> Result<()> {
        let (pixels, drawn, _) = self.reconstruct(0, self.valid.len().min(CHUNK));
        let (originals, drawn) = (pixels::to_pictures(pixels)?, pixels::to_pictures(drawn)?);
        let pairs = originals.into_iter().zip(drawn).flat_map(|(original, drawn)| [original, drawn]);
        crate::run::save_grid(&pairs.collect::<Vec<_>>(), 8, &dir.join(sample_name(step, "")))
    }

    fn save(&self, dir: &Path) -> Result<()> {
        save_module(&self.model, &dir.join("model.safetensors"))?;
        self.optim.save(&dir.join("optim.safetensors"))?;
        if let Some(adversary) = &self.adversary {
            save_module(&adversary.discriminator, &dir.join("discriminator.safetensors"))?;
            adversary.optim.save(&dir.join("discriminator_optim.safetensors"))?;
        }
        let idle = self.idle.steps().iter().map(u64::to_string).collect::<Vec<_>>().join("\n");
        Ok(pipeline::atomic::write(dir.join("idle.txt"), idle)?)
    }

    fn load(&mut self, dir: &Path) -> Result<()> {
        self.model = load_module(self.model.clone(), &dir.join("model.safetensors"))?;
        self.optim.load(&dir.join("optim.safetensors"), &self.device)?;
        if let Some(adversary) = &mut self.adversary {
            adversary.discriminator =
                load_module(adversary.discriminator.clone(), &dir.join("discriminator.safetensors"))?;
            adversary.optim.load(&dir.join("discriminator_optim.safetensors"), &self.device)?;
        }
        let path = dir.join("idle.txt");
        let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
        let steps: Option<Vec<u64>> = text.lines().map(|line| line.parse().ok()).collect();
        let steps = steps.filter(|steps| steps.len() == self.task.model.n_embed);
        self.idle =
            Idle::from_steps(steps.ok_or_else(|| Error::weights(&path, "not one count per codebook row"))?);
        Ok(())
    }

    fn export(&self, dir: &Path) -> Result<()> {
        self.model.save(&dir.join("vqgan.safetensors"), Precision::Half)?;
        let config = pipeline::settings::to_toml(&self.task.model)?;
        Ok(pipeline::atomic::write(dir.join("vqgan.toml"), config)?)
    }

    fn facts(&self) -> Facts {
        let parameters = self.model.num_params();
        let side = self.task.data.image_size as u64;
        let hash = Sha256::new().chain_update(self.train.bytes()).chain_update(self.valid.bytes()).finalize();
        Facts {
            parameters,
            items_per_step: self.task.data.batch_size as u64 * side * side,
            items: "pixels",
            steps_per_epoch: self.order.steps_per_epoch(),
            state_bytes: 16 * parameters as u64,
            fingerprint: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
            notes: std::iter::once(format!(
                "{} training and {} held-out pictures of {side}x{side} px",
                self.train.len(),
                self.valid.len()
            ))
            .chain(self.left_out.note())
            .collect(),
        }
    }
}
