//! What came out, measured: the codec, the losses, drawings, captions.

mod captions;
mod drawings;
mod retrieval;

use pipeline::picture::Picture;
use tokenize::metrics::CodeUsageSummary;
use tokenize::verify::{Filter, Quality, VerifyOptions, verify};

use super::gallery::Gallery;
use super::stages::Road;
use crate::bundle::Bundle;
use crate::curves::Curves;
use crate::data::{Expected, Tokens, Where, code_frequency_loss};
use crate::rudolph::Rudolph;
use crate::{Error, Result, device};

pub(super) use captions::{Captioned, Captions};
pub(super) use drawings::{Drawings, Drawn};
pub(super) use retrieval::Retrieval;

/// Codec pairs shown.
const RECONSTRUCTIONS: usize = 16;

/// Decides which training captions are drawn.
pub(super) const CHOICE_SEED: u64 = 1;

/// All that was measured.
pub(super) struct Measured {
    pub(super) codec: CodecCheck,
    pub(super) model: ModelFacts,
    pub(super) curves: Curves,
    /// Of the codec's own training, with `--from-scratch`.
    pub(super) codec_curves: Option<Curves>,
    pub(super) drawings: Drawings,
    pub(super) captions: Captions,
}

/// The codec on held-out pictures.
pub(super) struct CodecCheck {
    pub(super) name: String,
    pub(super) sha256: String,
    pub(super) quality: Quality,
    pub(super) codes: CodeUsageSummary,
    /// Originals with what their codes decode to.
    pub(super) samples: Vec<(Picture, Picture)>,
}

/// The trained model and what its held-out loss is held against.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ModelFacts {
    pub(super) parameters: usize,
    pub(super) training_rows: usize,
    pub(super) held_out_rows: usize,
    /// Held-out image loss of guessing each code by its frequency in the training pictures.
    pub(super) baseline: f64,
}

/// Measures everything, with the finished model of the run folder.
///
/// # Errors
/// A file that is missing or damaged, Ctrl-C.
pub(super) fn all(road: &Road, gallery: &Gallery) -> Result<Measured> {
    let run = road.run_folder();
    let device = device::open(&road.settings.rudolph.config.run.device)?;
    let bundle = Bundle::open(&run, &device)?.rudolph("caption")?;
    let codec_run = road.settings.vqgan.as_ref().map(|vqgan| &vqgan.config.run.out);
    Ok(Measured {
        codec: codec(road, &bundle)?,
        model: facts(road, &bundle)?,
        curves: Curves::read(&run)?,
        codec_curves: codec_run.map(|run| Curves::read(run)).transpose()?,
        captions: captions::caption(road, gallery, &bundle)?,
        drawings: drawings::draw(road, gallery, &bundle)?,
    })
}

/// `tokenize verify` on the held-out pictures.
fn codec(road: &Road, bundle: &Bundle<Rudolph>) -> Result<CodecCheck> {
    let tokens = &road.settings.tokens.config;
    let options = VerifyOptions {
        tokens: tokens.out.clone().into(),
        pairs: Some(tokens.pairs.to_string_lossy().into_owned()),
        filter: Some(Filter { column: "split".into(), value: "test".into() }),
        sample: 0,
        images: RECONSTRUCTIONS,
        exact: 0,
    };
    let (report, samples) =
        verify(&options, &bundle.codec, pipeline::progress::ProgressStyle::Quiet, &road.interrupt)?;
    let sha256 = tokenize::codec::Codec::load(road.settings.codec(), &device::open("cpu")?)?.sha256;
    let samples = samples.into_iter().filter_map(|sample| Some((sample.original?, sample.decoded))).collect();
    let quality = report.quality.ok_or_else(|| Error::data(&tokens.pairs, "no originals to compare with"))?;
    let name = road.settings.codec().display().to_string();
    Ok(CodecCheck { name, sha256, quality, codes: report.codes, samples })
}

fn facts(road: &Road, bundle: &Bundle<Rudolph>) -> Result<ModelFacts> {
    let task = &road.settings.rudolph.config;
    let expected = Expected {
        grid: task.model.grid,
        codebook_size: task.model.image_vocab,
        vocab_size: task.model.text_vocab,
        ..Expected::default()
    };
    let load = |filter: &Where| {
        Ok::<_, crate::Error>(Tokens::load(&task.data.tokens, filter, &expected)?.with_images())
    };
    let (train, held_out) = (load(&task.data.train)?, load(&task.data.held_out)?);
    Ok(ModelFacts {
        parameters: bundle.model.size(),
        training_rows: train.len(),
        held_out_rows: held_out.len(),
        baseline: code_frequency_loss(&train, &held_out, bundle.codec.codebook_size()),
    })
}
