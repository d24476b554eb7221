//! One step of ImageGPT's training, its validation and what it keeps.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use tokenize::codec::Codec;

use super::baseline::{Context, baseline};
use super::part::{self, pass, scalar};
use super::pupil::{Judged, Pictures, Pupil, numbers};
use super::{Classes, ImageGptTask, labels, mask, sheet::sheet};
use crate::average::{Average, MEAN};
use crate::bundle::{Bundle, Sources};
use crate::data::{Order, Tokens, code_frequency_loss};
use crate::device::mix;
use crate::gpt::{Cost, Lengths, Vocabulary};
use crate::image_gpt::ImageGpt;
use crate::optim::{Optimizer, taken};
use crate::ranks::Team;
use crate::run::{
    EPOCHS, Facts, Learner, Memory, Metrics, ROWS, Snapshot, Step, load_module, sample_name, save_grid,
    save_module,
};
use crate::schedule::Schedule;
use crate::{Error, Result};

const WEIGHTS: &str = "weights.safetensors";
const CLASSIFIER: &str = "classifier.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
/// The mean's, beside [`MEAN`].
const MEAN_CLASSIFIER: &str = "mean_classifier.safetensors";

/// Trains ImageGPT.
pub struct ImageGptLearner {
    task: ImageGptTask,
    pupil: Pupil,
    codec: Codec,
    optimizer: Optimizer,
    average: Average<Pupil>,
    schedule: Schedule,
    train: Tokens,
    held_out: Option<Tokens>,
    classes: Option<Labelled>,
    order: Order,
    device: Device,
    team: Team,
}

/// The classes of all rows.
struct Labelled {
    classes: Classes,
    train: Vec<usize>,
    held_out: Vec<usize>,
}

impl ImageGptLearner {
    /// Loads data and palette, and makes the model.
    ///
    /// # Errors
    /// A file that is missing or does not fit the configuration.
    pub fn new(task: &ImageGptTask, device: &Device) -> Result<Self> {
        task.check()?;
        let codec = Codec::load(&task.data.codec, &device.clone().without_autodiff())?;
        let (train, held_out) = task.sets(&codec)?;
        let classes = match &task.classify {
            Some(classify) => Some(Labelled::read(task, &classify.label, &train)?),
            None => None,
        };
        let model = match &task.from {
            Some(path) => ImageGpt::load(&task.model, path, device)?,
            None => task.model.init(device),
        };
        let order = Order::new(task.run.seed, train.len(), task.data.batch_size);
        let pupil = Pupil::new(model, classes.as_ref().map(|labelled| labelled.classes.len()), device);
        let pupil = task.optim.prepare(pupil)?;
        Ok(Self {
            average: Average::begin(&task.average, &pupil),
            pupil,
            optimizer: Optimizer::new(task.optim.clone()),
            schedule: task.pace.schedule(order.steps_per_epoch()),
            task: task.clone(),
            codec,
            train,
            held_out,
            classes,
            order,
            device: device.clone(),
            team: Team::alone(device.clone()),
        })
    }

    /// The pictures of a step, cut into as many parts as asked for.
    fn parts(&self, step: u64, rows: &[usize]) -> Vec<Pictures<'_>> {
        let pixels = self.train.meta().codes_per_image();
        let mut seen = (self.task.model.bidirectional)
            .then(|| mask::seen(rows.len(), pixels, self.task.hidden, (self.task.run.seed, step)));
        let part = |rows: &[usize]| Pictures {
            codes: rows.iter().map(|row| self.train.codes(*row).unwrap_or_default()).collect(),
            seen: seen.as_mut().map(|seen| seen.drain(..rows.len()).collect()),
            classes: self.classes.as_ref().map(|known| rows.iter().map(|row| known.train[*row]).collect()),
        };
        rows.chunks(rows.len().div_ceil(self.team.parts(self.task.data.parts)).max(1)).map(part).collect()
    }

    /// Held-out rows that are scored, a batch at a time.
    fn score(&self, held_out: &Tokens) -> Result<Metrics> {
        let device = self.device.clone().without_autodiff();
        let pupil = self.average.finished(&self.pupil);
        let mut scores = Scores::default();
        let rows = spread(held_out.len(), self.task.data.held_out_rows);
        for (number, rows) in (0..).zip(rows.chunks(self.task.data.batch_size)) {
            let pixels = held_out.meta().codes_per_image();
            // The same pixels at every validation, and none of a training step's.
            let at = (self.task.run.seed, u64::MAX / 2 + number);
            let pictures = Pictures {
                codes: rows.iter().map(|row| held_out.codes(*row).unwrap_or_default()).collect(),
                seen: (self.task.model.bidirectional)
                    .then(|| mask::seen(rows.len(), pixels, self.task.hidden, at)),
                classes: self
                    .classes
                    .as_ref()
                    .map(|known| rows.iter().map(|row| known.held_out[*row]).collect()),
            };
            let hidden = pupil.model.gpt.forward(pupil.embed(&pictures, &device)?, None);
            let judged = pupil.judge(hidden, &pictures, &device);
            scores.add(&pupil, &pictures, judged, &device);
        }
        Ok(scores.metrics())
    }

    fn bundle(&self, model: ImageGpt) -> Result<Bundle<ImageGpt>> {
        let codec = Codec::load(&self.task.data.codec, &self.device.clone().without_autodiff())?;
        Ok(Bundle { model, codec, bpe: None })
    }
}

