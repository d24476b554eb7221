//! The first pass: pictures are decoded and hashed, URLs brought into one form. Unit by unit into a folder of its own, so
//! that a kill costs one unit and another distance costs no decoding.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, Schema};
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use rayon::ThreadPool;
use rayon::prelude::*;
use serde::Serialize;
use serde_json::Value;

use super::config::DedupConfig;
use super::facts::{self, Fact, digest, digest_of_hex};
use super::phash::PHash;
use super::stage::Stage;
use super::url::UrlConfig;
use crate::pairs::{Table, TableWriter};
use crate::picture::{DecodeOptions, JPEG_CODEC, decode};
use crate::progress::Progress;
use crate::unit::{Attempt, Plan, Produced, ShardWriter};
use crate::{Error, Result};

/// Rows that a kill can cost.
const ROWS_PER_UNIT: u64 = 10_000;

/// The column of hashes that earlier runs, or imagehash, left.
pub(super) const PHASH: &str = "phash";
/// The column of the hash of the bytes, as downloaded.
const SHA256: &str = "sha256";

/// Whether a table has hashes.
pub(super) fn has_hashes(schema: &Schema) -> bool {
    has_text(schema, PHASH)
}

/// Whether a table has a column of texts that is called so.
fn has_text(schema: &Schema, name: &str) -> bool {
    fn is_text(kind: &DataType) -> bool {
        match kind {
            DataType::Dictionary(_, value) => is_text(value),
            kind => kind.is_string(),
        }
    }
    schema.field_with_name(name).is_ok_and(|field| is_text(field.data_type()))
}

/// Pixels of a stored picture as they are hashed: upright, in sRGB, transparency over white, which is what a crawl
/// stores. `None` for what is no picture.
pub(super) fn hash(bytes: &[u8]) -> Option<PHash> {
    decode(bytes, &DecodeOptions::default()).ok().map(|picture| PHash::of(&picture))
}

/// What is read of the input, and how.
#[derive(Debug, Serialize)]
pub(super) struct Reading<'a> {
    url_col: Option<&'a str>,
    caption_col: Option<&'a str>,
    url: &'a UrlConfig,
    /// Columns that have the hashes already.
    sha256: bool,
    phash: bool,
    /// Whether the pictures' bytes are hashed, and whether their pixels are.
    hash_bytes: bool,
    hash_pixels: bool,
    jpeg_codec: &'static str,
}

impl<'a> Reading<'a> {
    /// Of a table for some stages.
    pub(super) fn new(table: &Table, config: &'a DedupConfig, stages: &[Stage]) -> Self {
        let schema = table.schema();
        let wants = |of: &[Stage]| stages.iter().any(|stage| of.contains(stage));
        let (sha256, phash) = (has_text(schema, SHA256), has_hashes(schema));
        let pictures = table.image_column().is_some();
        Self {
            url_col: Some(config.input.url_col.as_str()).filter(|name| has_text(schema, name)),
            caption_col: Some(config.input.caption_col.as_str()).filter(|name| has_text(schema, name)),
            url: &config.url,
            sha256,
            phash,
            hash_bytes: pictures && !sha256 && wants(&[Stage::Placeholder, Stage::Sha256]),
            hash_pixels: pictures && !phash && wants(&[Stage::Placeholder, Stage::Contaminated, Stage::Near]),
            jpeg_codec: JPEG_CODEC,
        }
    }

