//! `train export`: a run's codec as a file, and pictures beside their reconstructions.

use std::path::{Path, PathBuf};

use clap::Args;
use pipeline::cli::{Common, print};
use pipeline::pairs;
use pipeline::picture::{DecodeOptions, Picture, decode};
use pipeline::progress::Progress;
use tokenize::codec::Codec;
use tokenize::pixels::square;

use super::start::run_config;
use crate::run::Kind;
use crate::vqgan::{LeftOut, Loaded, Origin, Reconstructions, Summary, Trained, VqGanTask};
use crate::{Error, Result, device};

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  train export runs/vqgan --out codec.safetensors             the newest checkpoint, for `tokenize --codec`
  train export runs/vqgan --reconstructions rfid              the run's held-out pictures
  train export codec.safetensors --reconstructions rfid --pairs data/pairs --image-size 256
  python -m pytorch_fid rfid/original rfid/reconstruction     rFID; clean-fid takes the same folders

A folder of reconstructions is continued where it was interrupted.")]
pub(super) struct ExportArgs {
    /// A run folder of a codec, or a codec
    #[arg(value_name = "RUN|CODEC")]
    source: PathBuf,
    /// Write the run's codec here, with its configuration beside it (.toml)
    #[arg(short, long, value_name = "CODEC.safetensors")]
    out: Option<PathBuf>,
    /// The checkpoint after so many steps; without it the newest
    #[arg(long, value_name = "N", requires = "out")]
    step: Option<u64>,
    /// Weights in 32 bits instead of 16
    #[arg(long, requires = "out")]
    full: bool,
    /// Write originals and reconstructions into `original/` and `reconstruction/` of this folder
    #[arg(long, value_name = "DIR")]
    reconstructions: Option<PathBuf>,
    /// Pair shards to reconstruct, all rows; without it the run's held-out pictures
    #[arg(long, value_name = "PAIRS", requires = "reconstructions")]
    pairs: Option<String>,
    /// Side of the pictures; without it that of the run
    #[arg(long, value_name = "PIXELS", requires = "pairs")]
    image_size: Option<usize>,
    /// cpu, cuda:0 or wgpu
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    device: String,
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) fn export(args: &ExportArgs) -> Result<u8> {
    if args.out.is_none() && args.reconstructions.is_none() {
        return Err(Error::config("nothing to export: give --out, --reconstructions or both"));
    }
    let run = args.source.is_dir().then(|| codec_run(&args.source)).transpose()?;
    if let Some(out) = &args.out {
        write_codec(args, run.is_some(), out)?;
    }
    if let Some(folder) = &args.reconstructions {
        reconstruct(args, run.as_ref(), folder)?;
    }
    Ok(0)
}

/// The configuration of a run that trains a codec.
fn codec_run(run: &Path) -> Result<VqGanTask> {
    let path = run_config(run)?;
    match Kind::of(&path)? {
        Kind::Vqgan => Ok(pipeline::settings::load(Some(&path), &[])?),
        kind => {
            Err(Error::config(format!("{}: a run of kind {}, not of a codec", run.display(), kind.name()))
                .with_hint("its finished model is the folder `model` in it"))
        }
    }
}

fn write_codec(args: &ExportArgs, is_run: bool, out: &Path) -> Result<()> {
    if !is_run {
        return Err(Error::config(format!("{}: not a run folder", args.source.display()))
            .with_hint("--out takes the codec out of a run; a codec file is one already"));
    }
    if out.extension().is_none_or(|ending| ending != "safetensors") {
        return Err(Error::config(format!("--out: {} does not end in .safetensors", out.display())));
    }
    let trained = Trained::read(&args.source, args.step, &device::open(&args.device)?)?;
    trained.save(out, args.full)?;
    let (file, step) = (out.display().to_string(), trained.step);
    args.common.say(&format!("the codec after {step} steps"));
    if args.common.json {
        let record = serde_json::json!({"type": "codec", "version": 1, "file": file, "step": step});
        return Ok(print(&record.to_string())?);
    }
    Ok(print(&file)?)
}

/// The codec whose reconstructions are wanted: what was just exported, the finished model of a run, or a file.
fn codec_of(args: &ExportArgs, run: Option<&VqGanTask>) -> Result<Codec> {
    let path = match (&args.out, run) {
        (Some(out), _) => out.clone(),
        (None, None) => args.source.clone(),
        (None, Some(_)) => args.source.join("model/vqgan.safetensors"),
    };
    if run.is_some() && !path.exists() {
        return Err(Error::config(format!("{}: this run is not finished", args.source.display())).with_hint(
            "add `--out codec.safetensors` to export its newest checkpoint and reconstruct with that",
        ));
    }
    Ok(Codec::load(&path, &device::open(&args.device)?)?)
}

fn reconstruct(args: &ExportArgs, run: Option<&VqGanTask>, folder: &Path) -> Result<()> {
    let codec = codec_of(args, run)?;
    let image_size = match (args.image_size, run) {
        (Some(side), _) => side,
        (None, Some(task)) => task.data.image_size,
        (None, None) => codec.resolution(),
    };
    let (pairs, rows) = match (&args.pairs, run) {
        (Some(pairs), _) => (pairs.clone(), "all".to_owned()),
        (None, Some(task)) => (task.data.pairs.display().to_string(), "held out".to_owned()),
        (None, None) => return Err(Error::config("--pairs: which pictures?")),
    };
    let origin = Origin { codec: codec.sha256.clone(), pairs: pairs.clone(), rows, image_size };
    let mut made = Reconstructions::open(&codec, folder, &origin)?;
    let progress = Progress::start(args.common.progress_style(), "picture", None, 0);
    let mut left_out = LeftOut::default();
    match (&args.pairs, run) {
        (None, Some(task)) => {
            let held_out = Loaded::read(&task.data)?.valid;
            for (number, picture) in (0..held_out.len()).filter_map(|i| Some((i, held_out.picture(i)?))) {
                made.push(format!("{number:08}"), picture)?;
                progress.set(number as u64 + 1);
            }
        }
        _ => {
            for (number, row) in pairs::open(&pairs)?.enumerate() {
                if let Some(picture) = picture_of(row?.image.as_deref(), image_size, &mut left_out) {
                    made.push(format!("{number:08}"), picture)?;
                }
                progress.set(number as u64 + 1);
            }
        }
    }
    let summary = made.finish()?;
    progress.finish();
    left_out.note().iter().for_each(|note| args.common.say(note));
    tell(args, folder, summary)
}

/// The square of a row's picture; a row that gives none is counted.
fn picture_of(bytes: Option<&[u8]>, side: usize, left_out: &mut LeftOut) -> Option<Picture> {
    let Some(bytes) = bytes else {
        left_out.absent += 1;
        return None;
    };
    match decode(bytes, &DecodeOptions::default()).and_then(|picture| square(picture, side)) {
        Ok(picture) => Some(picture),
        Err(reason) => {
            *left_out.unusable.entry(reason).or_default() += 1;
            None
        }
    }
}

fn tell(args: &ExportArgs, folder: &Path, summary: Summary) -> Result<()> {
    let Summary { pictures, written, psnr } = summary;
    let folder = folder.display().to_string();
    if args.common.json {
        let record = serde_json::json!({
            "type": "reconstructions", "version": 1, "folder": folder, "pictures": pictures, "written": written, "psnr": psnr,
        });
        return Ok(print(&record.to_string())?);
    }
    args.common.say(&format!("{pictures} pictures ({written} new), mean PSNR {psnr:.2} dB"));
    Ok(print(&folder)?)
}
