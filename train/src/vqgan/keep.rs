//! What a codec's training shows, keeps and leaves behind.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Int, Tensor};
use sha2::{Digest, Sha256};
use tokenize::metrics::{CodeUsage, Psnr, mean_squared_error};
use tokenize::pixels;

use super::VqGanLearner;
use super::learner::{codes_of, scalar};
use super::restart::Idle;
use crate::run::{Facts, Learner, Memory, Metrics, Snapshot, Step, load_module, sample_name};
use crate::{Error, Result};

/// Pictures per validation batch and per sample grid row.
const CHUNK: usize = 16;

/// Files of a checkpoint.
pub(super) const MODEL: &str = "model.safetensors";
const OPTIM: &str = "optim.safetensors";
const DISCRIMINATOR: &str = "discriminator.safetensors";
const DISCRIMINATOR_OPTIM: &str = "discriminator_optim.safetensors";
const CODEBOOK: &str = "codebook.safetensors";
const IDLE: &str = "idle.txt";

impl VqGanLearner {
    /// Reconstructions of held-out pictures `from..to`, with their codes.
    fn reconstruct(&self, from: usize, to: usize) -> (Tensor<4>, Tensor<4>, Tensor<3, Int>) {
        let device = self.device.clone().without_autodiff();
        let pixels = self.valid.range(from, to, &device);
        let model = self.average.finished(&self.model);
        let codes = model.encode(pixels.clone());
        (pixels, model.decode(codes.clone()), codes)
    }

    /// What a run holds; what the convolutions keep is not counted.
    fn memory(&self) -> Memory {
        let judge = self.adversary.as_ref().map(|adversary| (&adversary.discriminator, &adversary.optim));
        let judging = judge.map_or(0, |(judge, _)| judge.num_params() as u64);
        let weights = self.model.num_params() as u64 + judging;
        Memory {
            data: (self.train.bytes().len() + self.valid.bytes().len()) as u64,
            weights: Memory::floats(weights),
            average: self.average.bytes(),
            optimizer: self.optim.state_bytes(&self.model)
                + judge.map_or(0, |(judge, optim)| optim.state_bytes(judge)),
            gradients: Memory::floats(weights),
            activations: 0,
            apart: false,
        }
    }

    /// Mean logits of pictures and of their reconstructions by the running statistics, once the discriminator counts.
    fn judgement(&self, pixels: Tensor<4>, drawn: Tensor<4>) -> Option<[f64; 2]> {
        let adversary = self.adversary.as_ref().filter(|_| self.judged)?;
        let discriminator = adversary.discriminator.valid();
        Some([pixels, drawn].map(|pictures| scalar(&discriminator.judge(pictures).mean())))
    }
}

/// Sums over held-out pictures.
#[derive(Default)]
struct Sums {
    pictures: f64,
    loss: f64,
    perceptual: Option<f64>,
    logits: Option<[f64; 2]>,
}

impl Sums {
    fn metrics(&self, psnr: f64, usage: &CodeUsage) -> Metrics {
        let mean = |sum: f64| sum / self.pictures;
        let usage = usage.summary();
        let mut metrics = Metrics::new().with("loss", mean(self.loss)).with("psnr", psnr);
        metrics.extend([self.perceptual.map(|sum| ("lpips", mean(sum)))]);
        metrics.push("codebook_usage", usage.usage);
        metrics.push("codebook_perplexity", usage.perplexity);
        let logits = self.logits.map(|sums| sums.map(mean));
        metrics.extend([
            logits.map(|[real, _]| ("logits_real", real)),
            logits.map(|[_, drawn]| ("logits_drawn", drawn)),
        ]);
        metrics
    }
}

impl Learner for VqGanLearner {
    fn step(&mut self, step: u64) -> Result<Step> {
        Ok(self.advance(step))
    }

