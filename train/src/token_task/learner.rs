//! One step of training from token shards, its validation and what it keeps.

use std::ops::Range;
use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use pipeline::atomic;
use tokenize::bpe::Bpe;
use tokenize::codec::Codec;

use super::data::Sets;
use super::distraction::distract;
use super::exercise::{Example, Exercise, batch};
use super::part::{self, Part, pass};
use super::scores::{Scores, spread};
use super::{TextImage, TextImageConfig, TokenTask, cut};
use crate::bundle::{Bundle, Sampling, Sources, settings_of};
use crate::data::{Expected, Stream, Taken, Template, Tokens, Window, code_frequency_loss};
use crate::device::mix;
use crate::draw::Draws;
use crate::optim::Optimizer;
use crate::run::{
    EPOCHS, Facts, Learner, Memory, Metrics, ROWS, Snapshot, Step, load_module, sample_name, save_grid, width,
};
use crate::{Error, Result};

/// Files of a checkpoint.
const WEIGHTS: &str = "weights.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";

/// Trains a model of texts and images.
pub struct TokenLearner<C: TextImageConfig> {
    task: TokenTask<C>,
    bundle: Bundle<C::Model>,
    optimizer: Optimizer,
    sets: Sets,
    /// In the order of the mix, each with its training rows.
    exercises: Vec<(Exercise, Stream)>,
    /// The same with the held-out rows, as far as these have what a task needs.
    measured: Vec<(Exercise, Vec<usize>)>,
    prompts: Vec<String>,
    device: Device,
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
        let sets = task.data.sets(expected(task, &codec, &bpe), &templates, &bpe)?;
        let bpe = bpe.with_lowercase(sets.sample.meta().lowercase);
        let exercises = exercises(task, &sets, &templates, &bpe)?;
        let measured = sets.held_out.iter().flat_map(|tokens| measured(&exercises, tokens)).collect();
        let prompts = prompts(&task.samples.prompts, sets.held_out.as_ref().unwrap_or(&sets.sample), &bpe);
        let model = task.optim.prepare(task.first_model(device)?)?;
        let bundle = Bundle { model, codec, bpe: Some(bpe) };
        let optimizer = Optimizer::new(task.optim.clone());
        let (task, device) = (task.clone(), device.clone());
        Ok(Self { task, bundle, optimizer, sets, exercises, measured, prompts, device })
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
        let held_out = self.sets.held_out.as_ref().filter(|held_out| held_out.images().len() > 0)?;
        Some(code_frequency_loss(&self.sets.sample, held_out, codebook))
    }

    /// The rows of a step, task by task. A pure function of (seed, step).
    fn draw(&mut self, step: u64) -> Result<Vec<Drawn>> {
        let batch = self.task.data.batch_size as u64;
        let [before, after] = [step, step + 1].map(|step| self.task.tasks.until(step * batch));
        let spans = before.into_iter().zip(after).map(|(from, to)| from..to);
        let draw = |((_, stream), span): (&mut (Exercise, Stream), Range<u64>)| {
            Ok(Drawn { rows: stream.take(span.clone())?, span })
        };
        self.exercises.iter_mut().zip(spans).map(draw).collect()
    }

    /// The same as parts of the step.
    fn parts<'a>(&'a self, drawn: &'a [Drawn], step: u64) -> Vec<Part<'a>> {
        let each = self.task.data.batch_size.div_ceil(self.task.data.parts);
        let mut parts = Vec::new();
        for (index, ((exercise, _), Drawn { rows, span })) in self.exercises.iter().zip(drawn).enumerate() {
            let until = |position: u64| (position as f64 * exercise.plan.text_dropout).floor() as usize;
            // Rows come in random order, so the first ones are as good as any.
            let bare = until(span.end) - until(span.start);
            let example = |(place, taken): (usize, &'a Taken)| {
                exercise.example(&taken.window.tokens, taken.row, place < bare).0
            };
            let examples: Vec<_> = rows.iter().enumerate().map(example).collect();
            let pool = rows.first().map(|taken| &*taken.window);
            let read = pool.and_then(|pool| self.distracted(exercise, &examples, pool, (index, step)));
            for (chunk, rows) in examples.chunks(each).enumerate() {
                let read = read.as_ref().map(|read| read[chunk * each..chunk * each + rows.len()].to_vec());
                let weights = exercise.plan.loss.at(step);
                parts.push(Part { plan: &exercise.plan, weights, rows: rows.to_vec(), read });
            }
        }
        parts
    }

    /// What the model reads in place of the images, where that differs.
    fn distracted(
        &self,
        exercise: &Exercise,
        examples: &[Example<'_>],
        pool: &Window,
        (index, step): (usize, u64),
    ) -> Option<Vec<Vec<u16>>> {
        let distraction = &exercise.plan.distraction;
        let images: Option<Vec<_>> = examples.iter().map(|example| example.codes.as_deref()).collect();
        let images = images.filter(|_| distraction.most > 0.0)?;
        let pool = (pool.rows.len(), |row: usize| pool.tokens.codes(pool.rows[row]));
        Some(distract(&images, pool, distraction, (self.task.run.seed ^ index as u64, step)))
    }

    fn sources(&self) -> Sources {
        Sources { bpe: Some(self.task.data.bpe.clone()) }
    }
}

