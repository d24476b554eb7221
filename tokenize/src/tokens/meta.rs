//! What made a token shard, as Parquet key-value metadata.

use std::path::Path;

use parquet::file::metadata::KeyValue;
use serde::{Deserialize, Serialize};

use crate::pixels::Preprocess;
use crate::{Error, Result};

/// The value of the metadata key `troika.format`.
pub const FORMAT: &str = "tokens/1";

const PREPROCESS: &str = "troika.codec.preprocess";

/// Which codec and which text tokenizer made the ids, and their ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenMeta {
    /// File stem of the codec's weights.
    pub codec_name: String,
    /// Kind of the codec; empty in shards of earlier versions.
    pub codec_kind: String,
    /// Hash of the codec's weights file; empty where no codec was used.
    pub codec_sha256: String,
    /// Codes are below this.
    pub codebook_size: usize,
    /// Codes per side of a picture.
    pub grid: usize,
    /// Pixels per code side.
    pub downsampling: usize,
    /// What was done to the pictures before the codec saw them.
    pub preprocess: Preprocess,
    /// Kind of the text tokenizer (`hf-bpe`).
    pub bpe_kind: String,
    /// Hash of the text tokenizer's file.
    pub bpe_sha256: String,
    /// Text ids are below this.
    pub vocab_size: usize,
    /// Whether captions were lower-cased and stripped before they were encoded.
    pub lowercase: bool,
}

impl TokenMeta {
    /// Pixels per side of a picture that the codes stand for.
    pub fn image_size(&self) -> usize {
        self.grid * self.downsampling
    }

    /// Codes of a picture.
    pub fn codes_per_image(&self) -> usize {
        self.grid * self.grid
    }

    /// Whether text ids need more than 16 bits.
    pub fn wide_ids(&self) -> bool {
        self.vocab_size > usize::from(u16::MAX) + 1
    }

    pub(super) fn to_key_values(&self) -> Vec<KeyValue> {
        let preprocess = serde_json::to_string(&self.preprocess).unwrap_or_default();
        let pairs = [
            ("troika.format", FORMAT.to_owned()),
            ("troika.codec.name", self.codec_name.clone()),
            ("troika.codec.kind", self.codec_kind.clone()),
            ("troika.codec.sha256", self.codec_sha256.clone()),
            ("troika.codec.codebook_size", self.codebook_size.to_string()),
            ("troika.codec.grid", self.grid.to_string()),
            ("troika.codec.downsampling", self.downsampling.to_string()),
            (PREPROCESS, preprocess),
            ("troika.bpe.kind", self.bpe_kind.clone()),
            ("troika.bpe.sha256", self.bpe_sha256.clone()),
            ("troika.bpe.vocab_size", self.vocab_size.to_string()),
            ("troika.bpe.lowercase", self.lowercase.to_string()),
        ];
        pairs.into_iter().map(|(key, value)| KeyValue::new(key.to_owned(), value)).collect()
    }

    pub(super) fn from_key_values(path: &Path, pairs: Option<&Vec<KeyValue>>) -> Result<Self> {
        let find = |key: &str| {
            let found = pairs.into_iter().flatten().find(|pair| pair.key == key);
            found.and_then(|pair| pair.value.clone())
        };
        let text = |key: &str| -> Result<String> {
            find(key).ok_or_else(|| {
                not_tokens(path, format!("not a token shard: the metadata key {key} is missing"))
            })
        };
        let number = |key: &str| -> Result<usize> {
            let value = text(key)?;
            value
                .parse()
                .map_err(|_| not_tokens(path, format!("the metadata key {key} is {value:?}, not a number")))
        };
        let format = text("troika.format")?;
        if format != FORMAT {
            return Err(not_tokens(path, format!("the format is {format:?}, this version reads {FORMAT:?}")));
        }
        Ok(Self {
            codec_name: text("troika.codec.name")?,
            codec_kind: find("troika.codec.kind").unwrap_or_default(),
            codec_sha256: text("troika.codec.sha256")?,
            codebook_size: number("troika.codec.codebook_size")?,
            grid: number("troika.codec.grid")?,
            downsampling: number("troika.codec.downsampling")?,
            preprocess: preprocess(path, find(PREPROCESS))?,
            bpe_kind: text("troika.bpe.kind")?,
            bpe_sha256: text("troika.bpe.sha256")?,
            vocab_size: number("troika.bpe.vocab_size")?,
            lowercase: find("troika.bpe.lowercase").is_some_and(|value| value == "true"),
        })
    }
}

/// Shards of earlier versions have no such key; their pictures were prepared as codecs of Troika's own are.
fn preprocess(path: &Path, json: Option<String>) -> Result<Preprocess> {
    let Some(json) = json else { return Ok(Preprocess::default()) };
    serde_json::from_str(&json).map_err(|error| {
        not_tokens(path, format!("the metadata key {PREPROCESS} is none that this version knows: {error}"))
    })
}

fn not_tokens(path: &Path, why: String) -> Error {
    Error::Table {
        path: path.to_owned(),
        why,
        cure: Some(
            "token shards are made with `tokenize shards PAIRS --codec … --bpe … --out TOKENS`".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_survives_the_round_trip() {
        let meta = TokenMeta {
            codec_name: "vqgan".into(),
            codec_kind: "gumbel".into(),
            codec_sha256: "ab".into(),
            codebook_size: 1024,
            grid: 8,
            downsampling: 8,
            preprocess: Preprocess::openai(256),
            bpe_kind: "hf-bpe".into(),
            bpe_sha256: "cd".into(),
            vocab_size: 70_000,
            lowercase: true,
        };
        let read = TokenMeta::from_key_values(Path::new("t.parquet"), Some(&meta.to_key_values())).unwrap();
        assert_eq!(read, meta);
        assert_eq!((read.image_size(), read.codes_per_image(), read.wide_ids()), (64, 64, true));
    }

    #[test]
    fn keys_that_earlier_versions_did_not_write_have_defaults() {
        let meta = TokenMeta { lowercase: true, codec_kind: "x".into(), ..TokenMeta::default() };
        let mut pairs = meta.to_key_values();
        let later = ["troika.codec.kind", PREPROCESS, "troika.bpe.lowercase"];
        pairs.retain(|pair| !later.contains(&pair.key.as_str()));
        let read = TokenMeta::from_key_values(Path::new("t.parquet"), Some(&pairs)).unwrap();
        assert_eq!(read, TokenMeta::default());
    }

    #[test]
    fn a_later_format_is_refused_by_name() {
        let pairs = vec![KeyValue::new("troika.format".to_owned(), "tokens/2".to_owned())];
        let error = TokenMeta::from_key_values(Path::new("t.parquet"), Some(&pairs)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "t.parquet: the format is \"tokens/2\", this version reads \"tokens/1\""
        );
    }
}
