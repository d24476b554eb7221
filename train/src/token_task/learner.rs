//! One step of training from token shards, its validation and what it keeps.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use pipeline::atomic;
use tokenize::bpe::Bpe;
use tokenize::codec::Codec;

use super::distraction::distract;
use super::exercise::{Example, Exercise, batch};
use super::part::{self, Part, pass};
use super::scores::{Scores, spread};
use super::{TextImage, TextImageConfig, TokenTask, cut};
use crate::bundle::{Bundle, Sampling, Sources, settings_of};
use crate::data::{Expected, Template, Texts, Tokens, code_frequency_loss};
use crate::device::mix;
use crate::draw::Draws;
use crate::optim::Optimizer;
use crate::ranks::Team;
use crate::run::{Facts, Learner, Memory, Metrics, Snapshot, Step, load_module, sample_name, save_grid};
use crate::{Error, Result};

/// Files of a checkpoint.
const WEIGHTS: &str = "weights.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";

/// Trains a model of texts and images.
pub struct TokenLearner<C: TextImageConfig> {
    task: TokenTask<C>,
    bundle: Bundle<C::Model>,
    optimizer: Optimizer,
    train: Tokens,
    held_out: Option<Tokens>,
    /// In the order of the mix.
    exercises: Vec<Exercise>,
    /// The same on the held-out rows, as far as these have what a task needs.
    measured: Vec<Exercise>,
    prompts: Vec<String>,
    device: Device,
    team: Team,
}

impl<C: TextImageConfig> TokenLearner<C> {
    /// Loads data, codec and vocabulary, and makes the model.
    ///
    /// # Errors
    /// A file that is missing or does not fit the configuration.
    pub fn new(task: &TokenTask<C>, device: &Device) -> Result<Self> {
        task.check()?;
        let codec = Codec::load(&task.data.codec, &device.clone().without_autodiff())?;
        let bpe = Bpe::load(&task.data.bpe)?;
        task.data.fits(&bpe)?;
        let templates = task.tasks.templates()?;
        let texts = Texts { templates: &templates, bpe: Some(&bpe) };
        let (train, held_out) = task.data.sets(&expected(task, &codec, &bpe), &texts)?;
        let bpe = bpe.with_lowercase(train.meta().lowercase);
        let exercises = exercises(task, &train, &templates, &bpe)?;
        let measured = match &held_out {
            Some(tokens) => measured(&exercises, tokens, &templates, &bpe),
            None => Vec::new(),
        };
        let prompts = prompts(&task.samples.prompts, held_out.as_ref().unwrap_or(&train), &bpe);
        let bundle = Bundle { model: task.first_model(device)?, codec, bpe: Some(bpe) };
        let optimizer = Optimizer::new(task.optim.clone());
        let (task, device, team) = (task.clone(), device.clone(), Team::alone(device.clone()));
        Ok(Self { task, bundle, optimizer, train, held_out, exercises, measured, prompts, device, team })
    }

    /// The model with its codec and vocabulary, as trained so far.
    #[must_use]
    pub fn bundle(&self) -> &Bundle<C::Model> {
        &self.bundle
    }

    /// Mean held-out image loss of guessing each code by its frequency in the training images.
    #[must_use]
    pub fn baseline(&self) -> Option<f64> {
        let codebook = self.bundle.codec.codebook_size();
        let held_out = self.held_out.as_ref().filter(|held_out| held_out.images().len() > 0)?;
        Some(code_frequency_loss(&self.train, held_out, codebook))
    }

