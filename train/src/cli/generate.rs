//! `train sample` and `train caption`: what a trained model is for.

use std::path::{Path, PathBuf};

use clap::Args;
use pipeline::cli::{Common, print};
use pipeline::picture::{DecodeOptions, Picture, decode};
use pipeline::progress::Progress;

use crate::bundle::{Bundle, Sampling};
use crate::draw::Draws;
use crate::run::save_grid;
use crate::sampling::SamplingConfig;
use crate::{Error, Result, device};

/// How tokens are drawn.
#[derive(Args, Debug)]
struct SamplingArgs {
    /// Keep the K most probable tokens; 0 keeps all
    #[arg(long, value_name = "K", help_heading = "Sampling")]
    top_k: Option<usize>,
    /// Keep the most probable tokens that together reach this probability; 1 keeps all
    #[arg(long, value_name = "P", help_heading = "Sampling")]
    top_p: Option<f64>,
    /// Below 1 bolder, above 1 wilder
    #[arg(long, value_name = "T", help_heading = "Sampling")]
    temperature: Option<f64>,
    /// Above 1 the text counts for more, for a model trained with `tasks.text_dropout`; 1 is off
    #[arg(long, value_name = "G", help_heading = "Sampling")]
    guidance: Option<f64>,
    /// Another seed, another sample; the same seed, the same sample
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Sampling")]
    seed: u64,
    /// Samples computed together
    #[arg(long, value_name = "N", default_value_t = 16, help_heading = "Sampling")]
    batch: usize,
    /// cpu, cuda:0 or wgpu
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    device: String,
}

impl SamplingArgs {
    fn over(&self, defaults: SamplingConfig) -> Sampling {
        let config = SamplingConfig {
            top_k: self.top_k.unwrap_or(defaults.top_k),
            top_p: self.top_p.unwrap_or(defaults.top_p),
            temperature: self.temperature.unwrap_or(defaults.temperature),
            guidance: self.guidance.unwrap_or(defaults.guidance),
            seed: self.seed,
        };
        Sampling { config, batch: self.batch }
    }
}

#[derive(Args, Debug)]
#[command(
    after_help = "Example: train sample runs/rudolph --prompt \"red cat\" --prompt \"рыжий кот\" --n 4 --out cats.png"
)]
pub(super) struct SampleArgs {
    /// A run folder, or a model folder
    run: PathBuf,
    /// What to draw (repeatable): one row of the picture each
    #[arg(long = "prompt", value_name = "TEXT", required = true)]
    prompts: Vec<String>,
    /// Drawings of each prompt
    #[arg(short = 'n', long = "n", value_name = "N", default_value_t = 1)]
    count: usize,
    /// The picture to write
    #[arg(long, value_name = "FILE.png", default_value = "drawing.png")]
    out: PathBuf,
    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Prints one line for each picture: its file, a tab, the caption.\n\nExample: train caption runs/rudolph cat.png dog.jpg"
)]
pub(super) struct CaptionArgs {
    /// A run folder, or a model folder
    run: PathBuf,
    /// Pictures (PNG, JPEG, WebP, GIF, BMP, TIFF); cut at the centre to a square
    #[arg(required = true, value_name = "PICTURE")]
    pictures: Vec<PathBuf>,
    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) fn sample(args: &SampleArgs) -> Result<u8> {
    if args.count == 0 {
        return Err(Error::config("--n: must be at least 1"));
    }
    let how = args.sampling.over(SamplingConfig::default());
    args.common.say(&format!("drawing with {}", args.run.display()));
    let bundle = Bundle::open(&args.run, &device::open(&args.sampling.device)?)?;
    let codes = args.prompts.len() * args.count * bundle.model.gpt().config().segments().image();
    let progress = Progress::start(args.common.progress_style(), "code", Some(codes as u64), 0);
    let mut on_step = |done: usize| progress.set(done as u64);
    let pictures = bundle.draw_with(&bundle.model, &args.prompts, args.count, &how, &mut on_step)?;
    progress.finish();
    save_grid(&pictures, args.count, &args.out)?;
    let out = args.out.display().to_string();
    if args.common.json {
        let record = serde_json::json!({
            "type": "drawing", "version": 1, "file": out, "prompts": args.prompts, "n": args.count, "seed": args.sampling.seed,
        });
        print(&record.to_string())?;
    } else {
        print(&out)?;
    }
    Ok(0)
}

pub(super) fn caption(args: &CaptionArgs) -> Result<u8> {
    let how = args.sampling.over(SamplingConfig::text());
    args.common.say(&format!("captioning with {}", args.run.display()));
    let bundle = Bundle::open(&args.run, &device::open(&args.sampling.device)?)?.rudolph("caption")?;
    let size = bundle.image_size();
    let pictures = args.pictures.iter().map(|path| load(path, size)).collect::<Result<Vec<_>>>()?;
    let progress = Progress::start(args.common.progress_style(), "caption", Some(pictures.len() as u64), 0);
    let mut on_step = |done: usize| progress.set(done as u64);
    let captions = bundle.caption_with(&pictures, &how, &mut on_step)?;
    progress.finish();
    for (path, caption) in args.pictures.iter().zip(captions) {
        let path = path.display().to_string();
        if args.common.json {
            print(
                &serde_json::json!({"type": "caption", "version": 1, "file": path, "caption": caption})
                    .to_string(),
            )?;
        } else {
            print(&format!("{path}\t{caption}"))?;
        }
    }
    Ok(0)
}

/// A picture file as the square that `tokenize shards` would have encoded.
fn load(path: &Path, size: usize) -> Result<Picture> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let refuse =
        |reason: pipeline::reason::Reason| Error::config(format!("{}: {}", path.display(), reason.text()));
    let picture = decode(&bytes, &DecodeOptions::default()).map_err(refuse)?;
    tokenize::pixels::square(picture, size).map_err(refuse)
}