impl<C: TextImageConfig> Learner for TokenLearner<C> {
    fn step(&mut self, step: u64) -> Result<Step> {
        let (model, device) = (self.bundle.model.clone(), self.device.clone());
        let recompute = self.task.run.recompute.then(|| mix(self.task.run.seed, step));
        let drawn = self.draw(step)?;
        let waited = self.exercises.iter_mut().map(|(_, stream)| stream.waited()).sum();
        let (grads, metrics) = pass(&model, self.parts(&drawn, step), recompute, &device)?;
        let metrics = self.counted(&drawn).fold(metrics, |metrics, (name, count)| metrics.with(name, count));
        let lr = self.task.schedule.at(step, self.task.run.steps);
        let (model, made) = self.optimizer.learn(lr, model, grads, metrics);
        self.bundle.model = model;
        Ok(Step { waited, ..made })
    }

    fn validate(&mut self) -> Result<Metrics> {
        let Some(tokens) = &self.sets.held_out else { return Ok(Metrics::new()) };
        let (model, device) = (self.bundle.model.valid(), self.device.clone().without_autodiff());
        let mut scores = Scores::default();
        for (exercise, rows) in &self.measured {
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
        let tokens: f64 = shared.iter().map(|(e, _, share)| e.plan.positions() as f64 * share).sum();
        let forth: f64 = shared.iter().map(|(e, _, share)| core.cost(e.plan.lengths()).step() * share).sum();
        // One pass of the task that is practised most.
        let most = shared.iter().max_by(|(_, _, a), (_, _, b)| a.total_cmp(b));
        Facts {
            parameters: self.bundle.model.num_params(),
            items_per_step: (batch * tokens).round() as u64,
            items: "tokens",
            flops_per_step: batch * forth,
            steps_per_epoch: most.map_or(0.0, |(_, stream, share)| stream.len() as f64 / (batch * share)),
            memory: self.memory(),
            fingerprint: self.sets.fingerprint.clone(),
            notes: self.notes(),
        }
    }
}

impl<C: TextImageConfig> TokenLearner<C> {
    /// Rows and epochs of each task since the run began.
    fn counted<'a>(&'a self, drawn: &'a [Drawn]) -> impl Iterator<Item = (String, f64)> + 'a {
        self.exercises.iter().zip(drawn).flat_map(|((exercise, stream), drawn)| {
            let (name, rows) = (&exercise.plan.name, drawn.span.end as f64);
            [(format!("{ROWS}{name}"), rows), (format!("{EPOCHS}{name}"), rows / stream.len() as f64)]
        })
    }

    /// Every task with its share of the rows.
    fn shares(&self) -> Vec<(&Exercise, &Stream, f64)> {
        let weight: f64 = self.task.tasks.0.values().map(|practice| practice.weight).sum();
        let shares = self.task.tasks.0.values().map(|practice| practice.weight / weight);
        self.exercises.iter().zip(shares).map(|((e, stream), share)| (e, stream, share)).collect()
    }

    /// What a run holds: the longest task's parts, as many as are computed side by side.
    fn memory(&self) -> Memory {
        let (model, data) = (&self.bundle.model, &self.task.data);
        let core = model.gpt().config();
        let side_by_side = width(data.parts, part::side_by_side(model)) as u64;
        let rows = data.batch_size.div_ceil(data.parts) as u64;
        let kept = |e: &Exercise| core.cost(e.plan.lengths()).kept(core.layers, self.task.run.recompute);
        let most = self.exercises.iter().map(|(e, _)| kept(e)).max().unwrap_or(0);
        let weights = model.num_params() as u64;
        Memory {
            data: self.rows_held(),
            weights: Memory::floats(weights),
            average: 0,
            optimizer: self.optimizer.state_bytes(model),
            gradients: Memory::floats(side_by_side * weights),
            activations: Memory::floats(side_by_side * rows * most),
        }
    }

    /// Bytes of the rows in memory: all, or for each task the present window and the next.
    fn rows_held(&self) -> u64 {
        let Sets { sample, blocks, held_out, .. } = &self.sets;
        let window = blocks
            .as_ref()
            .map_or(0, |_| sample.bytes() * self.task.data.buffer_rows as u64 / sample.len().max(1) as u64);
        let windows = 2 * window * self.exercises.len() as u64;
        sample.bytes() + windows + held_out.as_ref().map_or(0, Tokens::bytes)
    }

    fn notes(&self) -> Vec<String> {
        let Sets { sample, held_out, .. } = &self.sets;
        let mut notes = vec![self.sets.note(self.task.data.buffer_rows)];
        let exercises = self.exercises.iter().map(|(exercise, _)| exercise);
        notes.extend(cut::notes(exercises, sample, [C::LEFT, "model.right"]));
        if let Some(held_out) = held_out {
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

/// Rows of one task in a step, and their places in its order.
struct Drawn {
    rows: Vec<Taken>,
    span: Range<u64>,
}

/// Every task with its training rows.
fn exercises<C: TextImageConfig>(
    task: &TokenTask<C>,
    sets: &Sets,
    templates: &[Template],
    bpe: &Bpe,
) -> Result<Vec<(Exercise, Stream)>> {
    let exercise = |(index, plan)| {
        let exercise = Exercise::new(&plan, templates, bpe);
        let stream = sets.stream(&exercise, task.data.buffer_rows, mix(task.run.seed, index))?;
        let stream = stream.ok_or_else(|| {
            Error::data(&task.data.tokens, format!("no row {}", plan.needs()))
                .with_hint(format!("leave the task {} out of `[tasks]`, or name other shards", plan.name))
        })?;
        Ok((exercise, stream))
    };
    (0..).zip(task.plans()?).map(exercise).collect()
}

/// The same tasks on held-out rows, as far as these have what a task needs.
fn measured(exercises: &[(Exercise, Stream)], held_out: &Tokens) -> Vec<(Exercise, Vec<usize>)> {
    let taken = exercises.iter().map(|(exercise, _)| (exercise.clone(), exercise.takes(held_out)));
    taken.filter(|(_, rows)| !rows.is_empty()).collect()
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