    fn validate(&mut self) -> Result<Metrics> {
        let (mut psnr, mut usage) = (Psnr::default(), CodeUsage::new(self.task.model.n_embed));
        let mut sums = Sums::default();
        for from in (0..self.valid.len()).step_by(CHUNK) {
            let to = self.valid.len().min(from + CHUNK);
            let count = (to - from) as f64;
            let (pixels, drawn, codes) = self.reconstruct(from, to);
            let part = self.criterion.reconstruction(pixels.clone(), drawn.clone());
            sums.pictures += count;
            sums.loss += scalar(&part.total) * count;
            if let Some(distance) = &part.perceptual {
                *sums.perceptual.get_or_insert(0.0) += scalar(distance) * count;
            }
            if let Some(logits) = self.judgement(pixels.clone(), drawn.clone()) {
                let summed = sums.logits.get_or_insert_default();
                summed.iter_mut().zip(logits).for_each(|(sum, logit)| *sum += logit * count);
            }
            usage.add(&codes_of(codes));
            let (originals, drawn) = (pixels::to_pictures(pixels)?, pixels::to_pictures(drawn)?);
            for (original, drawn) in originals.iter().zip(&drawn) {
                psnr.add(mean_squared_error(original.pixels(), drawn.pixels()).unwrap_or(1.0));
            }
        }
        Ok(sums.metrics(psnr.mean(), &usage))
    }

    fn sample(&mut self, dir: &Path, step: u64) -> Result<()> {
        let (pixels, drawn, _) = self.reconstruct(0, self.valid.len().min(CHUNK));
        let (originals, drawn) = (pixels::to_pictures(pixels)?, pixels::to_pictures(drawn)?);
        let pairs = originals.into_iter().zip(drawn).flat_map(|(original, drawn)| [original, drawn]);
        crate::run::save_grid(&pairs.collect::<Vec<_>>(), 8, &dir.join(sample_name(step, "")))
    }

    fn snapshot(&self) -> Result<Snapshot> {
        let mut snapshot = self.optim.snapshot(Snapshot::new().module(MODEL, &self.model), OPTIM);
        if let Some(mean) = self.average.mean() {
            snapshot = snapshot.module(crate::average::MEAN, mean);
        }
        if let Some(ema) = &self.ema {
            snapshot = snapshot.tensors(CODEBOOK, ema.tensors(), None);
        }
        if let Some(adversary) = &self.adversary {
            snapshot = snapshot.module(DISCRIMINATOR, &adversary.discriminator);
            snapshot = adversary.optim.snapshot(snapshot, DISCRIMINATOR_OPTIM);
        }
        let idle = self.idle.steps().iter().map(u64::to_string).collect::<Vec<_>>().join("\n");
        Ok(snapshot.text(IDLE, idle))
    }

    fn load(&mut self, dir: &Path) -> Result<()> {
        self.model = load_module(self.model.clone(), &dir.join(MODEL))?;
        self.optim.load(&dir.join(OPTIM), &self.device)?;
        self.average.load(dir, &self.model)?;
        if let Some(ema) = &mut self.ema {
            ema.load(&dir.join(CODEBOOK))?;
        }
        if let Some(adversary) = &mut self.adversary {
            adversary.discriminator = load_module(adversary.discriminator.clone(), &dir.join(DISCRIMINATOR))?;
            adversary.optim.load(&dir.join(DISCRIMINATOR_OPTIM), &self.device)?;
        }
        let path = dir.join(IDLE);
        let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
        let steps: Option<Vec<u64>> = text.lines().map(|line| line.parse().ok()).collect();
        let steps = steps.filter(|steps| steps.len() == self.task.model.n_embed);
        self.idle =
            Idle::from_steps(steps.ok_or_else(|| Error::weights(&path, "not one count per codebook row"))?);
        Ok(())
    }

    fn export(&self, dir: &Path) -> Result<()> {
        let model = self.average.finished(&self.model);
        super::export::save(&model, &self.task.model, &dir.join("vqgan.safetensors"), false)
    }

    fn facts(&self) -> Facts {
        let parameters = self.model.num_params();
        let (side, pictures) = (self.task.data.image_size as u64, self.task.data.pictures_per_step() as u64);
        let hash = Sha256::new()
            .chain_update(self.train.bytes())
            .chain_update(self.valid.bytes())
            .chain_update(self.criterion.fingerprint())
            .finalize();
        Facts {
            parameters,
            items_per_step: pictures * side * side,
            items: "pixels",
            steps_per_epoch: self.order.steps_per_epoch(),
            flops_per_step: 0.0,
            memory: self.memory(),
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
