//! Tables of any columns in Parquet, read and written a batch of rows at a time: what stages pass on that need not know
//! more of a shard than a few of its columns.

use std::io::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowSelection};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use serde::Serialize;

use super::beside::Beside;
use super::reader::{builder, image_column, locate, parquet_error};
use super::{PairReader, PairShard};
use crate::io_failure::{FirstFailure, Watched};
use crate::store::Store;
use crate::unit::{InputFile, Plan, Unit, UnitFile, committed, digest_of, is_dropped};
use crate::{Error, Result};

/// Rows read at a time where there are pictures, and where there are none.
pub(super) const BATCH: (usize, usize) = (64, 8192);
/// Rows after which a row group ends, likewise.
const GROUP_ROWS: (usize, usize) = (1000, 100_000);
/// Bytes after which a row group ends earlier.
const GROUP_BYTES: usize = 64 << 20;

/// A table in one or more Parquet files of one schema: pair shards, link tables, anybody's.
#[derive(Clone, Debug)]
pub struct Table {
    store: Store,
    shards: Vec<PairShard>,
    schema: SchemaRef,
}

impl Table {
    /// Opens a folder or bucket (its committed shards or, where nothing was ever committed, all Parquet files by name),
    /// or a single Parquet file.
    ///
    /// # Errors
    /// [`Error::Input`] where no shards are; [`Error::Parquet`] for a file that is none.
    pub fn open(location: &str) -> Result<Self> {
        let (store, shards) = locate(location)?;
        let schema = match shards.first() {
            Some(first) => Arc::clone(builder(&store, &first.name)?.schema()),
            None => SchemaRef::new(arrow::datatypes::Schema::empty()),
        };
        Ok(Self { store, shards, schema })
    }

    /// The rows that a stage removed from a folder, in the files beside its shards; `None` where nothing keeps them.
    ///
    /// # Errors
    /// A damaged commit; [`Error::Parquet`] for a file that is none.
    pub fn dropped(location: &str) -> Result<Option<Self>> {
        let store = Store::open(location)?;
        let commits = committed(&store)?;
        let files = commits.iter().flat_map(|commit| &commit.files).filter(|file| is_dropped(&file.name));
        let shard = |file: &UnitFile| {
            let UnitFile { name, bytes, sha256 } = file.clone();
            let rows = builder(&store, &name)?.metadata().file_metadata().num_rows().cast_unsigned();
            Ok(PairShard { name, rows, bytes, sha256: Some(sha256) })
        };
        let shards: Vec<PairShard> = files.map(shard).collect::<Result<_>>()?;
        let Some(first) = shards.first() else { return Ok(None) };
        let schema = Arc::clone(builder(&store, &first.name)?.schema());
        Ok(Some(Self { store, shards, schema }))
    }

    /// Columns, types and file metadata of the first shard; the others have the same columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The shards, in input order.
    pub fn shards(&self) -> &[PairShard] {
        &self.shards
    }

    /// Rows of all shards.
    pub fn rows(&self) -> u64 {
        self.shards.iter().map(|shard| shard.rows).sum()
    }

    /// How a shard is called in messages and plans.
    pub fn display(&self, shard: usize) -> String {
        self.store.display(&self.shards[shard].name)
    }

    /// Name of the column of pictures, which is the last one.
    pub fn image_column(&self) -> Option<&str> {
        image_column(&self.schema).map(|column| self.schema.field(column).name().as_str())
    }

    /// The shards as inputs of a [`crate::unit::Plan`].
    pub fn inputs(&self) -> Result<Vec<InputFile>> {
        let input = |(index, shard): (usize, &PairShard)| {
            let path = self.display(index);
            let digest = match &shard.sha256 {
                Some(sha256) => sha256.clone(),
                None => digest_of(&mut self.store.reader(&shard.name)?.cursor(), shard.bytes)
                    .map_err(|e| Error::io(&path, e))?,
            };
            Ok(InputFile { path, rows: shard.rows, bytes: shard.bytes, digest, offsets: Vec::new() })
        };
        self.shards.iter().enumerate().map(input).collect()
    }

    /// What the shards are: `troika.format`, for tables of others by their columns.
    pub fn format(&self) -> &str {
        let pairs = || ["key", "status"].iter().all(|name| self.schema.column_with_name(name).is_some());
        match self.schema.metadata().get("troika.format") {
            Some(format) => format,
            None if pairs() => super::FORMAT,
            None => super::LINKS,
        }
    }

    /// A plan that rewrites the shards one by one: unit by unit, a shard that has rows at all.
    ///
    /// # Errors
    /// A table whose pictures lie beside it, where the rewritten one would not find them; a table without a row.
    pub fn plan(&self, config: &impl Serialize) -> Result<Plan> {
        let beside = match (self.image_column(), self.shards.first()) {
            (None, Some(first)) if self.format() == super::FORMAT => Beside::find(&self.store, &first.name)?,
            _ => None,
        };
        if beside.is_some() {
            let message = "its pictures lie beside it, in a tar or a folder";
            return Err(Error::input(self.display(0), message).with_hint(
                "put them into the table first: pipeline crawl FOLDER --disable-all-reencoding --out OTHER",
            ));
        }
        Plan::per_file(self.format(), config, self.inputs()?)
    }

