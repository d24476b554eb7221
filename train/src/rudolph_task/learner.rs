//! One step of RuDOLPH's training, its validation and what it keeps.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use pipeline::atomic;
use tokenize::bpe::Bpe;
use tokenize::codec::Codec;

use super::distraction::distract;
use super::part::{Part, pass};
use super::scores::{Scores, spread};
use super::{RudolphTask, cut};
use crate::Result;
use crate::bundle::{Bundle, Sampling, Sources, save_settings};
use crate::data::{Order, Tokens, code_frequency_loss};
use crate::optim::Optimizer;
use crate::rudolph::{Row, Rudolph, Task};
use crate::run::{Facts, Learner, Metrics, load_module, sample_name, save_grid, save_module};

/// Trains RuDOLPH.
pub struct RudolphLearner {
    task: RudolphTask,
    bundle: Bundle<Rudolph>,
    optimizer: Optimizer,
    train: Tokens,
    held_out: Option<Tokens>,
    order: Order,
    prompts: Vec<String>,
    /// What is said of captions that are cut.
    cut: Vec<String>,
    device: Device,
}

impl RudolphLearner {
    /// Loads data, codec and vocabulary, and makes the model.
    ///
    /// # Errors
    /// A file that is missing or does not fit the configuration.
    pub fn new(task: &RudolphTask, device: &Device) -> Result<Self> {
        task.check()?;
        let codec = Codec::load(&task.data.codec, &device.clone().without_autodiff())?;
        let bpe = Bpe::load(&task.data.bpe)?;
        task.fits(&bpe)?;
        let (train, held_out) = task.sets(&codec, &bpe)?;
        let bpe = bpe.with_lowercase(train.meta().lowercase);
        let model = match &task.from {
            Some(path) => Rudolph::load(&task.model, path, device)?,
            None => task.model.init(device),
        };
        let prompts = prompts(&task.samples.prompts, held_out.as_ref().unwrap_or(&train), &bpe);
        Ok(Self {
            optimizer: Optimizer::new(task.optim.clone()),
            order: Order::new(task.run.seed, train.len(), task.data.batch_size),
            cut: cut::notes(task, &train),
            task: task.clone(),
            bundle: Bundle { model, codec, bpe: Some(bpe) },
            train,
            held_out,
            prompts,
            device: device.clone(),
        })
    }

    /// The model with its codec and vocabulary, as trained so far.
    #[must_use]
    pub fn bundle(&self) -> &Bundle<Rudolph> {
        &self.bundle
    }

    /// Mean held-out image loss of guessing each code by its frequency in the training images.
    #[must_use]
    pub fn baseline(&self) -> Option<f64> {
        let codebook = self.bundle.codec.codebook_size();
        self.held_out.as_ref().map(|held_out| code_frequency_loss(&self.train, held_out, codebook))
    }

    /// The rows of a step: captions to draw, cut into as many parts as asked for, and images to caption.
    fn parts(&self, step: u64, rows: &[usize]) -> Vec<Part<'_>> {
        let tasks = &self.task.tasks;
        let (drawn, captioned) = rows.split_at(rows.len() - tasks.captions(step, rows.len()));
        let mut to_draw = batch_rows(&self.train, drawn, Task::TextToImage);
        let images: Vec<_> = to_draw.iter().map(|row| row.codes).collect();
        let pool = (self.train.len(), |row| self.train.codes(row));
        let mut read = distract(&images, pool, &tasks.distraction, (self.task.run.seed, step));
        // Rows come in random order, so the first ones are as good as any.
        for row in to_draw.iter_mut().take(tasks.without_text(step, rows.len())) {
            row.text = &[];
        }
        let each = to_draw.len().div_ceil(self.task.data.parts).max(1);
        let mut parts = Vec::with_capacity(self.task.data.parts + 1);
        for rows in to_draw.chunks(each) {
            let rest = read.split_off(rows.len());
            let read = std::mem::replace(&mut read, rest);
            parts.push(Part { rows: rows.to_vec(), read: (tasks.distraction.most > 0.0).then_some(read) });
        }
        if !captioned.is_empty() {
            parts.push(Part { rows: batch_rows(&self.train, captioned, Task::ImageToText), read: None });
        }
        parts
    }

    /// Adds the losses of held-out rows for one task.
    fn score(&self, model: &Rudolph, tokens: &Tokens, task: Task, scores: &mut Scores) -> Result<()> {
        let device = self.device.clone().without_autodiff();
        for rows in spread(tokens.len(), self.task.data.held_out_rows).chunks(self.task.data.batch_size) {
            let (batch, _) = self.task.model.batch(&batch_rows(tokens, rows, task), &device)?;
            scores.add(task, model.position_losses(&batch));
        }
        Ok(())
    }

    fn sources(&self) -> Sources {
        Sources { bpe: Some(self.task.data.bpe.clone()) }
    }
}

