//! One step of training from token shards, its validation and what it keeps.

use std::ops::Range;
use std::path::Path;

use burn::tensor::Device;
use tokenize::bpe::Bpe;
use tokenize::codec::Codec;

use super::data::Sets;
use super::distraction::distract;
use super::exercise::{Example, Exercise, Plan, batch};
use super::part::{Part, pass};
use super::scores::{Scores, spread};
use super::shares::Shares;
use super::{TextImage, TextImageConfig, TokenTask};
use crate::average::{Average, MEAN};
use crate::bundle::{Bundle, Sources, settings_of};
use crate::data::{Expected, Reading, Stream, Taken, Template, Tokens, Window};
use crate::device::mix;
use crate::optim::{Optimizer, taken};
use crate::ranks::Team;
use crate::run::{EPOCHS, Facts, Learner, Metrics, ROWS, Snapshot, Step, load_module};
use crate::{Error, Result};

/// Files of a checkpoint.
const WEIGHTS: &str = "weights.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";

/// Trains a model of texts and images.
pub struct TokenLearner<C: TextImageConfig> {
    pub(super) task: TokenTask<C>,
    pub(super) bundle: Bundle<C::Model>,
    pub(super) optimizer: Optimizer,
    pub(super) average: Average<C::Model>,
    pub(super) sets: Vec<Sets>,
    /// In the order of the mix.
    pub(super) taught: Vec<Taught>,
    /// As far as the held-out rows have what a task needs.
    measured: Vec<Measured>,
    pub(super) shares: Shares,
    pub(super) prompts: Vec<String>,
    device: Device,
    pub(super) team: Team,
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
        let expected = expected(task, &codec, &bpe);
        let reading = Reading { expected, templates, bpe: Some(bpe.clone()), ..Reading::default() };
        let (sets, own) = task.data.sets(&task.tasks, &reading)?;
        let first = &sets[0];
        let bpe = bpe.with_lowercase(first.sample.meta().lowercase);
        let taught = taught(task, &sets, &own, &reading.templates, &bpe)?;
        let measured = measured(&taught, &sets);
        let prompts = prompts(&task.samples.prompts, first.held_out.as_ref().unwrap_or(&first.sample), &bpe);
        let shares = Shares::new(&task.tasks, task.data.batch_size);
        let model = task.optim.prepare(task.first_model(device)?)?;
        let bundle = Bundle { model, codec, bpe: Some(bpe) };
        let optimizer = Optimizer::new(task.optim.clone());
        let average = Average::begin(&task.average, &bundle.model);
        let (task, device, team) = (task.clone(), device.clone(), Team::alone(device.clone()));
        Ok(Self { task, bundle, optimizer, average, sets, taught, measured, shares, prompts, device, team })
    }

    /// The model with its codec and vocabulary, as trained so far.
    #[must_use]
    pub fn bundle(&self) -> &Bundle<C::Model> {
        &self.bundle
    }

    /// The rows of a step, task by task. A pure function of (seed, step).
    fn draw(&mut self, step: u64) -> Result<Vec<Drawn>> {
        let [before, after] = [step, step + 1].map(|step| self.shares.before(step));
        let spans = before.into_iter().zip(after).map(|(from, to)| from..to);
        let draw = |(taught, span): (&mut Taught, Range<u64>)| {
            Ok(Drawn { rows: taught.stream.take(span.clone())?, span })
        };
        self.taught.iter_mut().zip(spans).map(draw).collect()
    }

    /// The same as parts of the step.
    fn parts<'a>(&'a self, drawn: &'a [Drawn], step: u64) -> Vec<Part<'a>> {
        let each = self.task.data.batch_size.div_ceil(self.team.parts(self.task.data.parts));
        let mut parts = Vec::new();
        for (index, (taught, Drawn { rows, span })) in self.taught.iter().zip(drawn).enumerate() {
            let exercise = &taught.exercise;
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
    fn join(&mut self, team: &Team) -> Result<()> {
        team.check(self.task.data.batch_size, self.task.data.parts)?;
        self.team = team.clone();
        Ok(())
    }

    fn step(&mut self, step: u64) -> Result<Step> {
        let recompute = self.task.run.recompute.then(|| mix(self.task.run.seed, step));
        let drawn = self.draw(step)?;
        let waited = self.taught.iter_mut().map(|taught| taught.stream.waited()).sum();
        let parts = self.parts(&drawn, step);
        let (grads, metrics) = pass(&self.bundle.model, parts, recompute, &self.team)?;
        let metrics = self.counted(&drawn).fold(metrics, |metrics, (name, count)| metrics.with(name, count));
        let lr = self.task.schedule.at(step, self.task.run.steps);
        let model = taken(&mut self.bundle.model);
        let (model, made) = self.optimizer.learn(lr, model, grads, metrics);
        self.bundle.model = model;
        if made.metrics.not_finite().is_none() {
            self.average.update(&self.bundle.model, step);
        }
        Ok(Step { waited, ..made })
    }

    fn validate(&mut self) -> Result<Metrics> {
        let model = self.average.finished(&self.bundle.model);
        let device = self.device.clone().without_autodiff();
        let mut scores = Scores::default();
        for Measured { exercise, set, rows } in &self.measured {
            let Some(tokens) = &self.sets[*set].held_out else { continue };
            let chosen: Vec<_> =
                spread(rows.len(), self.task.data.held_out_rows).into_iter().map(|i| rows[i]).collect();
            for rows in chosen.chunks(self.task.data.batch_size) {
                let examples: Vec<_> =
                    rows.iter().map(|row| exercise.example(tokens, *row, false).0).collect();
                scores.add(&exercise.plan, model.position_losses(&batch(&examples, &device)));
            }
        }
        Ok(if self.measured.is_empty() { Metrics::new() } else { scores.metrics() })
    }

    fn sample(&mut self, dir: &Path, step: u64) -> Result<()> {
        self.show(dir, step)
    }

    fn snapshot(&self) -> Result<Snapshot> {
        let mut snapshot = Snapshot::new().module(WEIGHTS, &self.bundle.model);
        if let Some(mean) = self.average.mean() {
            snapshot = snapshot.module(MEAN, mean);
        }
        if let Some(bpe) = &self.bundle.bpe {
            let (name, text) = settings_of(bpe)?;
            snapshot = snapshot.text(name, text);
        }
        Ok(self.optimizer.snapshot(snapshot, OPTIMIZER))
    }

    fn load(&mut self, dir: &Path) -> Result<()> {
        self.bundle.model = load_module(self.bundle.model.clone(), &dir.join(WEIGHTS))?;
        self.average.load(dir, &self.bundle.model)?;
        self.optimizer.load(&dir.join(OPTIMIZER), &self.device)
    }

    fn export(&self, dir: &Path) -> Result<()> {
        self.bundle.save_with(&self.average.finished(&self.bundle.model), &self.sources(), dir)
    }

    fn facts(&self) -> Facts {
        self.known()
    }
}

impl<C: TextImageConfig> TokenLearner<C> {
    /// Rows and epochs of each task since the run began.
    fn counted<'a>(&'a self, drawn: &'a [Drawn]) -> impl Iterator<Item = (String, f64)> + 'a {
        self.taught.iter().zip(drawn).flat_map(|(taught, drawn)| {
            let (name, rows) = (&taught.exercise.plan.name, drawn.span.end as f64);
            [(format!("{ROWS}{name}"), rows), (format!("{EPOCHS}{name}"), rows / taught.stream.len() as f64)]
        })
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

/// A task with its training rows.
pub(super) struct Taught {
    pub(super) exercise: Exercise,
    /// Which of the run's sets they are from.
    pub(super) set: usize,
    pub(super) stream: Stream,
}

/// A task with its held-out rows.
struct Measured {
    exercise: Exercise,
    set: usize,
    rows: Vec<usize>,
}

/// Every task, `own` being the sets of each.
fn taught<C: TextImageConfig>(
    task: &TokenTask<C>,
    sets: &[Sets],
    own: &[usize],
    templates: &[Template],
    bpe: &Bpe,
) -> Result<Vec<Taught>> {
    let one = |((index, plan), set): ((u64, Plan), &usize)| {
        let (exercise, rows) = (Exercise::new(&plan, templates, bpe), &sets[*set]);
        let stream = rows.stream(&exercise, task.data.buffer_rows, mix(task.run.seed, index))?;
        let stream = stream.ok_or_else(|| {
            Error::data(&rows.path, format!("no row {}", plan.needs()))
                .with_hint(format!("leave the task {} out of `[tasks]`, or name other shards", plan.name))
        })?;
        Ok(Taught { exercise, set: *set, stream })
    };
    (0..).zip(task.plans()?).zip(own).map(one).collect()
}

/// The same tasks on held-out rows, as far as these have what a task needs.
fn measured(taught: &[Taught], sets: &[Sets]) -> Vec<Measured> {
    let one = |taught: &Taught| {
        let (exercise, set) = (taught.exercise.clone(), taught.set);
        let rows = exercise.takes(sets[set].held_out.as_ref()?);
        (!rows.is_empty()).then_some(Measured { exercise, set, rows })
    };
    taught.iter().filter_map(one).collect()
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