impl Labelled {
    fn read(task: &ImageGptTask, column: &str, train: &Tokens) -> Result<Self> {
        let mut known = labels(&task.data.tokens, &task.data.train, column)?;
        let held_out = if task.data.held_out.is_any() {
            known.split_off(train.len().min(known.len()))
        } else {
            labels(&task.data.tokens, &task.data.held_out, column)?
        };
        let classes = Classes::of(&known);
        if classes.len() < 2 {
            return Err(Error::config(format!("classify.label: column `{column}` has only one class")));
        }
        Ok(Self { train: classes.numbers(&known)?, held_out: classes.numbers(&held_out)?, classes })
    }
}

/// Sums over the held-out rows.
#[derive(Default)]
struct Scores {
    nats: f64,
    pixels: f64,
    right: f64,
    class_nats: f64,
    class_right: f64,
    rows: f64,
}

impl Scores {
    fn add(&mut self, pupil: &Pupil, pictures: &Pictures<'_>, judged: Judged, device: &Device) {
        let [b, n] = judged.pixels.dims();
        let counts = judged.counts.unwrap_or_else(|| judged.pixels.ones_like());
        self.nats += scalar(judged.pixels.sum());
        self.pixels += scalar(counts.clone().sum());
        let codes: Vec<usize> =
            pictures.codes.iter().flat_map(|codes| codes.iter().map(|code| usize::from(*code))).collect();
        let best = pupil.model.gpt.logits(judged.hidden, Vocabulary::Image).argmax(2).reshape([b * n]);
        let right = best.equal(numbers(&codes, device)).float() * counts.reshape([b * n]);
        self.right += scalar(right.sum());
        if let (Some((nll, logits)), Some(classes)) = (judged.class, &pictures.classes) {
            let best = logits.argmax(1).reshape([b]);
            self.class_nats += scalar(nll.sum());
            self.class_right += scalar(best.equal(numbers(classes, device)).float().sum());
        }
        self.rows += b as f64;
    }

    /// `loss` in nats per pixel, with the class's where there is one; `bits` per pixel; shares that were right.
    fn metrics(&self) -> Metrics {
        let pixel = self.nats / self.pixels.max(1.0);
        let class = (self.class_nats > 0.0).then(|| self.class_nats / self.rows);
        let mut metrics = Metrics::new()
            .with("loss", pixel + class.unwrap_or(0.0))
            .with("pixel", pixel)
            .with("bits", pixel / std::f64::consts::LN_2)
            .with("accuracy", self.right / self.pixels.max(1.0));
        let accuracy = class.map(|_| self.class_right / self.rows);
        metrics
            .extend([class.map(|class| ("class", class)), accuracy.map(|share| ("class_accuracy", share))]);
        metrics
    }
}

impl Learner for ImageGptLearner {
    fn join(&mut self, team: &Team) -> Result<()> {
        team.check(self.task.data.batch_size, self.task.data.parts)?;
        self.team = team.clone();
        Ok(())
    }

    fn step(&mut self, step: u64) -> Result<Step> {
        let rows = self.order.rows(step);
        let recompute = self.task.run.recompute.then(|| mix(self.task.run.seed, step));
        let (grads, metrics) = pass(&self.pupil, self.parts(step, &rows), recompute, &self.team)?;
        let seen = (step + 1) as f64 * self.task.data.batch_size as f64;
        let metrics = metrics
            .with(format!("{ROWS}pictures"), seen)
            .with(format!("{EPOCHS}pictures"), seen / self.train.len() as f64);
        let lr = self.schedule.at(step, self.task.run.steps);
        let pupil = taken(&mut self.pupil);
        let (pupil, made) = self.optimizer.learn(lr, pupil, grads, metrics);
        self.pupil = pupil;
        if made.metrics.not_finite().is_none() {
            self.average.update(&self.pupil, step);
        }
        Ok(made)
    }

    fn validate(&mut self) -> Result<Metrics> {
        self.held_out.as_ref().map_or_else(|| Ok(Metrics::new()), |held_out| self.score(held_out))
    }

    fn sample(&mut self, dir: &Path, step: u64) -> Result<()> {
        let from = self.held_out.as_ref().unwrap_or(&self.train);
        let rows = spread(from.len(), self.task.samples.rows.max(1));
        let originals: Vec<_> =
            rows.iter().take(self.task.samples.rows).filter_map(|row| from.codes(*row)).collect();
        let device = self.device.clone().without_autodiff();
        let model = self.average.finished(&self.pupil).model;
        let (pictures, columns) = sheet(&self.task, &model, &self.codec, &originals, &device)?;
        save_grid(&pictures, columns, &dir.join(sample_name(step, "")))
    }

