//! `tokenize clusters`.

use std::path::PathBuf;

use pipeline::cli::Common;
use pipeline::interrupt;
use pipeline::progress::Progress;
use serde_json::json;

use super::print_json;
use crate::clusters::{Clusters, KMeans, KMeansConfig, Sample, Sampled, kmeans, sample};
use crate::show::count;
use crate::{Error, Result};

/// Flags of `tokenize clusters`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tokenize clusters data/pairs --size 512 --out clusters.safetensors
  tokenize clusters data/pairs --sample 5000 --image-size 64 --seed 1 --out kmeans_centers.npy")]
pub(super) struct Args {
    /// Pair shards: a folder or a Parquet file
    pairs: PathBuf,
    /// Number of colours
    #[arg(long, default_value_t = KMeansConfig::default().size)]
    size: usize,
    /// Where to write them: .safetensors, or .npy as OpenAI's kmeans_centers.npy
    #[arg(short, long, default_value = "clusters.safetensors")]
    out: PathBuf,
    /// Side to which pictures are scaled before their pixels are taken
    #[arg(long, default_value_t = Sample::default().image_size)]
    image_size: usize,
    /// Pictures to take at most, chosen by the seed
    #[arg(long, default_value_t = Sample::default().pictures)]
    sample: usize,
    /// Chooses the pictures and the first centres
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Most times that the centres move
    #[arg(long, default_value_t = KMeansConfig::default().iterations)]
    iterations: usize,
    #[command(flatten)]
    common: Common,
}

impl Args {
    pub(super) fn run(self) -> Result<u8> {
        self.check()?;
        let options = Sample { pictures: self.sample, image_size: self.image_size, seed: self.seed };
        let progress = Progress::start(self.common.progress_style(), "img", None, 0);
        let sampled = sample(&self.pairs, &options, &progress, &interrupt::install())?;
        progress.finish();
        if sampled.pictures == 0 {
            let why: Vec<String> = sampled.failed.iter().map(|(code, n)| format!("{code} {n}")).collect();
            let why = if why.is_empty() { "no row has one".to_owned() } else { why.join(", ") };
            return Err(Error::table(&self.pairs, format!("no picture here could be used: {why}")));
        }
        let colours = sampled.palette.colours();
        let config = KMeansConfig {
            size: self.size,
            seed: self.seed,
            iterations: self.iterations,
            ..KMeansConfig::default()
        };
        let fit = kmeans(&colours, &config)?;
        let about = json!({"seed": self.seed, "pictures": sampled.pictures, "colours": colours.len(), "rmse": fit.rmse()});
        Clusters::new(&fit.centres, self.image_size)?.save(&self.out, about)?;
        self.report(&sampled, colours.len(), &fit)?;
        Ok(0)
    }

    /// Finds what cannot work before any picture is read.
    fn check(&self) -> Result<()> {
        let wrong = [
            ("sample", self.sample == 0, "at least one picture"),
            ("image_size", self.image_size == 0, "at least one pixel"),
            ("size", !(1..=65_536).contains(&self.size), "a code names 1 to 65536 colours"),
        ];
        match wrong.into_iter().find(|(_, wrong, _)| *wrong) {
            Some((key, _, why)) => Err(Error::Config { key: key.to_owned(), why: why.to_owned() }),
            None => Ok(()),
        }
    }

    fn report(&self, sampled: &Sampled, colours: usize, fit: &KMeans) -> Result<()> {
        if self.common.json {
            let record = json!({
                "path": self.out, "clusters": fit.centres.len(), "pictures": sampled.pictures, "failed": sampled.failed,
                "colours": colours, "moves": fit.errors.len() - 1, "rmse": fit.rmse(), "psnr": fit.psnr(),
            });
            return print_json("clusters", &record);
        }
        for (code, failed) in &sampled.failed {
            self.common.say(&format!("note: {} left out: {code}", count(*failed, "picture")));
        }
        let path = self.out.display();
        self.common.say(&format!(
            "{path}: {} colours, fitted to {} of {colours} different ones",
            fit.centres.len(),
            count(sampled.pictures, "picture")
        ));
        self.common.say(&format!(
            "quantisation error: {:.2} of 255 levels (root mean square), {:.1} dB",
            fit.rmse(),
            fit.psnr()
        ));
        let pairs = self.pairs.display();
        self.common.say(&format!("next: tokenize shards {pairs} --codec {path} --out data/tokens"));
        Ok(())
    }
}
