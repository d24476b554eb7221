//! `tokenize verify`: decodes the codes of token shards and holds them against the originals.

mod filter;
mod grid;
mod select;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use pipeline::interrupt::Interrupt;
use pipeline::pairs;
use pipeline::picture::Picture;
use pipeline::progress::{Progress, ProgressStyle};
use serde::Serialize;

pub use filter::Filter;
pub use grid::grid;

use crate::codec::Codec;
use crate::metrics::{CodeUsageSummary, Psnr, mean_squared_error};
use crate::shards::picture;
use crate::tokens::TokenMeta;
use crate::{Error, Result, shard_list, show};

/// Pictures decoded at a time.
const BATCH: usize = 16;

/// What to verify.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// A token shard, or a folder of them.
    pub tokens: PathBuf,
    /// The pair shards that they were made from.
    pub pairs: String,
    /// Rows to look at.
    pub filter: Option<Filter>,
    /// Most pictures to measure, evenly spread over the selection; 0 = all.
    pub sample: usize,
    /// Most pictures in the grid, evenly spread over the measured ones.
    pub images: usize,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Pictures in the selection.
    pub selected: usize,
    /// Pictures measured.
    pub images: u64,
    /// Measured pictures whose original was not among the pairs.
    pub missing: usize,
    /// Mean of the pictures' PSNR in dB.
    pub psnr: f64,
    /// PSNR of the mean squared error of all pictures in dB.
    pub psnr_of_mean_error: f64,
    /// Use of the codebook over the whole selection.
    pub codes: CodeUsageSummary,
}

/// A picture beside its decoding.
pub type Sample = (Picture, Picture);

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
    let progress = Progress::start(style, "pictures", Some(selection.codes.len() as u64), 0);
    let mut comparison = Comparison::new(codec, &meta, select::spread(&selection.order, options.images));
    comparison.run(&options.pairs, &meta, &selection.codes, |done| {
        progress.set(done);
        interrupt.check()
    })?;
    progress.finish();
    let psnr = comparison.psnr;
    if psnr.images() == 0 {
        return Err(Error::Table {
            path: PathBuf::from(&options.pairs),
            why: "holds none of the selected pictures".to_owned(),
            cure: Some("give the pair shards that the token shards were made from".to_owned()),
        });
    }
    let report = Report {
        selected: selection.selected,
        images: psnr.images(),
        missing: selection.codes.len().saturating_sub(usize::try_from(psnr.images()).unwrap_or(usize::MAX)),
        psnr: psnr.mean(),
        psnr_of_mean_error: psnr.of_mean_error(),
        codes: selection.usage.summary(),
    };
    Ok((report, comparison.samples()))
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

/// The running comparison.
struct Comparison<'a> {
    codec: &'a Codec,
    grid: usize,
    psnr: Psnr,
    /// Keys of the pictures for the grid, and where they go.
    places: HashMap<String, usize>,
    samples: Vec<Option<Sample>>,
}

impl<'a> Comparison<'a> {
    fn new(codec: &'a Codec, meta: &TokenMeta, shown: Vec<String>) -> Self {
        let samples = vec![None; shown.len()];
        let places = shown.into_iter().enumerate().map(|(place, key)| (key, place)).collect();
        Self { codec, grid: meta.grid, psnr: Psnr::default(), places, samples }
    }

    /// Finds the originals of `codes` among the pairs and compares batch by batch.
    fn run(
        &mut self,
        pairs: &str,
        meta: &TokenMeta,
        codes: &HashMap<String, Vec<u16>>,
        progress: impl Fn(u64) -> pipeline::Result<()>,
    ) -> Result<()> {
        let mut waiting = Vec::with_capacity(BATCH);
        for pair in pairs::open(pairs)? {
            let pair = pair?;
            let (Some(codes), Some(bytes)) = (codes.get(&pair.key), &pair.image) else { continue };
            let Ok(original) = picture(bytes, meta.image_size(), meta.grid) else { continue };
            waiting.push((pair.key, original, codes.clone()));
            if waiting.len() == BATCH {
                self.add(std::mem::take(&mut waiting))?;
                progress(self.psnr.images())?;
            }
        }
        self.add(waiting)?;
        Ok(progress(self.psnr.images())?)
    }

    fn add(&mut self, batch: Vec<(String, Picture, Vec<u16>)>) -> Result<()> {
        let codes: Vec<Vec<u16>> = batch.iter().map(|(_, _, codes)| codes.clone()).collect();
        let decoded = self.codec.decode(&codes, self.grid)?;
        for ((key, original, _), decoded) in batch.into_iter().zip(decoded) {
            if let Some(error) = mean_squared_error(original.pixels(), decoded.pixels()) {
                self.psnr.add(error);
            }
            if let Some(&place) = self.places.get(&key) {
                self.samples[place] = Some((original, decoded));
            }
        }
        Ok(())
    }

    fn samples(self) -> Vec<Sample> {
        self.samples.into_iter().flatten().collect()
    }
}
