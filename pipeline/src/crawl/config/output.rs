//! `[output]`: where the shards go, and what they are.

use serde::{Deserialize, Serialize};

use crate::crawl::output::OutputFormat;
use crate::{Error, Result};

/// `[output]`: the shards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutputConfig {
    /// A folder, or a bucket as `s3://…`, `gs://…`, `az://…`.
    pub path: String,
    /// Where the pictures go.
    pub format: OutputFormat,
    /// Rows in a shard: what a kill can cost, what a cluster hands out.
    pub rows_per_unit: u64,
    /// Digits of a shard's number in names and keys.
    pub shard_digits: usize,
}

impl Default for OutputConfig {
    fn default() -> Self {
        Self { path: String::new(), format: OutputFormat::Parquet, rows_per_unit: 10_000, shard_digits: 5 }
    }
}

impl OutputConfig {
    pub(super) fn validate(&self) -> Result<()> {
        if self.format == OutputFormat::Tfrecord {
            let error = Error::config("output.format", "tfrecord is not written");
            return Err(error.with_hint("choose parquet or webdataset, which hold the same rows"));
        }
        if self.path.starts_with("http://") || self.path.starts_with("https://") {
            let error = Error::config("output.path", format!("{} can be read, not written", self.path));
            return Err(error.with_hint("name a folder or a bucket: s3://…, gs://…, az://…"));
        }
        if self.rows_per_unit == 0 {
            return Err(Error::config("output.rows_per_unit", "must be at least 1"));
        }
        if !(1..=12).contains(&self.shard_digits) {
            return Err(Error::config("output.shard_digits", "lies between 1 and 12"));
        }
        Ok(())
    }
}
