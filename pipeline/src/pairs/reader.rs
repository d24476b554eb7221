//! Reading pair shards row by row, a batch in memory at a time: own ones by their commits, img2dataset's by their names.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, Schema};
use arrow::util::display::array_value_to_string;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection};
use parquet::file::metadata::ParquetMetaData;

use super::beside::Beside;
use super::row::{Columns, Pair};
use crate::picture::EncodeFormat;
use crate::reason::Status;
use crate::store::{Store, StoreReader};
use crate::unit::{Commit, committed, is_dropped};
use crate::{Error, Result};

/// Rows decoded at a time.
const BATCH: usize = 64;
/// Columns with a meaning of their own; all others are extra.
const KNOWN: [&str; 15] = [
    "caption",
    "url",
    "key",
    "status",
    "error_message",
    "width",
    "height",
    "original_width",
    "original_height",
    "exif",
    "md5",
    "sha256",
    "sha512",
    "reason",
    "rule",
];

/// One shard that may be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairShard {
    /// File name in its store.
    pub name: String,
    /// Rows.
    pub rows: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 of the file; `None` for shards without a commit.
    pub sha256: Option<String>,
}

/// The shards of a folder in input order: the committed ones or, where nothing was ever committed (img2dataset), all
/// Parquet files by name.
pub fn shards(store: &Store) -> Result<Vec<PairShard>> {
    let commits = committed(store)?;
    if !commits.is_empty() || store.get("plan.json")?.is_some() {
        let shard = |commit: &Commit| {
            let (name, sha256) = (commit.table()?.to_owned(), Some(commit.sha256()));
            Some(PairShard { name, rows: commit.rows, bytes: commit.bytes(), sha256 })
        };
        return Ok(commits.iter().filter_map(shard).collect());
    }
    let parquet = |name: &str| {
        let ending = Path::new(name).extension();
        !name.starts_with('.') && !is_dropped(name) && ending.is_some_and(|ending| ending == "parquet")
    };
    let files = store.list("")?.into_iter().filter(|entry| parquet(&entry.name));
    files
        .map(|entry| {
            let rows = builder(store, &entry.name)?.metadata().file_metadata().num_rows().cast_unsigned();
            Ok(PairShard { name: entry.name, rows, bytes: entry.bytes, sha256: None })
        })
        .collect()
}

/// Opens all shards of a folder or bucket, or a single Parquet file.
pub fn open(location: &str) -> Result<PairReader> {
    let (store, found) = locate(location)?;
    Ok(PairReader::new(&store, found))
}

/// The shards of a folder or bucket, or a single Parquet file, and where they lie.
pub(super) fn locate(location: &str) -> Result<(Store, Vec<PairShard>)> {
    let (folder, name) = match location.rsplit_once('/') {
        Some((folder, name)) if folder.contains("://") && name.ends_with(".parquet") => (folder, name),
        _ if Path::new(location).is_file() => split(location)?,
        _ => {
            let store = Store::open(location)?;
            let found = shards(&store)?;
            return match found.is_empty() {
                true => Err(Error::input(location, "no shards here")
                    .with_hint("has the crawl committed a unit yet? output.format = \"dummy\" writes none")),
                false => Ok((store, found)),
            };
        }
    };
    let store = Store::open(folder)?;
    let bytes = parquet::file::reader::Length::len(&store.reader(name)?);
    let rows = builder(&store, name)?.metadata().file_metadata().num_rows().cast_unsigned();
    Ok((store, vec![PairShard { name: name.to_owned(), rows, bytes, sha256: None }]))
}

/// Folder and name of a file.
fn split(location: &str) -> Result<(&str, &str)> {
    let path = Path::new(location);
    let name = path.file_name().and_then(|name| name.to_str());
    let folder = path.parent().and_then(Path::to_str);
    match (folder, name) {
        (Some(""), Some(name)) => Ok((".", name)),
        (Some(folder), Some(name)) => Ok((folder, name)),
        _ => Err(Error::input(location, "not a file name")),
    }
}

/// Iterates over the rows of shards, in order.
pub struct PairReader {
    store: Store,
    shards: VecDeque<PairShard>,
    images: bool,
    range: Option<(u64, u64)>,
    picked: Option<Vec<u64>>,
    current: Option<Open>,
    rows: std::vec::IntoIter<Pair>,
}