    /// The shard that a unit of [`Table::plan`] rewrites.
    pub fn shard_of(&self, unit: &Unit) -> usize {
        let mut filled = (0..self.shards.len()).filter(|shard| self.shards[*shard].rows > 0);
        filled.nth(unit.index).unwrap_or_default()
    }

    /// Some rows of a shard of pairs by their numbers, which rise, with their pictures wherever those lie.
    pub fn pairs(&self, shard: usize, rows: Vec<u64>) -> PairReader {
        PairReader::new(&self.store, vec![self.shards[shard].clone()]).pick(rows)
    }

    /// The rows of a shard, all columns.
    pub fn scan(&self, shard: usize) -> Result<Scan> {
        self.scan_with(shard, None, None)
    }

    /// The rows of a shard, some columns of it in the order of the schema; names that it does not have are left out.
    pub fn scan_columns(&self, shard: usize, columns: &[&str]) -> Result<Scan> {
        self.scan_with(shard, Some(columns), None)
    }

    /// Some rows of a shard, all columns or some.
    pub fn scan_with(
        &self,
        shard: usize,
        columns: Option<&[&str]>,
        rows: Option<RowSelection>,
    ) -> Result<Scan> {
        let name = &self.shards[shard].name;
        let mut builder = builder(&self.store, name)?;
        if builder.schema().fields() != self.schema.fields() {
            let message = format!("has other columns than {}", self.display(0));
            return Err(Error::input(self.display(shard), message));
        }
        let wanted = |name: &str| columns.is_none_or(|columns| columns.contains(&name));
        let fields = self.schema.fields().iter().enumerate();
        let roots: Vec<usize> = fields.filter(|(_, f)| wanted(f.name())).map(|(index, _)| index).collect();
        let pictures = image_column(&self.schema).is_some_and(|column| roots.contains(&column));
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        builder = builder.with_projection(mask).with_batch_size(if pictures { BATCH.0 } else { BATCH.1 });
        if let Some(rows) = rows {
            builder = builder.with_row_selection(rows);
        }
        let reader = builder.build().map_err(|e| parquet_error(&self.store, name, &e))?;
        Ok(Scan { reader, store: self.store.clone(), name: name.clone() })
    }
}

/// Iterates over the batches of one shard; after an error it is over.
pub struct Scan {
    reader: ParquetRecordBatchReader,
    store: Store,
    name: String,
}

impl Iterator for Scan {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.reader.next()?.map_err(|e| parquet_error(&self.store, &self.name, &e)))
    }
}

/// Writes a table: the same batches give the same bytes.
///
/// Row groups end where the rows say so, never where time or memory does; the file names no date, host or attempt.
pub struct TableWriter<W: Write + Send> {
    writer: ArrowWriter<Watched<W>>,
    failure: FirstFailure,
    schema: SchemaRef,
    name: String,
    group_rows: usize,
    rows: u64,
}

impl<W: Write + Send> TableWriter<W> {
    /// Starts a file with the columns of `schema`, whose own metadata is left out; `format` is the value of
    /// `troika.format`, `metadata` follows it, `name` is for messages.
    pub fn new(
        target: W,
        schema: SchemaRef,
        format: &str,
        metadata: &[(String, String)],
        name: &str,
    ) -> Result<Self> {
        let failure = FirstFailure::default();
        let target = Watched::new(target, &failure);
        let schema = Arc::new(schema.as_ref().clone().with_metadata(std::collections::HashMap::new()));
        let image = image_column(&schema);
        let properties =
            properties(image.map(|column| schema.field(column).name().as_str()), format, metadata);
        let writer = ArrowWriter::try_new(target, Arc::clone(&schema), Some(properties))
            .map_err(|e| write_error(name, &failure, &e))?;
        let group_rows = if image.is_some() { GROUP_ROWS.0 } else { GROUP_ROWS.1 };
        Ok(Self { writer, failure, schema, name: name.to_owned(), group_rows, rows: 0 })
    }

    /// Columns and types of the rows.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Appends rows.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let failed = |e| write_error(&self.name, &self.failure, &e);
        self.writer.write(batch).map_err(failed)?;
        self.rows += batch.num_rows() as u64;
        if self.writer.in_progress_rows() >= self.group_rows || self.writer.in_progress_size() >= GROUP_BYTES
        {
            self.writer.flush().map_err(failed)?;
        }
        Ok(())
    }

    /// Ends the file and gives its target back, with the number of rows.
    pub fn close(self) -> Result<(W, u64)> {
        let watched = self.writer.into_inner().map_err(|e| write_error(&self.name, &self.failure, &e))?;
        Ok((watched.into_inner(), self.rows))
    }
}

