//! Every figure of a demo, for stdout, for `demo.json` and for the report.

use serde::Serialize;
use tokenize::metrics::CodeUsageSummary;

use super::gallery::{Gallery, Reasons};
use super::ledger::Entry;
use super::machine::Machine;
use super::measure::{CHOICE_SEED, Captions, Measured, Retrieval};
use super::next;
use super::stages::Road;
use crate::curves::{HELD_OUT, TRAIN};
use crate::{Error, Result};

/// What earlier stages know.
pub(super) struct Made {
    pub(super) vocabulary: Vocabulary,
    /// Rows of the token shards.
    pub(super) rows: u64,
}

/// The text tokenizer.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Vocabulary {
    pub(super) size: usize,
    pub(super) sha256: String,
    /// Captions that it was learned from.
    pub(super) texts: usize,
}

/// The pictures.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct CrawlFigures {
    pub(super) rows: u64,
    pub(super) pictures: usize,
    pub(super) training_pictures: usize,
    pub(super) held_out_pictures: usize,
    /// Rows per reason; they add up to `rows`.
    pub(super) reasons: Reasons,
    pub(super) token_rows: u64,
}

/// The codec on held-out pictures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct CodecFigures {
    pub(super) file: String,
    pub(super) sha256: String,
    pub(super) from_scratch: bool,
    pub(super) pictures: u64,
    /// Mean of the pictures' PSNR in dB.
    pub(super) psnr: f64,
    /// PSNR of the mean squared error in dB.
    pub(super) psnr_of_mean_error: f64,
    pub(super) codes: CodeUsageSummary,
}

/// The text-image model.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct ModelFigures {
    pub(super) parameters: usize,
    pub(super) steps: u64,
    pub(super) batch_size: usize,
    pub(super) training_rows: usize,
    pub(super) held_out_rows: usize,
    /// Losses in nats after the last step, on held-out rows.
    pub(super) held_out_left: Option<f64>,
    pub(super) held_out_image: Option<f64>,
    pub(super) held_out_right: Option<f64>,
    /// The lowest held-out image loss of the run.
    pub(super) best_held_out_image: Option<f64>,
    /// The same of guessing each code by its frequency in the training pictures.
    pub(super) code_frequency_baseline: f64,
    /// The last logged training loss.
    pub(super) train_image: Option<f64>,
}

/// Captions that are exactly one of the two true ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct CaptionFigures {
    pub(super) training: usize,
    pub(super) training_right: usize,
    pub(super) held_out: usize,
    pub(super) held_out_right: usize,
}

/// What decided the random numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Seeds {
    pub(super) training: u64,
    pub(super) sampling: u64,
    pub(super) choice_of_captions: u64,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Figures {
    pub(super) version: u32,
    pub(super) crawl: CrawlFigures,
    pub(super) vocabulary: Vocabulary,
    pub(super) codec: CodecFigures,
    pub(super) model: ModelFigures,
    pub(super) retrieval: Retrieval,
    pub(super) captions: CaptionFigures,
    /// Seconds by stage, over all runs in the folder.
    pub(super) stages: Vec<Entry>,
    pub(super) seconds: f64,
    /// The most that any run in the folder has held; `None` where the system does not tell.
    pub(super) peak_memory_bytes: Option<u64>,
    pub(super) machine: Machine,
    pub(super) seeds: Seeds,
    /// The commands to do the same with one's own links.
    pub(super) next: Vec<String>,
}

impl Figures {
    /// Gathers what lies in many places.
    pub(super) fn gather(road: &Road, gallery: &Gallery, measured: &Measured, made: &Made) -> Self {
        let task = &road.settings.rudolph.config;
        let stages = road.ledger.entries().to_vec();
        Self {
            version: 1,
            crawl: CrawlFigures {
                rows: gallery.rows(),
                pictures: gallery.items.len(),
                training_pictures: gallery.training().len(),
                held_out_pictures: gallery.held_out().len(),
                reasons: gallery.reasons.clone(),
                token_rows: made.rows,
            },
            vocabulary: made.vocabulary.clone(),
            codec: codec(road, measured),
            model: model(road, measured),
            retrieval: measured.drawings.retrieval.clone(),
            captions: captions(&measured.captions),
            seconds: stages.iter().map(|entry| entry.seconds).sum(),
            stages,
            peak_memory_bytes: road.ledger.peak_memory(),
            machine: Machine::here(&road.place.lock_file()),
            seeds: Seeds {
                training: task.run.seed,
                sampling: task.samples.sampling.seed,
                choice_of_captions: CHOICE_SEED,
            },
            next: next::commands(road),
        }
    }

    /// `demo.json`.
    ///
    /// # Errors
    /// Never with figures that are finite.
    pub(super) fn json(&self) -> Result<String> {
        let json = serde_json::to_string_pretty(self)
            .map_err(|error| Error::config(format!("demo.json: {error}")))?;
        Ok(json + "\n")
    }
}

fn codec(road: &Road, measured: &Measured) -> CodecFigures {
    let check = &measured.codec;
    CodecFigures {
        file: check.name.clone(),
        sha256: check.sha256.clone(),
        from_scratch: road.settings.vqgan.is_some(),
        pictures: check.quality.images,
        psnr: check.quality.psnr,
        psnr_of_mean_error: check.quality.psnr_of_mean_error,
        codes: check.codes,
    }
}

fn model(road: &Road, measured: &Measured) -> ModelFigures {
    let (task, curves) = (&road.settings.rudolph.config, &measured.curves);
    let last = |points: &[(f64, f64)]| points.last().map(|(_, value)| *value);
    let held_out_images = curves.points(HELD_OUT, "image");
    ModelFigures {
        parameters: measured.model.parameters,
        steps: task.run.steps,
        batch_size: task.data.batch_size,
        training_rows: measured.model.training_rows,
        held_out_rows: measured.model.held_out_rows,
        held_out_left: last(curves.points(HELD_OUT, "left")),
        held_out_right: last(curves.points(HELD_OUT, "right")),
        best_held_out_image: held_out_images.iter().map(|(_, value)| *value).reduce(f64::min),
        held_out_image: last(held_out_images),
        code_frequency_baseline: measured.model.baseline,
        train_image: last(curves.points(TRAIN, "image")),
    }
}

fn captions(captions: &Captions) -> CaptionFigures {
    CaptionFigures {
        training: captions.training.len(),
        training_right: Captions::right(&captions.training),
        held_out: captions.held_out.len(),
        held_out_right: Captions::right(&captions.held_out),
    }
}
