//! `train convert`: a published checkpoint as a model folder.

use std::path::PathBuf;

use clap::Args;
use pipeline::cli::{Common, print};

use crate::convert::{Conversion, Converted, convert};
use crate::weights::Precision;
use crate::{Error, Result};

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  train convert pytorch_model.bin --codec vqgan.gumbelf8-sber.model.ckpt --bpe bpe.model --out models/rudolph
  train convert pytorch_model_v3.bin --model rudalle-malevich-v3 --codec vqgan.ckpt --bpe bpe.model --out models/malevich
  train convert imagegpt-small/ --out models/imagegpt           config.json and the colours are in the folder
  train sample models/rudolph --prompt \"рыжий котик\" --out drawing.png

`train show --models` lists the presets that --model takes; without it the keys and shapes tell which it is.")]
pub(super) struct ConvertArgs {
    /// A weights file (.bin, .pt, .ckpt, .safetensors), several of one model, or a folder (Hugging Face's, or `train export`'s)
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<PathBuf>,
    /// Which model: a preset, or a TOML file like those in configs/models
    #[arg(long, value_name = "NAME|FILE.toml")]
    model: Option<String>,
    /// The image codec that the model was trained with
    #[arg(long, value_name = "CODEC", conflicts_with = "clusters")]
    codec: Option<PathBuf>,
    /// The colours of an ImageGPT (preprocessor_config.json, kmeans_centers.npy)
    #[arg(long, value_name = "FILE")]
    clusters: Option<PathBuf>,
    /// The vocabulary that the model was trained with
    #[arg(long, value_name = "BPE")]
    bpe: Option<PathBuf>,
    /// Leave upper case in texts; the published models were trained on lower case
    #[arg(long, requires = "bpe")]
    keep_case: bool,
    /// How numbers are stored; without it as they are
    #[arg(long, value_name = "DTYPE")]
    dtype: Option<Precision>,
    /// The model folder
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) fn run(args: &ConvertArgs) -> Result<u8> {
    let wish = Conversion {
        sources: args.sources.clone(),
        model: args.model.clone(),
        codec: args.codec.clone().or_else(|| args.clusters.clone()),
        bpe: args.bpe.clone(),
        keep_case: args.keep_case,
        precision: args.dtype,
        out: args.out.clone(),
    };
    let converted = convert(&wish).inspect_err(|error| name_all(error, &args.common))?;
    tell(args, &converted)
}

/// Every key that does not fit, where the error lists the first few.
fn name_all(error: &Error, common: &Common) {
    if let (Error::Misfit { misfit, .. }, true) = (error, common.verbose) {
        misfit.lines().iter().for_each(|line| common.say(line));
    }
}

fn tell(args: &ConvertArgs, converted: &Converted) -> Result<u8> {
    let Converted { config, found, parameters, precisions, notes } = converted;
    let names: Vec<&str> = precisions.iter().map(|precision| precision.name()).collect();
    let folder = args.out.display().to_string();
    if args.common.json {
        let record = serde_json::json!({
            "type": "model", "version": 1, "folder": folder, "kind": config.kind().name(), "found": found,
            "parameters": parameters, "dtypes": names, "notes": notes,
        });
        return Ok(print(&record.to_string()).map(|()| 0)?);
    }
    let millions = *parameters as f64 / 1e6;
    args.common.say(&format!(
        "{} of {millions:.1}M parameters in {}, {found}",
        config.kind().name(),
        names.join(" and ")
    ));
    notes.iter().for_each(|note| args.common.say(&format!("note: {note}")));
    Ok(print(&folder).map(|()| 0)?)
}
