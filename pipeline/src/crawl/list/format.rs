//! What an input file is.

use std::path::Path;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What an input file is; tables and texts may be packed by gzip or zstd (their content tells, not their name).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ListFormat {
    /// Parquet.
    Parquet,
    /// Comma-separated, with a header line; fields may hold quoted commas and newlines.
    #[serde(alias = "csv.gz")]
    #[value(alias = "csv.gz")]
    Csv,
    /// Tab-separated, otherwise like CSV.
    #[serde(alias = "tsv.gz")]
    #[value(alias = "tsv.gz")]
    Tsv,
    /// An array of JSON objects, or objects one after the other.
    #[serde(alias = "json.gz")]
    #[value(alias = "json.gz")]
    Json,
    /// One JSON object per line.
    #[serde(alias = "jsonl.gz")]
    #[value(alias = "jsonl.gz")]
    Jsonl,
    /// One URL per line, nothing else (a comma is part of the URL).
    #[serde(alias = "txt.gz")]
    #[value(alias = "txt.gz")]
    Txt,
    /// A tar whose members with one key are a sample: image, `.txt`, `.json`.
    Webdataset,
    /// A folder of images, `.txt` and `.json` beside them.
    Images,
}

impl ListFormat {
    /// By the ending of the file name; `.gz` and `.zst` are looked through.
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let packed = [".gz", ".zst", ".zstd"].iter().find_map(|ending| name.strip_suffix(ending));
        let (_, ending) = packed.unwrap_or(&name).rsplit_once('.')?;
        Some(match ending {
            "parquet" if packed.is_none() => Self::Parquet,
            "csv" => Self::Csv,
            "tsv" => Self::Tsv,
            "json" => Self::Json,
            "jsonl" | "ndjson" => Self::Jsonl,
            "txt" => Self::Txt,
            "tar" if packed.is_none() => Self::Webdataset,
            _ => return None,
        })
    }
}

/// Whether a file name is that of an image.
pub(super) fn is_image(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    let endings = ["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif", "jfif"];
    ending.is_some_and(|ending| endings.contains(&ending.as_str()))
}