struct Open {
    name: String,
    reader: ParquetRecordBatchReader,
    /// Pictures that are not in the table.
    beside: Option<Beside>,
}

impl PairReader {
    /// All rows of `shards`.
    pub fn new(store: &Store, shards: Vec<PairShard>) -> Self {
        let rows = Vec::new().into_iter();
        let shards = shards.into();
        Self { store: store.clone(), shards, images: true, range: None, picked: None, current: None, rows }
    }

    /// Of every shard only `count` rows from row `start` (a unit's row range).
    #[must_use]
    pub fn range(mut self, start: u64, count: u64) -> Self {
        self.range = Some((start, count));
        self
    }

    /// Of every shard only these rows, whose numbers rise.
    #[must_use]
    pub fn pick(mut self, rows: Vec<u64>) -> Self {
        self.picked = Some(rows);
        self
    }

    /// Leaves the image bytes unread.
    #[must_use]
    pub fn without_images(mut self) -> Self {
        self.images = false;
        self
    }

    /// The shards that are not begun.
    pub fn shards(&self) -> impl ExactSizeIterator<Item = &PairShard> {
        self.shards.iter()
    }

    /// Schema and metadata (`troika.format`, config hash, version) of the first shard left to read.
    pub fn schema(&self) -> Result<Arc<Schema>> {
        match self.shards.front() {
            Some(shard) => Ok(Arc::clone(builder(&self.store, &shard.name)?.schema())),
            None => Ok(Arc::new(Schema::empty())),
        }
    }

    fn start(&self, shard: &PairShard) -> Result<Open> {
        let mut builder = builder(&self.store, &shard.name)?;
        let image = image_column(builder.schema());
        let beside = match image {
            None if self.images => Beside::find(&self.store, &shard.name)?,
            _ => None,
        };
        if !self.images
            && let Some(image) = image
        {
            let fields = builder.schema().fields().len();
            let roots = (0..fields).filter(|i| *i != image);
            let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
            builder = builder.with_projection(mask);
        }
        if let Some((start, count)) = self.range {
            builder = RowRange::of(builder.metadata(), start, count).apply(builder);
        }
        if let Some(rows) = &self.picked {
            builder = builder.with_row_selection(selection(rows, shard.rows));
        }
        let broken = |e: parquet::errors::ParquetError| parquet_error(&self.store, &shard.name, &e);
        let reader = builder.with_batch_size(BATCH).build().map_err(broken)?;
        Ok(Open { name: shard.name.clone(), reader, beside })
    }

    /// The next batch of rows, `None` at the end of the last shard.
    fn batch(&mut self) -> Result<Option<Vec<Pair>>> {
        loop {
            if let Some(open) = &mut self.current {
                match open.reader.next() {
                    Some(Ok(batch)) => {
                        let mut rows = rows_of(&batch, &self.store.display(&open.name))?;
                        if let Some(beside) = &mut open.beside {
                            for pair in rows.iter_mut().filter(|pair| pair.status == Status::Success) {
                                beside.fill(pair)?;
                            }
                        }
                        return Ok(Some(rows));
                    }
                    Some(Err(e)) => return Err(parquet_error(&self.store, &open.name, &e)),
                    None => self.current = None,
                }
            }
            let Some(shard) = self.shards.pop_front() else { return Ok(None) };
            self.current = Some(self.start(&shard)?);
        }
    }
}

impl Iterator for PairReader {
    type Item = Result<Pair>;

    /// The next row; after an error the iteration is over.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(pair) = self.rows.next() {
                return Some(Ok(pair));
            }
            match self.batch() {
                Ok(Some(rows)) => self.rows = rows.into_iter(),
                Ok(None) => return None,
                Err(error) => {
                    self.shards.clear();
                    self.current = None;
                    return Some(Err(error));
                }
            }
        }
    }
}

pub(super) fn builder(store: &Store, name: &str) -> Result<ParquetRecordBatchReaderBuilder<StoreReader>> {
    ParquetRecordBatchReaderBuilder::try_new(store.reader(name)?).map_err(|e| parquet_error(store, name, &e))
}

