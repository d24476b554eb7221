//! `train caption`: words from pictures.

use std::path::{Path, PathBuf};

use clap::Args;
use pipeline::cli::{Common, print};
use pipeline::picture::{DecodeOptions, Picture, decode};
use pipeline::progress::Progress;

use super::sampling::SamplingArgs;
use crate::bundle::Bundle;
use crate::sampling::SamplingConfig;
use crate::{Error, Result, device};

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