impl Learner for RudolphLearner {
    fn step(&mut self, step: u64) -> Result<Metrics> {
        let rows = self.order.rows(step);
        let (grads, mut metrics) = pass(&self.bundle.model, self.parts(step, &rows), &self.device)?;
        let lr = self.task.schedule.at(step, self.task.run.steps);
        let (model, norm) = self.optimizer.step(lr, self.bundle.model.clone(), grads);
        self.bundle.model = model;
        metrics.push("grad_norm", norm);
        metrics.push("lr", lr);
        Ok(metrics)
    }

    fn validate(&mut self) -> Result<Metrics> {
        let Some(tokens) = &self.held_out else { return Ok(Metrics::new()) };
        let model = self.bundle.model.valid();
        let mut scores = Scores::default();
        self.score(&model, tokens, Task::TextToImage, &mut scores)?;
        if self.task.model.right > 0 {
            self.score(&model, tokens, Task::ImageToText, &mut scores)?;
        }
        Ok(scores.metrics(&self.task.model.loss))
    }

    fn sample(&mut self, dir: &Path, step: u64) -> Result<()> {
        let columns = if self.task.samples.columns == 0 { 4 } else { self.task.samples.columns };
        let how = Sampling { config: self.task.samples.sampling, batch: self.task.data.batch_size };
        let model = self.bundle.model.valid();
        let pictures = self.bundle.draw_with(&model, &self.prompts, columns, &how, &mut |_| ())?;
        save_grid(&pictures, columns, &dir.join(sample_name(step, "")))?;
        Ok(atomic::write(dir.join("prompts.txt"), self.prompts.join("\n") + "\n")?)
    }

    fn save(&self, dir: &Path) -> Result<()> {
        save_module(&self.bundle.model, &dir.join("weights.safetensors"))?;
        if let Some(bpe) = &self.bundle.bpe {
            save_settings(bpe, dir)?;
        }
        self.optimizer.save(&dir.join("optimizer.safetensors"))
    }

    fn load(&mut self, dir: &Path) -> Result<()> {
        self.bundle.model = load_module(self.bundle.model.clone(), &dir.join("weights.safetensors"))?;
        self.optimizer.load(&dir.join("optimizer.safetensors"), &self.device)
    }

    fn export(&self, dir: &Path) -> Result<()> {
        self.bundle.save(&self.sources(), dir)
    }

    fn facts(&self) -> Facts {
        let parameters = self.bundle.model.size();
        let (batch, share) = (
            self.task.data.batch_size as f64,
            self.task.tasks.captions(0, 1 << 20) as f64 / f64::from(1 << 20),
        );
        let positions = |task| self.task.model.positions(task) as f64;
        let tokens = positions(Task::TextToImage) * (1.0 - share) + positions(Task::ImageToText) * share;
        let mut notes =
            vec![format!("{} training rows, {} images", self.train.len(), self.train.images().len())];
        notes.extend(self.cut.iter().cloned());
        if let (Some(held_out), Some(baseline)) = (&self.held_out, self.baseline()) {
            notes.push(format!("{} held-out rows, {} images", held_out.len(), held_out.images().len()));
            notes.push(format!("code-frequency baseline of the held-out image loss: {baseline:.3}"));
        }
        Facts {
            parameters,
            items_per_step: (batch * tokens).round() as u64,
            items: "tokens",
            steps_per_epoch: self.order.steps_per_epoch(),
            // f32 weights, gradients and two moments.
            state_bytes: 16 * parameters as u64,
            fingerprint: self.train.fingerprint().to_owned(),
            notes,
        }
    }
}

fn batch_rows<'a>(tokens: &'a Tokens, rows: &[usize], task: Task) -> Vec<Row<'a>> {
    let row =
        |row: &usize| Row { task, text: tokens.text(*row), codes: tokens.codes(*row).unwrap_or_default() };
    rows.iter().map(row).collect()
}

/// The given prompts, or the first four different captions.
fn prompts(given: &[String], tokens: &Tokens, bpe: &Bpe) -> Vec<String> {
    if !given.is_empty() {
        return given.to_vec();
    }
    let mut found: Vec<String> = Vec::new();
    for row in 0..tokens.len() {
        let text = bpe.decode(tokens.text(row));
        if !text.is_empty() && !found.contains(&text) {
            found.push(text);
        }
        if found.len() == 4 {
            break;
        }
    }
    found
}
