//! `train export` of a token model: weights under their published names.

use std::path::Path;

use pipeline::cli::print;

use super::export::ExportArgs;
use crate::bundle;
use crate::convert::{Export, export};
use crate::run::{Folder, Kind};
use crate::{Error, Result};

/// Whether a folder holds a token model rather than a codec.
pub(super) fn is_model(source: &Path) -> Result<bool> {
    if bundle::model_in(source).is_some() {
        return Ok(true);
    }
    let config = Folder::config_of(source);
    Ok(config.is_file() && Kind::of(&config)? != Kind::Vqgan)
}

pub(super) fn run(args: &ExportArgs) -> Result<u8> {
    if args.reconstructions.is_some() {
        return Err(Error::config("--reconstructions: only a codec reconstructs pictures"));
    }
    if args.full {
        return Err(Error::config("--full is for codecs").with_hint("a model takes `--dtype f32`"));
    }
    if let Some(step) = args.step {
        let why = format!("--step {step}: of a model the finished one or the newest checkpoint is exported");
        return Err(Error::config(why));
    }
    let Some(out) = args.out.clone() else {
        return Err(Error::config("nothing to export: give --out").with_hint("a folder, or FILE.safetensors"));
    };
    let (source, layout) = (args.source.clone(), args.layout.unwrap_or_default());
    let wish = Export { source, out, layout, precision: args.dtype };
    let (config, parameters) = export(&wish)?;
    let (file, kind) = (wish.out.display().to_string(), config.kind().name());
    if args.common.json {
        let record = serde_json::json!({
            "type": "export", "version": 1, "file": file, "kind": kind, "parameters": parameters,
        });
        return Ok(print(&record.to_string()).map(|()| 0)?);
    }
    args.common.say(&format!("{kind} of {:.1}M parameters", parameters as f64 / 1e6));
    Ok(print(&file).map(|()| 0)?)
}
