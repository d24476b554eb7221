//! What a shard's footer says of its row groups: enough to plan which rows are read when, without reading any.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::RowGroupMetaData;
use sha2::{Digest, Sha256};

use super::reader::{damaged, extra_columns};
use super::{Column, TokenMeta};
use crate::{Error, Result};

/// One row group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its rows.
    pub rows: usize,
    /// Whether every row is known to have text ids and codes.
    pub complete: bool,
}

/// A shard by its footer.
#[derive(Clone, Debug, PartialEq)]
pub struct Groups {
    /// What made the shard.
    pub meta: TokenMeta,
    /// The columns passed through.
    pub columns: Vec<Column>,
    /// The row groups in order.
    pub groups: Vec<Group>,
    /// sha256 of the footer, which holds sizes, places and statistics of all columns: another shard has another.
    pub digest: String,
}

impl Groups {
    /// Reads the footer of a shard.
    ///
    /// # Errors
    /// A missing or truncated file, another format, or other columns than the metadata promises.
    pub fn read(path: &Path) -> Result<Self> {
        let mut file = File::open(path).map_err(Error::io(path))?;
        let digest = digest(&mut file).map_err(Error::io(path))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| damaged(path, e))?;
        let metadata = builder.metadata();
        let meta = TokenMeta::from_key_values(path, metadata.file_metadata().key_value_metadata())?;
        let columns = extra_columns(path, builder.schema(), &meta)?;
        let group = |group: &RowGroupMetaData| Group {
            rows: usize::try_from(group.num_rows()).unwrap_or_default(),
            complete: ["text_ids", "codes"].iter().all(|column| has_no_nulls(group, column)),
        };
        let groups = metadata.row_groups().iter().map(group).collect();
        Ok(Self { meta, columns, groups, digest })
    }

    /// Rows of all groups.
    pub fn rows(&self) -> usize {
        self.groups.iter().map(|group| group.rows).sum()
    }
}

/// Whether the statistics of a list column say that no list and no element is missing.
fn has_no_nulls(group: &RowGroupMetaData, name: &str) -> bool {
    let of = |column: &&parquet::file::metadata::ColumnChunkMetaData| {
        column.column_path().parts().first().is_some_and(|part| part == name)
    };
    let statistics = group.columns().iter().find(of).and_then(|column| column.statistics());
    statistics.and_then(parquet::file::statistics::Statistics::null_count_opt) == Some(0)
}

fn digest(file: &mut File) -> std::io::Result<String> {
    // A Parquet file ends with its footer, the footer's length and four letters.
    const TAIL: u64 = 8;
    let size = file.metadata()?.len();
    let mut tail = [0; TAIL as usize];
    file.seek(SeekFrom::Start(size.saturating_sub(TAIL)))?;
    file.read_exact(&mut tail)?;
    let length = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
    let mut footer = Vec::new();
    file.seek(SeekFrom::Start(size.saturating_sub(TAIL + length)))?;
    file.read_to_end(&mut footer)?;
    file.rewind()?;
    Ok(Sha256::digest(&footer).iter().map(|byte| format!("{byte:02x}")).collect())
}
