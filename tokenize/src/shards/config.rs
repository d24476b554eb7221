//! The configuration of `tokenize shards` (`configs/tokens.toml`).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Augment;
use crate::tokens::{REASON, VIEW};
use crate::{Error, Result};

/// What to make into tokens, with what, and where to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShardsConfig {
    /// Pair shards: the folder that `pipeline crawl` wrote (or img2dataset's Parquet output), or one file.
    pub pairs: PathBuf,
    /// Weights of the image codec; empty for text-only shards.
    pub codec: PathBuf,
    /// The text tokenizer; empty for image-only shards.
    pub bpe: PathBuf,
    /// The folder for the token shards; with several sizes one folder per grid in it, named after the grid.
    pub out: String,
    /// Columns of strings, or of lists of strings; each text that is not empty gives the picture a row of its own.
    pub captions: Vec<String>,
    /// Columns of the pairs that are passed through with their types, for example a train/test split, a class label or
    /// a CLIP embedding.
    pub columns: Vec<String>,
    /// Whether captions are lower-cased and stripped before they are encoded, as ruDALL-E's are; the column `caption`
    /// keeps them as they were.
    pub lowercase: bool,
    /// Side of the square that a picture is scaled and cropped to, in pixels; 0 = the codec's own resolution. A list
    /// makes several grids in one pass.
    pub image_size: Sizes,
    /// Pictures that the codec takes at a time.
    pub batch: usize,
    /// `cpu`, `cuda:0` or `wgpu`.
    pub device: String,
    /// Pairs per unit of work, the piece that a killed run repeats.
    pub unit_rows: u64,
    /// Views of a picture that become rows beside the picture itself.
    pub augment: Augment,
}

/// One size or several, in pixels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "OneOrMany", into = "OneOrMany")]
pub struct Sizes(pub Vec<usize>);

/// How [`Sizes`] are spelt.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged, expecting = "a number of pixels or a list of them")]
enum OneOrMany {
    One(usize),
    Many(Vec<usize>),
}

impl From<OneOrMany> for Sizes {
    fn from(sizes: OneOrMany) -> Self {
        match sizes {
            OneOrMany::One(size) => Self(vec![size]),
            OneOrMany::Many(sizes) => Self(sizes),
        }
    }
}

impl From<Sizes> for OneOrMany {
    fn from(Sizes(sizes): Sizes) -> Self {
        match sizes.as_slice() {
            [size] => Self::One(*size),
            _ => Self::Many(sizes),
        }
    }
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
            lowercase: true,
            image_size: Sizes(vec![0]),
            batch: 16,
            device: "cpu".to_owned(),
            unit_rows: 10_000,
            augment: Augment::default(),
        }
    }
}

impl ShardsConfig {
    /// Whether pictures become codes.
    pub(super) fn has_codec(&self) -> bool {
        !self.codec.as_os_str().is_empty()
    }

    /// Whether captions become ids.
    pub(super) fn has_bpe(&self) -> bool {
        !self.bpe.as_os_str().is_empty()
    }

    /// Finds what is missing before anything is loaded.
    ///
    /// # Errors
    /// Names the key.
    pub fn check(&self) -> Result<()> {
        let Sizes(sizes) = &self.image_size;
        let own = |name: &String| [REASON, VIEW].contains(&name.as_str());
        let twice = |(i, size): (usize, &usize)| sizes[..i].contains(size);
        let faults = [
            ("pairs", self.pairs.as_os_str().is_empty(), "name the folder that `pipeline crawl` wrote"),
            (
                "codec",
                !self.has_codec() && !self.has_bpe(),
                "name the codec's weights, for example vqgan.safetensors, or a bpe for text-only shards",
            ),
            ("out", self.out.is_empty(), "name the folder for the token shards"),
            ("batch", self.batch == 0, "at least one picture at a time"),
            ("unit_rows", self.unit_rows == 0, "at least one pair per unit"),
            (
                "captions",
                self.captions.iter().any(|c| self.columns.contains(c)),
                "a caption column is not passed through as well",
            ),
            ("columns", self.columns.iter().any(own), "reason and view are columns of the token shards' own"),
            ("image_size", sizes.is_empty(), "at least one size, or 0 for the codec's own"),
            ("image_size", sizes.iter().enumerate().any(twice), "each size once"),
            ("augment", !self.has_codec() && self.augment.is_any(), "views need a codec"),
        ];
        if let Some((key, _, why)) = faults.into_iter().find(|(_, wrong, _)| *wrong) {
            return Err(Error::Config { key: key.to_owned(), why: why.to_owned() });
        }
        self.augment.check()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pipeline::settings;

    use super::*;

    /// Keys of a TOML text with their tables: `augment.flip`.
    fn keys(text: &str) -> Vec<String> {
        let mut table = String::new();
        let mut keys = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                table = format!("{name}.");
            } else if let Some((key, _)) = line.split_once(" = ") {
                keys.push(format!("{table}{key}"));
            }
        }
        keys
    }

    #[test]
    fn the_shipped_configuration_is_complete() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/tokens.toml");
        let config: ShardsConfig = settings::load(Some(&path), &[]).unwrap();
        config.check().unwrap();
        let there = keys(&std::fs::read_to_string(path).unwrap());
        for key in keys(&settings::to_toml(&config).unwrap()) {
            assert!(there.contains(&key), "{key} is not in configs/tokens.toml");
        }
    }

    #[test]
    fn sizes_are_a_number_or_a_list() {
        let sizes = |set: &str| {
            let config: ShardsConfig = settings::load(None, &[set.to_owned()]).unwrap();
            (settings::to_toml(&config).unwrap(), config.image_size.0)
        };
        let (text, one) = sizes("image_size=128");
        assert!(one == [128] && text.contains("\nimage_size = 128\n"), "{text}");
        assert_eq!(sizes("image_size=[128, 256]").1, [128, 256]);
        let refused = settings::load::<ShardsConfig>(None, &["image_size=big".to_owned()]).unwrap_err();
        assert!(refused.to_string().contains("a number of pixels or a list"), "{refused}");
    }

    #[test]
    fn what_is_missing_is_named() {
        let complete =
            ShardsConfig { pairs: "p".into(), codec: "c".into(), out: "o".into(), ..ShardsConfig::default() };
        complete.check().unwrap();
        let fault = |config: ShardsConfig| config.check().unwrap_err().to_string();
        assert!(fault(ShardsConfig { batch: 0, ..complete.clone() }).starts_with("batch: "));
        assert!(fault(ShardsConfig { out: String::new(), ..complete.clone() }).starts_with("out: "));
        let twice = ShardsConfig { columns: vec!["caption".into()], ..complete.clone() };
        assert!(fault(twice).starts_with("captions: "));
        let own = ShardsConfig { columns: vec!["reason".into()], ..complete.clone() };
        assert!(fault(own).starts_with("columns: "));
        let texts = ShardsConfig { codec: PathBuf::new(), ..complete.clone() };
        assert!(fault(texts.clone()).starts_with("codec: "));
        ShardsConfig { bpe: "b".into(), ..texts }.check().unwrap();
        let sizes = ShardsConfig { image_size: Sizes(vec![64, 128, 64]), ..complete };
        assert!(fault(sizes).starts_with("image_size: "));
    }
}
