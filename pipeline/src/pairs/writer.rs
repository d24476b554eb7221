//! Writing pair shards: the same rows give the same bytes.
//!
//! Row groups end where the rows say so, never where time or memory does; the file names no date, host or attempt.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::row::{Layout, Row, schema};
use crate::io_failure::{FirstFailure, Watched};
use crate::{Error, Result};

/// Rows after which a row group ends.
const GROUP_ROWS: usize = 1000;
/// Bytes after which a row group ends earlier.
const GROUP_BYTES: usize = 64 << 20;

/// Writes rows into one shard.
pub struct PairWriter<W: Write + Send> {
    writer: ArrowWriter<Watched<W>>,
    failure: FirstFailure,
    schema: SchemaRef,
    layout: Layout,
    images: bool,
    name: String,
    rows: u64,
}

impl<W: Write + Send> PairWriter<W> {
    /// Starts a shard; `name` is for messages.
    pub fn new(target: W, layout: &Layout, name: &str) -> Result<Self> {
        Self::with_schema(target, layout, name, schema(layout), true)
    }

    /// Starts a table without the images, which lie beside it.
    pub fn without_images(target: W, layout: &Layout, name: &str) -> Result<Self> {
        let whole = schema(layout);
        let columns = whole.fields().len().saturating_sub(1);
        let schema = Arc::new(Schema::new(whole.fields()[..columns].to_vec()));
        Self::with_schema(target, layout, name, schema, false)
    }

    fn with_schema(target: W, layout: &Layout, name: &str, schema: SchemaRef, images: bool) -> Result<Self> {
        let failure = FirstFailure::default();
        let target = Watched::new(target, &failure);
        let writer = ArrowWriter::try_new(target, Arc::clone(&schema), Some(properties(layout)))
            .map_err(|e| write_error(name, &failure, &e))?;
        let (layout, name) = (layout.clone(), name.to_owned());
        Ok(Self { writer, failure, schema, layout, images, name, rows: 0 })
    }

    /// Appends rows; `extra` holds the additional columns of the layout, as long as `rows`.
    pub fn write(&mut self, extra: &[ArrayRef], rows: &[Row]) -> Result<()> {
        self.append(extra, rows).map(|_| ())
    }

    /// Like [`PairWriter::write`], and gives the rows back as columns.
    pub fn append(&mut self, extra: &[ArrayRef], rows: &[Row]) -> Result<RecordBatch> {
        let batch = self.batch(extra, rows).map_err(|e| write_error(&self.name, &self.failure, &e))?;
        self.writer.write(&batch).map_err(|e| write_error(&self.name, &self.failure, &e))?;
        self.rows += rows.len() as u64;
        if self.writer.in_progress_rows() >= GROUP_ROWS || self.writer.in_progress_size() >= GROUP_BYTES {
            self.writer.flush().map_err(|e| write_error(&self.name, &self.failure, &e))?;
        }
        Ok(batch)
    }

    /// Ends the file and gives its target back, with the number of rows.
    pub fn close(self) -> Result<(W, u64)> {
        let watched = self.writer.into_inner().map_err(|e| write_error(&self.name, &self.failure, &e))?;
        Ok((watched.into_inner(), self.rows))
    }

    fn batch(&self, extra: &[ArrayRef], rows: &[Row]) -> Result<RecordBatch, arrow::error::ArrowError> {
        let mut columns: Vec<ArrayRef> = extra.to_vec();
        if self.layout.caption {
            columns.push(text(rows, |row| row.caption.as_deref()));
        }
        let hash = self.layout.hash.column().map(|_| text(rows, |row| row.hash.as_deref()));
        columns.extend(hash.clone().filter(|_| self.layout.hash_verified));
        columns.push(text(rows, |row| row.url.as_deref()));
        columns.push(text(rows, |row| Some(&row.key)));
        columns.push(text(rows, |row| Some(row.reason.status().code())));
        columns.push(text(rows, |row| row.error_message.as_deref()));
        columns.push(number(rows, |row| row.size.map(|size| size.0)));
        columns.push(number(rows, |row| row.size.map(|size| size.1)));
        columns.push(number(rows, |row| row.original_size.map(|size| size.0)));
        columns.push(number(rows, |row| row.original_size.map(|size| size.1)));
        columns.extend(self.layout.exif.then(|| text(rows, |row| row.exif.as_deref())));
        columns.extend(hash.filter(|_| !self.layout.hash_verified));
        columns.push(text(rows, |row| Some(row.reason.code())));
        columns.push(text(rows, |row| row.rule.as_deref()));
        if self.images {
            columns.push(Arc::new(rows.iter().map(|row| row.image.as_ref()).collect::<BinaryArray>()));
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
}

fn text<'a>(rows: &'a [Row], value: impl Fn(&'a Row) -> Option<&'a str>) -> ArrayRef {
    Arc::new(rows.iter().map(value).collect::<StringArray>())
}

fn number(rows: &[Row], value: impl Fn(&Row) -> Option<u32>) -> ArrayRef {
    let number = |row| value(row).and_then(|n| i32::try_from(n).ok());
    Arc::new(rows.iter().map(number).collect::<Int32Array>())
}

fn properties(layout: &Layout) -> WriterProperties {
    let version = env!("CARGO_PKG_VERSION");
    let mut metadata = vec![
        KeyValue::new("troika.format".to_owned(), super::FORMAT.to_owned()),
        KeyValue::new("troika.version".to_owned(), version.to_owned()),
    ];
    metadata.extend(layout.metadata.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())));
    let image = ColumnPath::from(layout.format.name());
    WriterProperties::builder()
        .set_created_by(format!("troika pipeline {version}"))
        .set_compression(Compression::SNAPPY)
        // Pictures are compressed already, never repeat and have no useful minimum.
        .set_column_compression(image.clone(), Compression::UNCOMPRESSED)
        .set_column_dictionary_enabled(image.clone(), false)
        .set_column_statistics_enabled(image, EnabledStatistics::None)
        // A page is closed between batches of this many values: with 1024 pictures it would hold tens of megabytes.
        .set_write_batch_size(32)
        .set_key_value_metadata(Some(metadata))
        .build()
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
    use std::io;

    use super::*;

    /// A disk with room for a few bytes.
    struct Tiny(usize);

    impl Write for Tiny {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            match buf.len().min(self.0) {
                0 => Err(io::ErrorKind::StorageFull.into()),
                n => {
                    self.0 -= n;
                    Ok(n)
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn writer(room: usize) -> PairWriter<Tiny> {
        PairWriter::new(Tiny(room), &Layout::default(), "out/00000.parquet").unwrap()
    }

    fn row() -> Row {
        Row::new("000000000", crate::reason::Reason::UrlMissing)
    }

    #[test]
    fn a_full_disk_is_told_as_such() {
        let mut writer = writer(100);
        let error = writer.write(&[], &[row()]).and_then(|()| writer.close().map(|_| ())).unwrap_err();
        assert!(error.to_string().starts_with("out/00000.parquet: "), "{error}");
        assert!(error.hint().unwrap().contains("free some space"));
    }

    /// A shard of one row fits the buffers, so that nothing fails before the last flush, of which Parquet tells text.
    #[test]
    fn a_disk_that_is_full_at_the_last_flush_asks_to_try_again() {
        let mut writer = writer(0);
        writer.write(&[], &[row()]).unwrap();
        let error = writer.close().map(|_| ()).unwrap_err();
        assert_eq!(error.exit_code(), 75, "{error}");
        assert!(error.hint().unwrap().contains("free some space"));
    }
}