    /// What `stages` lack here, for those that cannot run.
    pub(super) fn lacks(table: &Table, config: &DedupConfig, stage: Stage) -> Option<String> {
        let has = |name: &str| has_text(table.schema(), name);
        let pictures = table.image_column().is_some();
        let (url, caption) = (&config.input.url_col, &config.input.caption_col);
        match stage {
            Stage::Url | Stage::UrlCaption if !has(url) => Some(format!("no column `{url}`")),
            Stage::UrlCaption if !has(caption) => Some(format!("no column `{caption}`")),
            Stage::Placeholder if config.placeholder.sites > 0 && !has(url) => {
                Some(format!("no column `{url}` to tell sites by"))
            }
            Stage::Placeholder if !pictures && !has(SHA256) && !has_hashes(table.schema()) => {
                Some("no pictures and no column `sha256` or `phash`".to_owned())
            }
            Stage::Contaminated if config.against.paths.is_empty() => Some("no evaluation sets".to_owned()),
            Stage::Sha256 if !pictures && !has(SHA256) => {
                Some("no pictures and no column `sha256`".to_owned())
            }
            Stage::Contaminated | Stage::Near if !pictures && !has_hashes(table.schema()) => {
                Some("no pictures and no column `phash`".to_owned())
            }
            _ => None,
        }
    }

    /// The plan of the first pass. Its id names its folder: whatever else a config says, the same hashes serve it.
    pub(super) fn plan(&self, table: &Table) -> Result<Plan> {
        Plan::new(facts::FORMAT, self, table.inputs()?, ROWS_PER_UNIT)
    }

    /// Whether rows have a perceptual hash, given or made.
    pub(super) fn has_hashes(&self) -> bool {
        self.phash || self.hash_pixels
    }

    fn columns(&self, table: &Table) -> Vec<String> {
        let size =
            SIZES.iter().find(|size| size.iter().all(|name| table.schema().field_with_name(name).is_ok()));
        let picture = table.image_column().filter(|_| self.hash_bytes || self.hash_pixels);
        let hashes = [(SHA256, self.sha256), (PHASH, self.phash)];
        let hashes = hashes.into_iter().filter(|(_, there)| *there).map(|(name, _)| name);
        let named = ["key"].into_iter().chain(hashes).chain(self.url_col).chain(self.caption_col);
        let all = named.chain(size.into_iter().flatten().copied()).chain(picture);
        all.map(str::to_owned).collect()
    }

    /// Hashes the rows of a unit.
    pub(super) fn unit(
        &self,
        attempt: &Attempt<'_>,
        table: &Table,
        pool: &ThreadPool,
        progress: &Progress,
    ) -> Result<Produced> {
        let shard = (0..table.shards().len()).find(|shard| table.display(*shard) == attempt.unit.file);
        let shard = shard.ok_or(Error::Lost { what: "the listing of the shards" })?;
        let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let rows =
            vec![RowSelector::skip(size(attempt.unit.start)), RowSelector::select(size(attempt.unit.rows))];
        let columns = self.columns(table);
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let mut writer = FactWriter::start(attempt, self.hash_pixels)?;
        for batch in table.scan_with(shard, Some(&columns), Some(RowSelection::from(rows)))? {
            attempt.check()?;
            let columns = Columns::of(&batch?, self, table);
            let facts =
                pool.install(|| (0..columns.rows).into_par_iter().map(|row| columns.fact(row)).collect());
            writer.write(facts)?;
            progress.add(columns.rows as u64);
        }
        writer.finish()
    }
}

/// Columns of width and height, those before resizing first.
const SIZES: [[&str; 2]; 2] = [["original_width", "original_height"], ["width", "height"]];

/// The columns of a batch.
struct Columns<'a> {
    reading: &'a Reading<'a>,
    rows: usize,
    key: Option<StringArray>,
    url: Option<StringArray>,
    caption: Option<StringArray>,
    sha256: Option<StringArray>,
    phash: Option<StringArray>,
    size: Option<(Int64Array, Int64Array)>,
    picture: Option<BinaryArray>,
}

impl<'a> Columns<'a> {
    fn of(batch: &RecordBatch, reading: &'a Reading<'a>, table: &Table) -> Self {
        let column =
            |name: &str, kind| batch.column_by_name(name).and_then(|column| cast(column, &kind).ok());
        let text =
            |name: &str| column(name, DataType::Utf8).and_then(|c: ArrayRef| c.as_string_opt().cloned());
        let number = |name: &str| {
            column(name, DataType::Int64).and_then(|c| c.as_primitive_opt::<Int64Type>().cloned())
        };
        let picture = table.image_column().and_then(|name| column(name, DataType::Binary));
        Self {
            reading,
            rows: batch.num_rows(),
            key: text("key"),
            url: reading.url_col.and_then(text),
            caption: reading.caption_col.and_then(text),
            sha256: text(SHA256),
            phash: text(PHASH),
            size: SIZES.iter().find_map(|[width, height]| number(width).zip(number(height))),
            picture: picture.and_then(|column| column.as_binary_opt().cloned()),
        }
    }

