//! `tokenize verify`.

use std::path::PathBuf;

use pipeline::cli::{Common, print};
use pipeline::picture::{EncodeOptions, encode};
use pipeline::progress::Progress;
use pipeline::{atomic, interrupt};

use crate::codec::Codec;
use crate::verify::{Exact, Filter, Quality, Report, VerifyOptions, grid, verify};
use crate::{Error, Result, device};

/// Flags of `tokenize verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tokenize verify data/tokens --pairs data/pairs --codec vqgan.safetensors --out verify.png
  tokenize verify data/tokens --codec vqgan.safetensors --images 16
  tokenize verify data/tokens --pairs data/pairs --codec vqgan.safetensors --where split=test --min-psnr 24 --min-usage 0.6")]
pub(super) struct Args {
    /// Token shards: a folder or one file
    tokens: PathBuf,
    /// The pair shards that they were made from; without them decodings are shown alone
    #[arg(long)]
    pairs: Option<String>,
    /// The codec that made them
    #[arg(long)]
    codec: PathBuf,
    /// Where to write the grid of originals beside decodings
    #[arg(short, long, default_value = "verify.png")]
    out: PathBuf,
    /// Pictures in the grid
    #[arg(long, default_value_t = 64)]
    images: usize,
    /// Pictures to measure, evenly spread; 0 = all
    #[arg(long, default_value_t = 1024)]
    sample: usize,
    /// Only rows whose column has this value
    #[arg(long = "where", value_name = "COLUMN=VALUE")]
    filter: Option<Filter>,
    /// Originals to encode again: a code that differs exits with 1; 0 = none
    #[arg(long, default_value_t = 16, value_name = "PICTURES")]
    exact: usize,
    /// Exit with 1 below this mean PSNR in dB
    #[arg(long, requires = "pairs")]
    min_psnr: Option<f64>,
    /// Exit with 1 below this mean SSIM
    #[arg(long, requires = "pairs")]
    min_ssim: Option<f64>,
    /// Exit with 1 if a smaller fraction of the codebook is used
    #[arg(long)]
    min_usage: Option<f64>,
    /// cpu, cuda:0 or wgpu
    #[arg(long, default_value = "cpu")]
    device: String,
    #[command(flatten)]
    common: Common,
}

impl Args {
    pub(super) fn run(self) -> Result<u8> {
        let common = &self.common;
        let waiting = Progress::begin(common.progress_style(), "pictures", "loading the codec");
        let codec = Codec::load(&self.codec, &device::open(&self.device)?)?;
        drop(waiting);
        let options = VerifyOptions {
            tokens: self.tokens,
            pairs: self.pairs,
            filter: self.filter,
            sample: self.sample,
            images: self.images,
            exact: self.exact,
        };
        let (report, samples) = verify(&options, &codec, common.progress_style(), &interrupt::install())?;
        if let Some(picture) = grid(&samples) {
            let png = encode(&picture, &EncodeOptions::png()).map_err(|reason| Error::Config {
                key: "images".to_owned(),
                why: format!("the grid cannot be written: {}", reason.text()),
            })?;
            atomic::write(&self.out, png)?;
            let what =
                if report.quality.is_some() { "originals beside their decodings" } else { "decodings" };
            common.say(&format!("{}: {} {what}", self.out.display(), samples.len()));
        }
        if common.json {
            super::print_json("verify", &report)?;
        } else {
            print(text(&report).trim_end())?;
        }
        let mut low = below(&report, self.min_psnr, self.min_ssim, self.min_usage);
        low.extend(inexact(&report));
        low.iter().for_each(|fault| common.say(fault));
        Ok(u8::from(!low.is_empty()))
    }
}

fn text(report: &Report) -> String {
    let Report { selected, quality, codes, .. } = report;
    let codebook = format!(
        "codebook    {} of {} entries used ({:.1} %), perplexity {:.1}\n",
        codes.used,
        codes.codebook_size,
        100.0 * codes.usage,
        codes.perplexity
    );
    let Some(quality) = quality else { return format!("pictures    {selected}\n{codebook}") };
    let Quality { images, missing, psnr, psnr_of_mean_error, mse, ssim, exact } = quality;
    let missing = if *missing > 0 { format!(", {missing} without an original") } else { String::new() };
    let ssim = ssim.map_or_else(|| "none: below 11 pixels".to_owned(), |ssim| format!("{ssim:.4}"));
    let Exact { pictures, pictures_differing, codes, codes_differing } = exact;
    let exact = match pictures {
        0 => String::new(),
        n => format!(
            "exact       {} of {n} pictures encode to the same codes, {codes_differing} of {codes} codes differ\n",
            n - pictures_differing
        ),
    };
    format!(
        "pictures    {images} of {selected} measured{missing}\n\
         psnr        {psnr:.2} dB (mean over pictures), {psnr_of_mean_error:.2} dB (of the mean squared error)\n\
         ssim        {ssim}\n\
         mse         {mse:.6}\n\
         {exact}{codebook}"
    )
}

/// What is below the asked quality; a figure that is no number is.
fn below(
    report: &Report,
    min_psnr: Option<f64>,
    min_ssim: Option<f64>,
    min_usage: Option<f64>,
) -> Vec<String> {
    let below = |name: &str, found: f64, least: Option<f64>| {
        let least = least.filter(|least| found.is_nan() || found < *least)?;
        Some(format!("{name} {found:.3} is below the asked {least}"))
    };
    let quality = |figure: fn(&Quality) -> f64| report.quality.as_ref().map_or(f64::NAN, figure);
    [
        below("psnr", quality(|quality| quality.psnr), min_psnr),
        below("ssim", quality(|quality| quality.ssim.unwrap_or(f64::NAN)), min_ssim),
        below("usage", report.codes.usage, min_usage),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Codes that the codec does not give again: another preprocessing, another device, or pairs that have changed.
fn inexact(report: &Report) -> Option<String> {
    let exact = report.quality.as_ref()?.exact;
    (exact.codes_differing > 0).then(|| {
        format!(
            "{} of {} codes differ when {} originals are encoded again: other pairs, another device, or an earlier version made the shards",
            exact.codes_differing, exact.codes, exact.pictures
        )
    })
}
