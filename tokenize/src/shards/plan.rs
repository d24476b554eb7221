//! What there is to do: the pair shards as plan inputs, and what decides the output besides them.

use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use pipeline::pairs::{self, PairShard};
use pipeline::store::Store;
use pipeline::unit::{InputFile, Plan, digest_file};
use serde_json::{Value, json};

use super::{ShardsConfig, columns};
use crate::tokens::{Column, TokenMeta};
use crate::{Error, Result};

/// The pair shards of a run.
pub(super) struct Inputs {
    /// One entry per shard.
    pub(super) files: Vec<InputFile>,
    /// Units that the crawl has planned and not committed.
    pub(super) missing: usize,
    /// The columns that are passed through, the same in all shards.
    pub(super) columns: Vec<Column>,
}

/// The part of the configuration that decides the output; where things lie and how they are batched does not.
pub(super) fn decides(config: &ShardsConfig, meta: &TokenMeta) -> Value {
    json!({
        "codec_sha256": meta.codec_sha256,
        "bpe_sha256": meta.bpe_sha256,
        "grid": meta.grid,
        "preprocess": meta.preprocess,
        "lowercase": meta.lowercase,
        "captions": config.captions,
        "columns": config.columns,
        "augment": config.augment,
    })
}

/// Lists the pair shards and checks that they have the wanted columns.
///
/// # Errors
/// No shards, damaged ones, or a column that is not there or of another type than in the first shard.
pub(super) fn inputs(config: &ShardsConfig) -> Result<Inputs> {
    let mut inputs = if config.pairs.is_dir() {
        folder_inputs(&config.pairs)?
    } else {
        Inputs { files: vec![file_input(&config.pairs)?], missing: 0, columns: Vec::new() }
    };
    let Some(first) = inputs.files.first().map(|file| file.path.clone()) else {
        return Err(Error::Table {
            path: config.pairs.clone(),
            why: "no pair shards in this folder".to_owned(),
            cure: Some(
                "make some with `pipeline crawl`, or wait until it has committed its first unit".to_owned(),
            ),
        });
    };
    for file in &inputs.files {
        let schema = pairs::open(&file.path)?.schema()?;
        let columns = columns::check(Path::new(&file.path), &schema, config)?;
        if file.path == first {
            inputs.columns = columns;
        } else if columns != inputs.columns {
            let why = format!("columns: not all of the types that they have in {first}");
            return Err(Error::table(&file.path, why));
        }
    }
    Ok(inputs)
}

fn folder_inputs(folder: &Path) -> Result<Inputs> {
    let store = Store::open(&folder.to_string_lossy())?;
    let shards = pairs::shards(&store)?;
    let missing = match Plan::load(&store) {
        Ok(plan) => plan.units.len().saturating_sub(shards.len()),
        Err(pipeline::Error::NoPlan { .. }) => 0,
        Err(error) => return Err(error.into()),
    };
    let files =
        shards.into_iter().map(|shard| input_file(folder.join(&shard.name), shard)).collect::<Result<_>>()?;
    Ok(Inputs { files, missing, columns: Vec::new() })
}

fn input_file(path: PathBuf, shard: PairShard) -> Result<InputFile> {
    let digest = match shard.sha256 {
        Some(sha256) => sha256,
        None => digest_file(&path)?,
    };
    let path = path.to_string_lossy().into_owned();
    Ok(InputFile { path, rows: shard.rows, bytes: shard.bytes, digest, offsets: Vec::new() })
}

fn file_input(path: &Path) -> Result<InputFile> {
    let file = File::open(path).map_err(Error::io(path))?;
    let bytes = file.metadata().map_err(Error::io(path))?.len();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| {
        pipeline::Error::Parquet { path: path.display().to_string(), message: error.to_string() }
    })?;
    let rows = reader.metadata().file_metadata().num_rows().cast_unsigned();
    let name = path.to_string_lossy().into_owned();
    input_file(path.to_owned(), PairShard { name, rows, bytes, sha256: None })
}