    /// The rows of a step, task by task. A pure function of (seed, step).
    fn parts(&mut self, step: u64) -> Vec<Part<'_>> {
        let batch = self.task.data.batch_size as u64;
        let [before, after] = [step, step + 1].map(|step| self.task.tasks.until(step * batch));
        let spans: Vec<_> = before.into_iter().zip(after).map(|(from, to)| from..to).collect();
        let rows: Vec<_> = self
            .exercises
            .iter_mut()
            .zip(&spans)
            .map(|(exercise, span)| exercise.span(span.clone()))
            .collect();
        let each = self.task.data.batch_size.div_ceil(self.team.parts(self.task.data.parts));
        let mut parts = Vec::new();
        for ((index, exercise), (rows, span)) in self.exercises.iter().enumerate().zip(rows.iter().zip(spans))
        {
            let until = |position: u64| (position as f64 * exercise.plan.text_dropout).floor() as usize;
            // Rows come in random order, so the first ones are as good as any.
            let bare = until(span.end) - until(span.start);
            let example = |(place, row): (usize, &usize)| exercise.example(&self.train, *row, place < bare).0;
            let examples: Vec<_> = rows.iter().enumerate().map(example).collect();
            let read = self.distracted(exercise, &examples, index, step);
            for (chunk, rows) in examples.chunks(each).enumerate() {
                let read = read.as_ref().map(|read| read[chunk * each..chunk * each + rows.len()].to_vec());
                parts.push(Part { plan: &exercise.plan, rows: rows.to_vec(), read });
            }
        }
        parts
    }

    /// What the model reads in place of the images, where that differs.
    fn distracted(
        &self,
        exercise: &Exercise,
        examples: &[Example<'_>],
        index: usize,
        step: u64,
    ) -> Option<Vec<Vec<u16>>> {
        let distraction = &exercise.plan.distraction;
        let images: Option<Vec<_>> = examples.iter().map(|example| example.codes.as_deref()).collect();
        let images = images.filter(|_| distraction.most > 0.0)?;
        let rows = exercise.rows();
        let pool = (rows.len(), |row: usize| self.train.codes(rows[row]));
        Some(distract(&images, pool, distraction, (self.task.run.seed ^ index as u64, step)))
    }

    fn sources(&self) -> Sources {
        Sources { bpe: Some(self.task.data.bpe.clone()) }
    }
}

impl<C: TextImageConfig> Learner for TokenLearner<C> {
    fn join(&mut self, team: &Team) -> Result<()> {
        team.check(self.task.data.batch_size, self.task.data.parts)?;
        self.team = team.clone();
        Ok(())
    }

    fn step(&mut self, step: u64) -> Result<Step> {
        let (model, team) = (self.bundle.model.clone(), self.team.clone());
        let recompute = self.task.run.recompute.then(|| mix(self.task.run.seed, step));
        let (grads, metrics) = pass(&model, self.parts(step), recompute, &team)?;
        let lr = self.task.schedule.at(step, self.task.run.steps);
        let (model, step) = self.optimizer.learn(lr, model, grads, metrics);
        self.bundle.model = model;
        Ok(step)
    }

    fn validate(&mut self) -> Result<Metrics> {
        let Some(tokens) = &self.held_out else { return Ok(Metrics::new()) };
        let (model, device) = (self.bundle.model.valid(), self.device.clone().without_autodiff());
        let mut scores = Scores::default();
        for exercise in &self.measured {
            let rows = exercise.rows();
            let chosen: Vec<_> =
                spread(rows.len(), self.task.data.held_out_rows).into_iter().map(|i| rows[i]).collect();
            for rows in chosen.chunks(self.task.data.batch_size) {
                let examples: Vec<_> =
                    rows.iter().map(|row| exercise.example(tokens, *row, false).0).collect();
                scores.add(&exercise.plan, model.position_losses(&batch(&examples, &device)));
            }
        }
        Ok(scores.metrics())
    }

    fn sample(&mut self, dir: &Path, step: u64) -> Result<()> {
        let columns = if self.task.samples.columns == 0 { 4 } else { self.task.samples.columns };
        let how = Sampling { config: self.task.samples.sampling, batch: self.task.data.batch_size };
        let model = self.bundle.model.valid();
        let pictures = self.bundle.draw_with(&model, &self.prompts, columns, &how, &mut |_| ())?;
        save_grid(&pictures, columns, &dir.join(sample_name(step, "")))?;
        Ok(atomic::write(dir.join("prompts.txt"), self.prompts.join("\n") + "\n")?)
    }

    fn snapshot(&self) -> Result<Snapshot> {
        let mut snapshot = Snapshot::new().module(WEIGHTS, &self.bundle.model);
        if let Some(bpe) = &self.bundle.bpe {
            let (name, text) = settings_of(bpe)?;
            snapshot = snapshot.text(name, text);
        }
        Ok(self.optimizer.snapshot(snapshot, OPTIMIZER))
    }

    fn load(&mut self, dir: &Path) -> Result<()> {
        self.bundle.model = load_module(self.bundle.model.clone(), &dir.join(WEIGHTS))?;
        self.optimizer.load(&dir.join(OPTIMIZER), &self.device)
    }

    fn export(&self, dir: &Path) -> Result<()> {
        self.bundle.save(&self.sources(), dir)
    }

