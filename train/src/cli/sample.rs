//! `train sample`: pictures from words.

use std::path::PathBuf;

use clap::Args;
use pipeline::cli::Common;

use super::drawing::{DrawingArgs, Request, Work};
use crate::bundle::Bundle;
use crate::model::TokenModel;
use crate::{Error, Result, device};

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  train sample runs/rudolph --prompt \"red cat\" --prompt \"рыжий кот\" --n 4 --out cats.png
  train sample malevich --prompt \"рыжий кот\" --preset rudalle-3 --candidates 16 --n 4 --out cats/
  train sample runs/imagegpt --n 16                       a model of pixels takes no prompt")]
pub(super) struct SampleArgs {
    /// A run folder, or a model folder
    run: PathBuf,
    /// What to draw (repeatable): one row of the picture each
    #[arg(long = "prompt", value_name = "TEXT")]
    prompts: Vec<String>,
    /// Drawings of each prompt
    #[arg(short = 'n', long = "n", visible_alias = "keep", value_name = "N", default_value_t = 1)]
    count: usize,
    /// Draw K of each prompt and keep the best N by the model's own perplexities
    #[arg(long, value_name = "K")]
    candidates: Option<usize>,
    /// The picture to write, or a folder (an existing one, or a name ending in /): one PNG each, and drawings.parquet
    #[arg(long, value_name = "FILE.png|DIR/", default_value = "drawing.png")]
    out: PathBuf,
    #[command(flatten)]
    drawing: DrawingArgs,
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) fn sample(args: &SampleArgs) -> Result<u8> {
    args.drawing.check(args.count, args.candidates)?;
    args.common.say(&format!("drawing with {}", args.run.display()));
    let bundle = Bundle::open(&args.run, &device::open(&args.drawing.sampling.device)?)?;
    let kind = bundle.model.config_of().kind().name();
    let prompts = match (bundle.bpe.is_some(), args.prompts.is_empty()) {
        (true, true) => {
            let why = format!("--prompt is missing: a model of kind {kind} draws what a text says");
            return Err(Error::config(why).with_hint("give it with `--prompt TEXT`; an empty one is allowed"));
        }
        (false, false) => {
            let why = format!("--prompt: a model of kind {kind} has no text");
            return Err(Error::config(why).with_hint("leave it out; `train continue` draws from a picture"));
        }
        (true, false) => args.prompts.clone(),
        (false, true) => vec![String::new()],
    };
    let requests = prompts.into_iter().map(|prompt| Request { prompt, given: Vec::new() }).collect();
    let work = Work {
        bundle: &bundle,
        requests,
        candidates: args.candidates.unwrap_or(args.count),
        keep: args.count,
        args: &args.drawing,
        out: &args.out,
        common: &args.common,
    };
    let (drawn, pictures) = work.draw()?;
    work.write(&drawn, &pictures, |_| serde_json::Map::new())?;
    Ok(0)
}
