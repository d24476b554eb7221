//! `tokenize verify`: decodes the codes of token shards and holds them against the originals.

mod compare;
mod filter;
mod grid;
mod select;

use std::path::{Path, PathBuf};

use pipeline::interrupt::Interrupt;
use pipeline::picture::Picture;
use pipeline::progress::{Progress, ProgressStyle};
use serde::Serialize;

use compare::Comparison;
pub use filter::Filter;
pub use grid::grid;
use select::Selection;

use crate::codec::Codec;
use crate::metrics::CodeUsageSummary;
use crate::tokens::TokenMeta;
use crate::{Error, Result, shard_list, show};

/// Pictures decoded at a time.
const BATCH: usize = 16;

/// What to verify.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// A token shard, or a folder of them.
    pub tokens: PathBuf,
    /// The pair shards that they were made from; without them decodings are shown alone.
    pub pairs: Option<String>,
    /// Rows to look at.
    pub filter: Option<Filter>,
    /// Most pictures to measure, evenly spread over the selection; 0 = all.
    pub sample: usize,
    /// Most pictures in the grid, evenly spread over the measured ones.
    pub images: usize,
    /// Most originals to encode again, evenly spread over the measured ones.
    pub exact: usize,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Pictures in the selection.
    pub selected: usize,
    /// The decodings beside their originals; absent without pairs.
    #[serde(flatten)]
    pub quality: Option<Quality>,
    /// Use of the codebook over the whole selection.
    pub codes: CodeUsageSummary,
    /// How often each code occurs there.
    pub histogram: Vec<u64>,
}

/// How near the decodings are to their originals.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Quality {
    /// Pictures measured.
    pub images: u64,
    /// Measured pictures whose original was not among the pairs.
    pub missing: usize,
    /// Mean of the pictures' PSNR in dB.
    pub psnr: f64,
    /// PSNR of the mean squared error of all pictures in dB.
    pub psnr_of_mean_error: f64,
    /// Mean squared error of all pictures, of values from 0 to 1.
    pub mse: f64,
    /// Mean of the pictures' SSIM; `None` where they are too small for its window.
    pub ssim: Option<f64>,
    /// What encoding originals again gave.
    pub exact: Exact,
}

/// Originals encoded again, and how many of their codes came out otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Exact {
    /// Pictures encoded again.
    pub pictures: usize,
    /// Pictures with another code.
    pub pictures_differing: usize,
    /// Codes compared.
    pub codes: usize,
    /// Codes that differ.
    pub codes_differing: usize,
}

/// A decoding and, where the pairs are known, its original.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The original, scaled and cut to the decoding's size.
    pub original: Option<Picture>,
    /// What the codec draws from the codes.
    pub decoded: Picture,
}

/// Compares; returns the figures and the pictures for [`grid`].
///
/// # Errors
/// Shards of another codec ([`Error::Mismatch`]), damaged shards, an empty selection, Ctrl-C.
pub fn verify(
    options: &VerifyOptions,
    codec: &Codec,
    style: ProgressStyle,
    interrupt: &Interrupt,
) -> Result<(Report, Vec<Sample>)> {
    let shards = shard_list::list(&options.tokens)?;
    let meta = show::common_meta(&shards)?;
    check_codec(&shards[0], &meta, codec)?;
    let selection = select::select(&shards, &meta, options)?;
    let shown = select::spread(&selection.order, options.images);
    let (quality, samples) = match &options.pairs {
        Some(pairs) => {
            let exact = select::spread(&selection.order, options.exact);
            let progress = Progress::start(style, "pictures", Some(selection.codes.len() as u64), 0);
            let mut comparison = Comparison::new(codec, &meta, shown, exact);
            comparison.run(pairs, &selection.codes, |done| {
                progress.set(done);
                interrupt.check()
            })?;
            progress.finish();
            let (quality, samples) = comparison.finish(&selection);
            (Some(quality.ok_or_else(|| absent(pairs))?), samples)
        }
        None => (None, decodings(&selection, &shown, codec, &meta)?),
    };
    let Selection { selected, usage, .. } = selection;
    let (codes, histogram) = (usage.summary(), usage.counts().to_vec());
    Ok((Report { selected, quality, codes, histogram }, samples))
}

fn absent(pairs: &str) -> Error {
    Error::Table {
        path: PathBuf::from(pairs),
        why: "holds none of the selected pictures".to_owned(),
        cure: Some("give the pair shards that the token shards were made from".to_owned()),
    }
}

fn decodings(
    selection: &Selection,
    shown: &[String],
    codec: &Codec,
    meta: &TokenMeta,
) -> Result<Vec<Sample>> {
    let mut samples = Vec::with_capacity(shown.len());
    for keys in shown.chunks(BATCH) {
        let codes: Vec<Vec<u16>> = keys.iter().filter_map(|key| selection.codes.get(key).cloned()).collect();
        let decoded = codec.decode(&codes, meta.grid)?.into_iter();
        samples.extend(decoded.map(|decoded| Sample { original: None, decoded }));
    }
    Ok(samples)
}

fn check_codec(shard: &Path, meta: &TokenMeta, codec: &Codec) -> Result<()> {
    if meta.codec_sha256 == codec.sha256 {
        return Ok(());
    }
    Err(Error::Mismatch {
        kind: "codec",
        shard: shard.to_owned(),
        found: meta.codec_sha256.clone(),
        given: codec.path().to_owned(),
        expected: codec.sha256.clone(),
    })
}