    fn facts(&self) -> Facts {
        let (shared, batch) = (self.shares(), self.task.data.batch_size as f64);
        let core = self.bundle.model.gpt().config();
        let tokens: f64 = shared.iter().map(|(e, share)| e.plan.positions() as f64 * share).sum();
        let forth: f64 = shared.iter().map(|(e, share)| core.cost(e.plan.lengths()).step() * share).sum();
        // One pass of the task that is practised most.
        let most = shared.iter().max_by(|(_, a), (_, b)| a.total_cmp(b));
        Facts {
            parameters: self.bundle.model.num_params(),
            items_per_step: (batch * tokens).round() as u64,
            items: "tokens",
            flops_per_step: batch * forth,
            steps_per_epoch: most.map_or(0.0, |(e, share)| e.rows().len() as f64 / (batch * share)),
            memory: self.memory(),
            fingerprint: self.train.fingerprint().to_owned(),
            notes: self.notes(),
        }
    }
}

impl<C: TextImageConfig> TokenLearner<C> {
    /// Every task with its share of the rows.
    fn shares(&self) -> Vec<(&Exercise, f64)> {
        let weight: f64 = self.task.tasks.0.values().map(|practice| practice.weight).sum();
        let shares = self.task.tasks.0.values().map(|practice| practice.weight / weight);
        self.exercises.iter().zip(shares).collect()
    }

    /// What a run holds: the longest task's parts, as many as are computed side by side.
    fn memory(&self) -> Memory {
        let (model, data) = (&self.bundle.model, &self.task.data);
        let core = model.gpt().config();
        let parts = self.team.parts(data.parts);
        let side_by_side = self.team.width(parts, part::side_by_side(model)) as u64;
        let rows = data.batch_size.div_ceil(parts) as u64;
        let kept = |e: &Exercise| core.cost(e.plan.lengths()).kept(core.layers, self.task.run.recompute);
        let most = self.exercises.iter().map(kept).max().unwrap_or(0);
        let weights = model.num_params() as u64;
        Memory {
            data: self.train.bytes() + self.held_out.as_ref().map_or(0, Tokens::bytes),
            weights: Memory::floats(weights),
            average: 0,
            optimizer: Memory::floats(2 * weights),
            gradients: Memory::floats(side_by_side * weights),
            activations: Memory::floats(side_by_side * rows * most),
        }
    }

    fn notes(&self) -> Vec<String> {
        let mut notes =
            vec![format!("{} training rows, {} images", self.train.len(), self.train.images().len())];
        notes.extend(cut::notes(&self.exercises, &self.train, [C::LEFT, "model.right"]));
        if let Some(held_out) = &self.held_out {
            notes.push(format!("{} held-out rows, {} images", held_out.len(), held_out.images().len()));
        }
        if let Some(baseline) = self.baseline() {
            notes.push(format!("code-frequency baseline of the held-out image loss: {baseline:.3}"));
        }
        notes
    }
}

/// What the model asks of the shards.
fn expected<C: TextImageConfig>(task: &TokenTask<C>, codec: &Codec, bpe: &Bpe) -> Expected {
    let core = task.model.core();
    Expected {
        codec: Some((task.data.codec.clone(), codec.sha256.clone())),
        bpe: Some((task.data.bpe.clone(), bpe.sha256().to_owned())),
        grid: core.grid,
        codebook_size: core.image_vocab,
        vocab_size: core.text_vocab,
    }
}

/// Every task with its training rows.
fn exercises<C: TextImageConfig>(
    task: &TokenTask<C>,
    train: &Tokens,
    templates: &[Template],
    bpe: &Bpe,
) -> Result<Vec<Exercise>> {
    let exercise = |(index, plan)| {
        let seed = mix(task.run.seed, index);
        Exercise::new(&plan, train, templates, bpe, seed).ok_or_else(|| {
            Error::data(&task.data.tokens, format!("no row {}", plan.needs()))
                .with_hint(format!("leave the task {} out of `[tasks]`, or name other shards", plan.name))
        })
    };
    (0..).zip(task.plans()?).map(exercise).collect()
}

/// The same tasks on held-out rows, as far as these have what a task needs.
fn measured(exercises: &[Exercise], held_out: &Tokens, templates: &[Template], bpe: &Bpe) -> Vec<Exercise> {
    exercises.iter().filter_map(|e| Exercise::new(&e.plan, held_out, templates, bpe, 0)).collect()
}

/// The given prompts, or the first four different captions; the empty one where there is none.
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
    if found.is_empty() { vec![String::new()] } else { found }
}