fn properties(image: Option<&str>, format: &str, metadata: &[(String, String)]) -> WriterProperties {
    let version = env!("CARGO_PKG_VERSION");
    let mut pairs = vec![
        KeyValue::new("troika.format".to_owned(), format.to_owned()),
        KeyValue::new("troika.version".to_owned(), version.to_owned()),
    ];
    pairs.extend(metadata.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())));
    let builder = WriterProperties::builder()
        .set_created_by(format!("troika pipeline {version}"))
        .set_compression(Compression::SNAPPY)
        .set_key_value_metadata(Some(pairs));
    match image {
        Some(image) => for_pictures(builder, image).build(),
        None => builder.build(),
    }
}

/// Pictures are compressed already, never repeat and have no useful minimum.
fn for_pictures(builder: WriterPropertiesBuilder, image: &str) -> WriterPropertiesBuilder {
    let image = ColumnPath::from(image);
    builder
        .set_column_compression(image.clone(), Compression::UNCOMPRESSED)
        .set_column_dictionary_enabled(image.clone(), false)
        .set_column_statistics_enabled(image, EnabledStatistics::None)
        // A page is closed between batches of this many values: with 1024 pictures it would hold tens of megabytes.
        .set_write_batch_size(32)
}

/// A full disk keeps its own error kind, so that it gets its own advice.
fn write_error(name: &str, failure: &FirstFailure, error: &dyn std::fmt::Display) -> Error {
    match failure.error() {
        Some(cause) => Error::io(name, cause),
        None => Error::Write { path: name.to_owned(), message: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, AsArray, BinaryArray, Int64Array, StringArray};
    use arrow::datatypes::Int64Type;
    use parquet::arrow::arrow_reader::RowSelector;

    use super::*;

    fn batch(from: i64, count: i64, images: bool) -> RecordBatch {
        let ids: Int64Array = (from..from + count).collect();
        let names: StringArray = (from..from + count).map(|id| Some(format!("name {id}"))).collect();
        let mut columns = vec![("id", Arc::new(ids) as ArrayRef), ("name", Arc::new(names))];
        if images {
            let images: BinaryArray = (from..from + count).map(|id| Some(id.to_le_bytes())).collect();
            columns.push(("jpg", Arc::new(images)));
        }
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn file(batches: &[RecordBatch]) -> Vec<u8> {
        let metadata = [("troika.plan".to_owned(), "ab".to_owned())];
        let schema = batches[0].schema();
        let mut writer = TableWriter::new(Vec::new(), schema, "links/1", &metadata, "x").unwrap();
        batches.iter().for_each(|batch| writer.write(batch).unwrap());
        writer.close().unwrap().0
    }

    fn folder(files: &[Vec<u8>]) -> (tempfile::TempDir, Table) {
        let folder = tempfile::tempdir().unwrap();
        for (index, file) in files.iter().enumerate() {
            crate::atomic::write(folder.path().join(format!("{index:05}.parquet")), file).unwrap();
        }
        let table = Table::open(folder.path().to_str().unwrap()).unwrap();
        (folder, table)
    }

    fn ids(scan: Scan) -> Vec<i64> {
        scan.flat_map(|batch| batch.unwrap().column(0).as_primitive::<Int64Type>().values().to_vec())
            .collect()
    }

    #[test]
    fn rows_come_back_in_order_with_the_metadata() {
        let (_folder, table) =
            folder(&[file(&[batch(0, 300, true), batch(300, 900, true)]), file(&[batch(1200, 5, true)])]);
        assert_eq!((table.rows(), table.shards().len(), table.image_column()), (1205, 2, Some("jpg")));
        assert_eq!(table.schema().metadata()["troika.format"], "links/1");
        assert_eq!(table.schema().metadata()["troika.plan"], "ab");
        assert_eq!(ids(table.scan(0).unwrap()), (0..1200).collect::<Vec<_>>());
        assert_eq!(ids(table.scan(1).unwrap()), (1200..1205).collect::<Vec<_>>());
        let inputs = table.inputs().unwrap();
        assert_eq!((inputs[1].rows, inputs[1].digest.len()), (5, 64));
    }

    #[test]
    fn some_columns_and_some_rows_are_read_alone() {
        let (_folder, table) = folder(&[file(&[batch(0, 1000, true)])]);
        let some = table.scan_columns(0, &["id", "absent"]).unwrap().next().unwrap().unwrap();
        assert_eq!((some.num_columns(), some.num_rows()), (1, 1000));
        let rows = RowSelection::from(vec![RowSelector::skip(10), RowSelector::select(3)]);
        assert_eq!(ids(table.scan_with(0, Some(&["id"]), Some(rows)).unwrap()), [10, 11, 12]);
    }

    #[test]
    fn row_groups_are_small_where_there_are_pictures() {
        let groups = |images| {
            let all: Vec<_> = (0..30).map(|part| batch(part * 100, 100, images)).collect();
            let (_folder, table) = folder(&[file(&all)]);
            builder(&table.store, "00000.parquet").unwrap().metadata().num_row_groups()
        };
        assert_eq!((groups(true), groups(false)), (3, 1));
    }

    #[test]
    fn files_of_other_columns_are_refused_by_name() {
        let (_folder, table) = folder(&[file(&[batch(0, 3, true)]), file(&[batch(3, 3, false)])]);
        let error = table.scan(1).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("00001.parquet: has other columns than") && error.contains("00000.parquet"));
    }
}
