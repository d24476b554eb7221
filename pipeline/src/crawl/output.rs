//! What a unit writes, by `output.format`.

use arrow::array::ArrayRef;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::pairs::tar::TarWriter;
use crate::pairs::{Layout, PairWriter, Row, sample};
use crate::unit::{Attempt, FolderWriter, ShardWriter, UnitFile};
use crate::{Error, Result};

/// Where the pictures go, by img2dataset's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OutputFormat {
    /// One Parquet file per unit, the pictures in its last column.
    #[default]
    Parquet,
    /// A tar of `KEY.jpg`, `KEY.json`, `KEY.txt` per unit, and its table.
    Webdataset,
    /// A folder of the same files per unit, and its table.
    Files,
    /// Nothing but counts: to measure a network or a list.
    Dummy,
    /// img2dataset's TensorFlow format, which is not written.
    #[value(hide = true)]
    Tfrecord,
}

/// The pictures of a unit.
enum Pictures {
    InTable,
    Tar(TarWriter<ShardWriter>),
    Folder(FolderWriter),
}

/// The files of a unit in the making.
pub(super) struct UnitOutput {
    /// `None` where only the counts are wanted.
    table: Option<PairWriter<ShardWriter>>,
    pictures: Pictures,
    layout: Layout,
    name: String,
    rows: u64,
}

impl UnitOutput {
    pub(super) fn start(attempt: &Attempt<'_>, layout: &Layout, format: OutputFormat) -> Result<Self> {
        let name = format!("the shard of unit {}", attempt.unit.index);
        let beside = || PairWriter::without_images(attempt.shard("parquet")?, layout, &name);
        let (table, pictures) = match format {
            OutputFormat::Parquet => {
                (Some(PairWriter::new(attempt.shard("parquet")?, layout, &name)?), Pictures::InTable)
            }
            OutputFormat::Webdataset => {
                (Some(beside()?), Pictures::Tar(TarWriter::new(attempt.shard("tar")?)))
            }
            OutputFormat::Files => (Some(beside()?), Pictures::Folder(attempt.folder()?)),
            OutputFormat::Dummy | OutputFormat::Tfrecord => (None, Pictures::InTable),
        };
        Ok(Self { table, pictures, layout: layout.clone(), name, rows: 0 })
    }

    /// Appends rows; `extra` holds the additional columns.
    pub(super) fn write(&mut self, extra: &[ArrayRef], rows: &[Row]) -> Result<()> {
        self.rows += rows.len() as u64;
        let Some(table) = &mut self.table else { return Ok(()) };
        let batch = table.append(extra, rows)?;
        let samples = rows.iter().enumerate().map(|(i, row)| sample::files(&self.layout, &batch, i, row));
        match &mut self.pictures {
            Pictures::InTable => Ok(()),
            Pictures::Tar(tar) => samples.flatten().try_for_each(|(name, content)| {
                tar.append(&name, &content).map_err(|e| Error::io(&self.name, e))
            }),
            Pictures::Folder(folder) => folder.put_all(samples.flatten().collect()),
        }
    }

    /// Ends the files, the table last, and counts the rows.
    pub(super) fn close(self) -> Result<(Vec<UnitFile>, u64)> {
        let mut files = Vec::new();
        match self.pictures {
            Pictures::InTable => {}
            Pictures::Tar(tar) => {
                files.push(tar.finish().map_err(|e| Error::io(&self.name, e))?.close()?);
            }
            Pictures::Folder(folder) => files.push(folder.close()?),
        }
        if let Some(table) = self.table {
            files.push(table.close()?.0.close()?);
        }
        Ok((files, self.rows))
    }
}