    fn fact(&self, row: usize) -> Fact {
        let url = text(&self.url, row).and_then(|url| self.reading.url.address(url));
        let key = url.as_ref().map(|url| url.key.as_bytes());
        let caption = text(&self.caption, row).unwrap_or_default();
        let picture =
            self.picture.as_ref().filter(|column| column.is_valid(row)).map(|column| column.value(row));
        let bytes_of = picture.filter(|_| self.reading.hash_bytes);
        let pixels_of = picture.filter(|_| self.reading.hash_pixels);
        let site = url.as_ref().filter(|url| !url.site.is_empty());
        Fact {
            key: text(&self.key, row).map(str::to_owned),
            url: key.map(|key| digest(&[key])),
            url_caption: key.filter(|_| self.caption.is_some()).map(|key| digest(&[key, caption.as_bytes()])),
            site: site.map(|url| number(digest(&[url.site.as_bytes()]))),
            sha256: text(&self.sha256, row)
                .and_then(digest_of_hex)
                .or_else(|| bytes_of.map(|b| digest(&[b]))),
            phash: text(&self.phash, row)
                .and_then(|hash| hash.parse().ok())
                .or_else(|| pixels_of.and_then(hash)),
            area: self.area(row),
            bytes: picture.map_or(0, |picture| u32::try_from(picture.len()).unwrap_or(u32::MAX)),
        }
    }

    fn area(&self, row: usize) -> u64 {
        let side = |column: &Int64Array| {
            column.is_valid(row).then(|| u64::try_from(column.value(row)).ok()).flatten().unwrap_or(0)
        };
        self.size.as_ref().map_or(0, |(width, height)| side(width).saturating_mul(side(height)))
    }
}

fn text(column: &Option<StringArray>, row: usize) -> Option<&str> {
    column.as_ref().filter(|column| column.is_valid(row)).map(|column| column.value(row))
}

/// Of a site; never 0.
fn number(digest: facts::Digest) -> u64 {
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)).max(1)
}

/// Writes the facts of a unit and counts what came of its pictures.
pub(super) struct FactWriter {
    writer: TableWriter<ShardWriter>,
    name: String,
    /// Whether a picture without a hash could not be read.
    pixels: bool,
    counts: BTreeMap<String, u64>,
}

impl FactWriter {
    pub(super) fn start(attempt: &Attempt<'_>, pixels: bool) -> Result<Self> {
        let name = format!("the hashes of unit {}", attempt.unit.index);
        let writer = TableWriter::new(attempt.shard("parquet")?, facts::schema(), facts::FORMAT, &[], &name)?;
        Ok(Self { writer, name, pixels, counts: BTreeMap::new() })
    }

    pub(super) fn write(&mut self, facts: Vec<Fact>) -> Result<()> {
        for fact in &facts {
            let outcome = match fact {
                Fact { phash: Some(_), .. } => HASHED,
                Fact { bytes: 1.., .. } if self.pixels => UNREADABLE,
                _ => "without_hash",
            };
            *self.counts.entry(outcome.to_owned()).or_default() += 1;
        }
        self.writer.write(&facts::batch(&facts, &self.name)?)
    }

    pub(super) fn finish(self) -> Result<Produced> {
        let (shard, rows) = self.writer.close()?;
        shard.finish(rows, self.counts, Value::Null)
    }
}

/// Counts of rows with a hash, and of rows whose picture gave none.
pub(super) const HASHED: &str = "hashed";
/// See [`HASHED`].
pub(super) const UNREADABLE: &str = "unreadable";