pub(super) fn parquet_error(store: &Store, name: &str, error: &dyn std::fmt::Display) -> Error {
    Error::Parquet { path: store.display(name), message: error.to_string() }
}

/// Index of the column with the pictures: the last one that is binary and named after a format.
pub fn image_column(schema: &Schema) -> Option<usize> {
    let named = |name: &str| EncodeFormat::ALL.iter().any(|format| format.name() == name);
    let binary =
        |kind: &DataType| matches!(kind, DataType::Binary | DataType::LargeBinary | DataType::BinaryView);
    schema.fields().iter().rposition(|field| named(field.name()) && binary(field.data_type()))
}

/// Rows of a shard by their numbers, which rise.
pub(crate) fn selection(rows: &[u64], of: u64) -> RowSelection {
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let rows = rows.iter().filter(|row| **row < of).map(|row| size(*row)..size(*row) + 1);
    RowSelection::from_consecutive_ranges(rows, size(of))
}

/// The row groups of a Parquet file that hold a range of rows, and where the range lies in them.
pub struct RowRange {
    groups: Vec<usize>,
    skip: usize,
    count: usize,
}

impl RowRange {
    /// `count` rows from row `start`.
    pub fn of(metadata: &ParquetMetaData, start: u64, count: u64) -> Self {
        let (mut first, mut skip, mut groups) = (0, 0, Vec::new());
        for (index, group) in metadata.row_groups().iter().enumerate() {
            let end = first + group.num_rows().cast_unsigned();
            if end > start && first < start + count {
                if groups.is_empty() {
                    skip = start - first;
                }
                groups.push(index);
            }
            first = end;
        }
        let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        Self { groups, skip: size(skip), count: size(count) }
    }

    /// Lets a reader read these rows alone.
    pub fn apply<T>(
        self,
        builder: parquet::arrow::arrow_reader::ArrowReaderBuilder<T>,
    ) -> parquet::arrow::arrow_reader::ArrowReaderBuilder<T> {
        builder.with_row_groups(self.groups).with_offset(self.skip).with_limit(self.count)
    }
}

fn rows_of(batch: &RecordBatch, path: &str) -> Result<Vec<Pair>> {
    let bad = |message: String| Error::input(path, message);
    let text = |name: &str| -> Result<Option<arrow::array::ArrayRef>> {
        let column = batch.column_by_name(name);
        column.map(|c| cast(c, &DataType::Utf8)).transpose().map_err(|e| bad(format!("column {name}: {e}")))
    };
    let required = |name: &str| {
        let missing = || bad(format!("no column `{name}`: not a pair shard"));
        text(name)?.ok_or_else(missing)
    };
    let (keys, statuses, urls) = (required("key")?, required("status")?, text("url")?);
    let (captions, reasons) = (text("caption")?, text("reason")?);
    let image = image_column(&batch.schema());
    let images = image.map(|i| cast(batch.column(i), &DataType::Binary)).transpose();
    let images = images.map_err(|e| bad(format!("image column: {e}")))?;
    let extras = extra_columns(batch, image);
    let mut rows = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let key = string(Some(&keys), row).unwrap_or_default();
        let parse_error = |e: String| bad(format!("row {key}: {e}"));
        let status: Status = string(Some(&statuses), row).unwrap_or_default().parse().map_err(parse_error)?;
        let reason = string(reasons.as_ref(), row).map(|r| r.parse()).transpose().map_err(parse_error)?;
        rows.push(Pair {
            url: string(urls.as_ref(), row).unwrap_or_default(),
            caption: string(captions.as_ref(), row),
            status,
            reason,
            image: images.as_ref().and_then(|array| bytes(array, row)),
            size: number(batch, "width", row).zip(number(batch, "height", row)),
            extra: Columns(
                extras.iter().map(|(name, array)| (Arc::clone(name), display(array, row))).collect(),
            ),
            key,
        });
    }
    Ok(rows)
}

type Extra = (Arc<str>, arrow::array::ArrayRef);

fn extra_columns(batch: &RecordBatch, image: Option<usize>) -> Vec<Extra> {
    let schema = batch.schema();
    let fields = schema.fields().iter().enumerate();
    fields
        .filter(|(i, field)| Some(*i) != image && !KNOWN.contains(&field.name().as_str()))
        .map(|(i, field)| (Arc::from(field.name().as_str()), Arc::clone(batch.column(i))))
        .collect()
}