    fn snapshot(&self) -> Result<Snapshot> {
        let snapshot = add(Snapshot::new(), &self.pupil, [WEIGHTS, CLASSIFIER]);
        let snapshot = match self.average.mean() {
            Some(mean) => add(snapshot, mean, [MEAN, MEAN_CLASSIFIER]),
            None => snapshot,
        };
        Ok(self.optimizer.snapshot(snapshot, OPTIMIZER))
    }

    fn load(&mut self, dir: &Path) -> Result<()> {
        self.pupil = load(self.pupil.clone(), dir, [WEIGHTS, CLASSIFIER])?;
        self.average.restore(dir, &self.pupil, |mean| load(mean, dir, [MEAN, MEAN_CLASSIFIER]))?;
        self.optimizer.load(&dir.join(OPTIMIZER), &self.device)
    }

    fn export(&self, dir: &Path) -> Result<()> {
        let pupil = self.average.finished(&self.pupil);
        self.bundle(pupil.model)?.save(&Sources { bpe: None }, dir)?;
        if let (Some(classifier), Some(known)) = (pupil.classifier, &self.classes) {
            save_module(&classifier, &dir.join(CLASSIFIER))?;
            pipeline::atomic::write(dir.join("classes.txt"), known.classes.names().join("\n") + "\n")?;
        }
        Ok(())
    }

    fn facts(&self) -> Facts {
        let pixels = self.train.meta().codes_per_image();
        let cost = self.pupil.model.gpt.config().cost(Lengths { image: pixels, ..Lengths::default() });
        Facts {
            parameters: self.pupil.num_params(),
            items_per_step: (self.task.data.batch_size * pixels) as u64,
            items: "pixels",
            flops_per_step: self.task.data.batch_size as f64 * cost.step(),
            steps_per_epoch: self.order.steps_per_epoch(),
            memory: self.memory(&cost),
            fingerprint: self.train.fingerprint().to_owned(),
            notes: self.notes(),
        }
    }
}

impl ImageGptLearner {
    /// What a run holds: as many parts as are computed side by side.
    fn memory(&self, cost: &Cost) -> Memory {
        let data = &self.task.data;
        let parts = self.team.parts(data.parts);
        let side_by_side = self.team.width(parts, part::side_by_side(&self.pupil)) as u64;
        let rows = data.batch_size.div_ceil(parts) as u64;
        let kept = cost.kept(self.pupil.model.gpt.config().layers, self.task.run.recompute);
        let weights = self.pupil.num_params() as u64;
        Memory {
            data: self.train.bytes() + self.held_out.as_ref().map_or(0, Tokens::bytes),
            weights: Memory::floats(weights),
            average: self.average.bytes(),
            optimizer: self.optimizer.state_bytes(&self.pupil),
            // Of the parts that are computed, and the sum of those before.
            gradients: Memory::floats((side_by_side + u64::from(parts as u64 > side_by_side)) * weights),
            activations: Memory::floats(side_by_side * rows * kept),
            apart: side_by_side > 1,
        }
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = vec![format!("{} training pictures", self.train.len())];
        if let Some(known) = &self.classes {
            notes.push(format!("{} classes: {}", known.classes.len(), known.classes.names().join(", ")));
        }
        let Some(held_out) = &self.held_out else { return notes };
        notes.push(format!("{} held-out pictures", held_out.len()));
        let baseline_words = |loss: f64, how: &str| {
            format!("baseline, held out, nats per pixel: {loss:.3} by how often {how}")
        };
        let frequency = code_frequency_loss(&self.train, held_out, self.task.model.colours);
        notes.push(baseline_words(frequency, "each colour occurs"));
        let tables = [
            (Context::Before, "it occurs after the pixel before"),
            (Context::BeforeAndAbove, "it occurs after the pixels before and above"),
        ];
        for (context, how) in tables {
            notes.extend(baseline(context, &self.train, held_out).map(|loss| baseline_words(loss, how)));
        }
        notes
    }
}

/// Adds a pupil's files to a checkpoint.
fn add(snapshot: Snapshot, pupil: &Pupil, [model, classifier]: [&'static str; 2]) -> Snapshot {
    let snapshot = snapshot.module(model, &pupil.model);
    match &pupil.classifier {
        Some(known) => snapshot.module(classifier, known),
        None => snapshot,
    }
}

/// Reads what [`save`] wrote.
fn load(pupil: Pupil, dir: &Path, [model, classifier]: [&str; 2]) -> Result<Pupil> {
    let known = pupil.classifier.map(|known| load_module(known, &dir.join(classifier)));
    Ok(Pupil { model: load_module(pupil.model, &dir.join(model))?, classifier: known.transpose()? })
}

/// At most `limit` of `rows` rows, evenly spread; 0 takes all.
pub(super) fn spread(rows: usize, limit: usize) -> Vec<usize> {
    let count = if limit == 0 { rows } else { rows.min(limit) };
    (0..count).map(|i| i * rows / count).collect()
}
