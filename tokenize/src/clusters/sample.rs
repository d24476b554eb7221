//! Pixels of pair shards: a seeded choice of pictures, at the size at which they will be quantised.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pipeline::interrupt::Interrupt;
use pipeline::pairs::{self, Pair};
use pipeline::picture::Picture;
use pipeline::progress::Progress;
use pipeline::reason::{Reason, Status};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Palette;
use crate::pixels::Preprocess;
use crate::{Result, shard_list};

/// Pictures decoded at a time.
const BATCH: usize = 256;

/// Which pixels are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sample {
    /// Pictures at most.
    pub pictures: usize,
    /// Side to which each is scaled.
    pub image_size: usize,
    /// Chooses the pictures.
    pub seed: u64,
}

impl Default for Sample {
    fn default() -> Self {
        Self { pictures: 20_000, image_size: 32, seed: 0 }
    }
}

/// What was taken.
#[derive(Debug, Default)]
pub struct Sampled {
    /// The pixels by colour.
    pub palette: Palette,
    /// Pictures among them.
    pub pictures: usize,
    /// Pictures that could not be used, by the code of the reason.
    pub failed: BTreeMap<&'static str, usize>,
}

/// The pixels of a seeded choice among the pictures of pair shards. A bad picture is counted, not an error.
///
/// # Errors
/// No shards, a damaged shard, Ctrl-C.
pub fn sample(pairs: &Path, options: &Sample, progress: &Progress, interrupt: &Interrupt) -> Result<Sampled> {
    let chosen = choose(pairs, options, interrupt)?;
    progress.set_total(chosen.iter().map(|(_, rows)| rows.len() as u64).sum(), 0);
    let preprocess = Preprocess::imagegpt(options.image_size);
    let mut sampled = Sampled::default();
    for (shard, rows) in chosen {
        let mut reader = pairs::open(&shard.to_string_lossy())?.pick(rows);
        loop {
            interrupt.check()?;
            let batch: pipeline::Result<Vec<Pair>> = reader.by_ref().take(BATCH).collect();
            let batch = batch?;
            if batch.is_empty() {
                break;
            }
            let pictures: Vec<_> = batch.par_iter().map(|pair| picture(pair, &preprocess)).collect();
            progress.add(pictures.len() as u64);
            sampled.add(pictures);
        }
    }
    Ok(sampled)
}

impl Sampled {
    fn add(&mut self, pictures: Vec<std::result::Result<Picture, Reason>>) {
        for picture in pictures {
            match picture {
                Ok(picture) => {
                    self.palette.add(picture.pixels());
                    self.pictures += 1;
                }
                Err(reason) => *self.failed.entry(reason.code()).or_insert(0) += 1,
            }
        }
    }
}

fn picture(pair: &Pair, preprocess: &Preprocess) -> std::result::Result<Picture, Reason> {
    let bytes = pair.image.as_ref().ok_or(Reason::Empty)?;
    preprocess.bytes(bytes, preprocess.size)
}

/// Rows with a picture, by shard, in rising order.
fn choose(pairs: &Path, options: &Sample, interrupt: &Interrupt) -> Result<Vec<(PathBuf, Vec<u64>)>> {
    let mut all: Vec<(PathBuf, Vec<u64>)> = Vec::new();
    for path in shard_list::list(pairs)? {
        interrupt.check()?;
        let mut good = Vec::new();
        for (row, pair) in (0u64..).zip(pairs::open(&path.to_string_lossy())?.without_images()) {
            if pair?.status == Status::Success {
                good.push(row);
            }
        }
        all.push((path, good));
    }
    let total = all.iter().map(|(_, rows)| rows.len()).sum();
    let mut random = ChaCha8Rng::seed_from_u64(options.seed);
    let mut picked = rand::seq::index::sample(&mut random, total, options.pictures.min(total)).into_vec();
    picked.sort_unstable();
    let mut picked = picked.into_iter().peekable();
    let mut before = 0;
    let mut chosen = Vec::new();
    for (path, good) in all {
        let end = before + good.len();
        let rows: Vec<u64> =
            std::iter::from_fn(|| picked.next_if(|at| *at < end)).map(|at| good[at - before]).collect();
        before = end;
        if !rows.is_empty() {
            chosen.push((path, rows));
        }
    }
    Ok(chosen)
}
