//! The configuration in a file beside the weights: Troika's `.toml`, or the `.yaml` of taming and latent-diffusion.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::vqgan::{QuantizerKind, VqGanConfig};
use crate::{Error, Result};

/// What such a file says; what it does not say is seen in the weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Stated {
    ch: Option<usize>,
    ch_mult: Option<Vec<usize>>,
    num_res_blocks: Option<usize>,
    pub(super) attn_resolutions: Option<Vec<usize>>,
    pub(super) resolution: Option<usize>,
    z_channels: Option<usize>,
    embed_dim: Option<usize>,
    n_embed: Option<usize>,
    pub(super) groups: Option<usize>,
    quantizer: Option<QuantizerKind>,
    pub(super) tiles: Option<bool>,
    /// Where it was found.
    #[serde(skip)]
    pub(super) file: Option<PathBuf>,
}

impl Stated {
    /// The file beside `weights`: the same name with `.toml` or `.yaml`, or `config.yaml`; in a folder `config.toml` or
    /// `config.yaml`.
    ///
    /// # Errors
    /// A file that cannot be read, or an unknown key in a `.toml`.
    pub(super) fn beside(weights: &Path) -> Result<Self> {
        let candidates = match weights.is_dir() {
            true => vec![weights.join("config.toml"), weights.join("config.yaml")],
            false => vec![
                weights.with_extension("toml"),
                weights.with_extension("yaml"),
                weights.with_file_name("config.yaml"),
            ],
        };
        let Some(file) = candidates.into_iter().find(|file| file.is_file()) else {
            return Ok(Self::default());
        };
        let stated = match file.extension().is_some_and(|extension| extension == "toml") {
            true => pipeline::settings::load(Some(&file), &[])?,
            false => published(&file)?,
        };
        Ok(Self { file: Some(file), ..stated })
    }

    /// Whether the file is one of Troika's own.
    pub(super) fn is_ours(&self) -> bool {
        self.file.as_deref().and_then(Path::extension).is_some_and(|extension| extension == "toml")
    }

    /// Every key that says something else than the weights.
    pub(super) fn contradictions(&self, seen: &VqGanConfig) -> Vec<String> {
        fn differ<T: PartialEq + std::fmt::Debug>(key: &str, stated: Option<&T>, seen: &T) -> Option<String> {
            let stated = stated.filter(|stated| *stated != seen)?;
            Some(format!("{key} = {stated:?}, the weights have {seen:?}"))
        }
        let faults = [
            differ("ch", self.ch.as_ref(), &seen.ch),
            differ("ch_mult", self.ch_mult.as_ref(), &seen.ch_mult),
            differ("num_res_blocks", self.num_res_blocks.as_ref(), &seen.num_res_blocks),
            differ("z_channels", self.z_channels.as_ref(), &seen.z_channels),
            differ("embed_dim", self.embed_dim.as_ref(), &seen.embed_dim),
            differ("n_embed", self.n_embed.as_ref(), &seen.n_embed),
            differ("quantizer", self.quantizer.as_ref(), &seen.quantizer),
        ];
        faults.into_iter().flatten().collect()
    }
}

/// The `params` of the model in a published configuration; latent-diffusion's second stage holds them under
/// `first_stage_config`. A file without a VQGAN in it says nothing.
fn published(file: &Path) -> Result<Stated> {
    let fault = |why: String| Error::Checkpoint { path: file.to_owned(), why };
    let text = std::fs::read_to_string(file).map_err(Error::io(file))?;
    let yaml: Value = serde_yaml_ng::from_str(&text).map_err(|error| fault(error.to_string()))?;
    let parts = ["/model/params", "/model/params/first_stage_config/params", "/params", ""];
    let params =
        parts.iter().filter_map(|part| yaml.pointer(part)).find(|params| params.get("ddconfig").is_some());
    let Some(params) = params else { return Ok(Stated::default()) };
    let of = |table: &Value, key: &str| table.get(key).cloned().unwrap_or(Value::Null);
    let dd = of(params, "ddconfig");
    if of(&dd, "double_z") == Value::Bool(true) {
        return Err(fault("ddconfig.double_z is true: a continuous latent, not a codec".to_owned()));
    }
    let shape = ["ch", "ch_mult", "num_res_blocks", "attn_resolutions", "resolution", "z_channels"];
    let stated = shape.map(|key| (key, of(&dd, key))).into_iter();
    let stated = stated.chain(["embed_dim", "n_embed"].map(|key| (key, of(params, key))));
    let stated: serde_json::Map<String, Value> = stated.map(|(key, value)| (key.to_owned(), value)).collect();
    serde_json::from_value(Value::Object(stated)).map_err(|error| fault(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stated(name: &str, text: &str) -> Result<Stated> {
        let folder = tempfile::tempdir().unwrap();
        pipeline::atomic::write(folder.path().join(name), text).unwrap();
        Stated::beside(&folder.path().join("m.ckpt"))
    }

    #[test]
    fn tamings_and_ldms_files_are_read_as_they_are() {
        let dd = "{double_z: false, z_channels: 4, resolution: 256, in_channels: 3, out_ch: 3, ch: 128, \
                  ch_mult: [1, 2, 2, 4], num_res_blocks: 2, attn_resolutions: [32], dropout: 0.0}";
        let params = format!("{{embed_dim: 4, n_embed: 16384, ddconfig: {dd}}}");
        let first = stated("m.yaml", &format!("model:\n  target: a.VQModel\n  params: {params}")).unwrap();
        assert_eq!((first.n_embed, first.attn_resolutions.as_deref()), (Some(16384), Some(&[32][..])));
        let second = format!("model:\n  params:\n    first_stage_config:\n      params: {params}");
        let second = stated("config.yaml", &second).unwrap();
        assert_eq!(Stated { file: None, ..second }, Stated { file: None, ..first });
        let other = stated("config.yaml", "model: {target: x}").unwrap();
        assert_eq!(other.contradictions(&VqGanConfig::default()), [""; 0]);
        let continuous = stated("m.yaml", "model: {params: {ddconfig: {double_z: true}}}").unwrap_err();
        assert!(continuous.to_string().contains("continuous latent"), "{continuous}");
        assert!(stated("m.yaml", "model: [").is_err());
    }

    #[test]
    fn a_toml_with_an_unknown_key_is_refused_and_each_contradiction_named() {
        assert!(stated("m.toml", "n_embd = 3").unwrap_err().to_string().contains("n_embd"));
        let stated = stated("m.toml", "n_embed = 64\nch = 128\ngroups = 8\nch_mult = [1, 2]").unwrap();
        assert!(stated.is_ours());
        assert_eq!(
            stated.contradictions(&VqGanConfig::default()),
            ["ch_mult = [1, 2], the weights have [1, 1, 2, 2, 4]", "n_embed = 64, the weights have 1024"]
        );
    }
}