fn string(array: Option<&arrow::array::ArrayRef>, row: usize) -> Option<String> {
    let strings = array?.as_string_opt::<i32>()?;
    strings.is_valid(row).then(|| strings.value(row).to_owned())
}

fn bytes(array: &arrow::array::ArrayRef, row: usize) -> Option<Bytes> {
    let binary = array.as_binary_opt::<i32>()?;
    binary.is_valid(row).then(|| Bytes::copy_from_slice(binary.value(row)))
}

fn number(batch: &RecordBatch, name: &str, row: usize) -> Option<u32> {
    let numbers = batch.column_by_name(name)?.as_primitive_opt::<Int32Type>()?;
    numbers.is_valid(row).then(|| numbers.value(row)).and_then(|n| u32::try_from(n).ok())
}

fn display(array: &arrow::array::ArrayRef, row: usize) -> Option<String> {
    array.is_valid(row).then(|| array_value_to_string(array, row).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
    use arrow::datatypes::Field;

    use super::super::{Layout, PairWriter, Row};
    use super::*;
    use crate::reason::Reason;

    fn layout() -> Layout {
        let extra =
            vec![Field::new("score", DataType::Float64, true), Field::new("lang", DataType::Utf8, true)];
        Layout {
            extra,
            caption: true,
            exif: true,
            format: EncodeFormat::Png,
            metadata: vec![("troika.plan".into(), "ab".into())],
            ..Layout::default()
        }
    }

    fn row(i: usize) -> Row {
        let good = !i.is_multiple_of(3);
        Row {
            url: (i != 0).then(|| format!("http://host/{i}.png")),
            caption: i.is_multiple_of(2).then(|| format!("подпись {i}")),
            key: format!("{i:09}"),
            reason: if good { Reason::Ok } else { Reason::HttpNotFound },
            error_message: (!good).then(|| "HTTP Error 404: Not Found".to_owned()),
            rule: None,
            size: good.then_some((256, 170)),
            original_size: good.then_some((401, 267)),
            exif: good.then(|| "{}".to_owned()),
            hash: good.then(|| "ff".repeat(32)),
            image: good.then(|| Bytes::from(vec![i.to_le_bytes()[0]; 50])),
        }
    }

    fn shard(rows: usize) -> Vec<u8> {
        let mut writer = PairWriter::new(Vec::new(), &layout(), "test").unwrap();
        let all: Vec<Row> = (0..rows).map(row).collect();
        for (block, rows) in all.chunks(250).enumerate() {
            let numbers = (0..rows.len()).map(|i| (i % 2 == 0).then_some((block * 250 + i) as f64 / 2.0));
            let score: ArrayRef = Arc::new(numbers.collect::<Float64Array>());
            let lang: ArrayRef = Arc::new(StringArray::from(vec!["ru"; rows.len()]));
            writer.write(&[score, lang], rows).unwrap();
        }
        writer.close().unwrap().0
    }

    fn stored(bytes: &[u8]) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("00000.parquet");
        crate::atomic::write(&path, bytes).unwrap();
        (folder, path.to_str().unwrap().to_owned())
    }

    #[test]
    fn rows_come_back_as_they_were_written() {
        let (_folder, path) = stored(&shard(2100));
        let pairs: Vec<Pair> = open(&path).unwrap().collect::<Result<_>>().unwrap();
        assert_eq!(pairs.len(), 2100);
        for (i, pair) in pairs.iter().enumerate() {
            let row = row(i);
            assert_eq!((&pair.key, &pair.caption, &pair.image), (&row.key, &row.caption, &row.image));
            assert_eq!(
                (pair.url.as_str(), pair.reason),
                (row.url.as_deref().unwrap_or(""), Some(row.reason))
            );
            assert_eq!((pair.status, pair.size), (row.reason.status(), row.size));
            assert_eq!(pair.extra.names().collect::<Vec<_>>(), ["score", "lang"]);
            assert_eq!(pair.text("lang"), Some("ru"));
        }
        assert_eq!((pairs[4].text("score"), pairs[5].text("score")), (Some("2.0"), None));
    }

    #[test]
    fn the_same_rows_give_the_same_bytes() {
        assert_eq!(shard(1500), shard(1500));
    }

    #[test]
    fn the_schema_is_img2datasets_then_ours() {
        let (_folder, path) = stored(&shard(2));
        let schema = open(&path).unwrap().schema().unwrap();
        let columns: Vec<_> =
            schema.fields().iter().map(|f| format!("{}: {}", f.name(), f.data_type())).collect();
        let expected = "score: Float64, lang: Utf8, caption: Utf8, url: Utf8, key: Utf8, status: Utf8, \
            error_message: Utf8, width: Int32, height: Int32, original_width: Int32, original_height: Int32, \
            exif: Utf8, sha256: Utf8, reason: Utf8, rule: Utf8, png: Binary";
        assert_eq!(columns.join(", "), expected);
        assert_eq!(schema.metadata()["troika.format"], "pairs/1");
        assert_eq!(schema.metadata()["troika.plan"], "ab");
    }

    #[test]
    fn a_range_reads_its_rows_alone() {
        let (_folder, path) = stored(&shard(2100));
        for (start, count) in [(0, 5), (990, 20), (1000, 1000), (2095, 50), (5000, 5)] {
            let reader = open(&path).unwrap().range(start, count).without_images();
            let keys: Vec<_> = reader.map(|pair| pair.unwrap()).map(|p| (p.key, p.image)).collect();
            let expected: Vec<_> =
                (start..(start + count).min(2100)).map(|i| (format!("{i:09}"), None)).collect();
            assert_eq!(keys, expected);
        }
    }

    #[test]
    fn picked_rows_are_read_alone() {
        let (_folder, path) = stored(&shard(2100));
        let rows = [0, 1, 999, 1000, 2099, 2100];
        let pairs: Vec<Pair> = open(&path).unwrap().pick(rows.to_vec()).collect::<Result<_>>().unwrap();
        let read = pairs.iter().map(|pair| (pair.key.clone(), pair.image.clone())).collect::<Vec<_>>();
        let expected = rows[..5].iter().map(|i| row(*i as usize)).map(|row| (row.key, row.image));
        assert_eq!(read, expected.collect::<Vec<_>>());
        assert_eq!(open(&path).unwrap().pick(Vec::new()).count(), 0);
    }

    #[test]
    fn a_shard_of_img2dataset_is_read() {
        let batch = RecordBatch::try_from_iter([
            ("id", Arc::new(Int64Array::from(vec![7])) as ArrayRef),
            ("caption", Arc::new(StringArray::from(vec!["a cat"]))),
            ("url", Arc::new(StringArray::from(vec!["http://h/1"]))),
            ("key", Arc::new(StringArray::from(vec!["000000000"]))),
            ("status", Arc::new(StringArray::from(vec!["success"]))),
            ("jpg", Arc::new(arrow::array::BinaryArray::from(vec![b"xyz".as_slice()]))),
        ]);
        let batch = batch.unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        let (folder, _) = stored(&writer.into_inner().unwrap());
        let pairs: Vec<Pair> = open(folder.path().to_str().unwrap()).unwrap().collect::<Result<_>>().unwrap();
        assert_eq!((pairs[0].reason, pairs[0].text("id")), (None, Some("7")));
        assert_eq!(pairs[0].image.as_deref(), Some(b"xyz".as_slice()));
    }

    #[test]
    fn a_cut_shard_and_a_foreign_table_are_errors_that_name_the_file() {
        let bytes = shard(100);
        let (_folder, path) = stored(&bytes[..bytes.len() / 2]);
        let error = open(&path).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("00000.parquet: not a readable Parquet file"), "{error}");
        let batch =
            RecordBatch::try_from_iter([("a", Arc::new(Int64Array::from(vec![7])) as ArrayRef)]).unwrap();
        let mut file = Vec::new();
        let mut writer = parquet::arrow::ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        file.flush().unwrap();
        let (_folder, path) = stored(&file);
        let error = open(&path).unwrap().next().unwrap().unwrap_err();
        assert!(error.to_string().ends_with("no column `key`: not a pair shard"), "{error}");
    }
}
