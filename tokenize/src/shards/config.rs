//! The configuration of `tokenize shards` (`configs/tokens.toml`).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What to make into tokens, with what, and where to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShardsConfig {
    /// Pair shards: the folder that `pipeline crawl` wrote (or img2dataset's Parquet output), or one file.
    pub pairs: PathBuf,
    /// Weights of the image codec.
    pub codec: PathBuf,
    /// The text tokenizer; empty for image-only shards.
    pub bpe: PathBuf,
    /// The folder for the token shards.
    pub out: String,
    /// Text columns; each one that is not empty gives the picture a row of its own.
    pub captions: Vec<String>,
    /// Text columns of the pairs that are passed through, for example a train/test split.
    pub columns: Vec<String>,
    /// Side of the square that a picture is scaled and cropped to, in pixels; 0 = the codec's own resolution.
    pub image_size: usize,
    /// Pictures that the codec takes at a time.
    pub batch: usize,
    /// `cpu`, `cuda:0` or `wgpu`.
    pub device: String,
    /// Pairs per unit of work, the piece that a killed run repeats.
    pub unit_rows: u64,
}

impl Default for ShardsConfig {
    fn default() -> Self {
        Self {
            pairs: PathBuf::new(),
            codec: PathBuf::new(),
            bpe: PathBuf::new(),
            out: String::new(),
            captions: vec!["caption".to_owned()],
            columns: Vec::new(),
            image_size: 0,
            batch: 16,
            device: "cpu".to_owned(),
            unit_rows: 10_000,
        }
    }
}

impl ShardsConfig {
    /// Finds what is missing before anything is loaded.
    ///
    /// # Errors
    /// Names the key.
    pub fn check(&self) -> Result<()> {
        let missing = [
            ("pairs", self.pairs.as_os_str().is_empty(), "name the folder that `pipeline crawl` wrote"),
            (
                "codec",
                self.codec.as_os_str().is_empty(),
                "name the codec's weights, for example vqgan.safetensors",
            ),
            ("out", self.out.is_empty(), "name the folder for the token shards"),
            ("batch", self.batch == 0, "at least one picture at a time"),
            ("unit_rows", self.unit_rows == 0, "at least one pair per unit"),
            (
                "captions",
                self.captions.iter().any(|c| self.columns.contains(c)),
                "a caption column is not passed through as well",
            ),
        ];
        match missing.into_iter().find(|(_, wrong, _)| *wrong) {
            Some((key, _, why)) => Err(Error::Config { key: key.to_owned(), why: why.to_owned() }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pipeline::settings;

    use super::*;

    #[test]
    fn the_shipped_configuration_is_complete() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/tokens.toml");
        let config: ShardsConfig = settings::load(Some(&path), &[]).unwrap();
        config.check().unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        for line in settings::to_toml(&config).unwrap().lines() {
            let key = line.split(' ').next().unwrap();
            assert!(text.contains(&format!("\n{key} = ")), "{key} is not in configs/tokens.toml");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let complete =
            ShardsConfig { pairs: "p".into(), codec: "c".into(), out: "o".into(), ..ShardsConfig::default() };
        complete.check().unwrap();
        let fault = |config: ShardsConfig| config.check().unwrap_err().to_string();
        assert!(fault(ShardsConfig { batch: 0, ..complete.clone() }).starts_with("batch: "));
        assert!(fault(ShardsConfig { out: String::new(), ..complete.clone() }).starts_with("out: "));
        let twice = ShardsConfig { columns: vec!["caption".into()], ..complete };
        assert!(fault(twice).starts_with("captions: "));
    }
}
