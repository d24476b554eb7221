//! Writing pair shards: the same rows give the same bytes.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::Schema;

use super::row::{Layout, Row, schema};
use super::table::TableWriter;
use crate::{Error, Result};

/// Writes rows into one shard.
pub struct PairWriter<W: Write + Send> {
    writer: TableWriter<W>,
    layout: Layout,
    images: bool,
    name: String,
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
        let schema = Schema::new(whole.fields()[..columns].to_vec());
        Self::with_schema(target, layout, name, Arc::new(schema), false)
    }

    fn with_schema(
        target: W,
        layout: &Layout,
        name: &str,
        schema: Arc<Schema>,
        images: bool,
    ) -> Result<Self> {
        let writer = TableWriter::new(target, schema, super::FORMAT, &layout.metadata, name)?;
        Ok(Self { writer, layout: layout.clone(), images, name: name.to_owned() })
    }

    /// Appends rows; `extra` holds the additional columns of the layout, as long as `rows`.
    pub fn write(&mut self, extra: &[ArrayRef], rows: &[Row]) -> Result<()> {
        self.append(extra, rows).map(|_| ())
    }

    /// Like [`PairWriter::write`], and gives the rows back as columns.
    pub fn append(&mut self, extra: &[ArrayRef], rows: &[Row]) -> Result<RecordBatch> {
        let unequal =
            |e: arrow::error::ArrowError| Error::Write { path: self.name.clone(), message: e.to_string() };
        let batch = self.batch(extra, rows).map_err(unequal)?;
        self.writer.write(&batch)?;
        Ok(batch)
    }

    /// Ends the file and gives its target back, with the number of rows.
    pub fn close(self) -> Result<(W, u64)> {
        self.writer.close()
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
        RecordBatch::try_new(Arc::clone(self.writer.schema()), columns)
    }
}

fn text<'a>(rows: &'a [Row], value: impl Fn(&'a Row) -> Option<&'a str>) -> ArrayRef {
    Arc::new(rows.iter().map(value).collect::<StringArray>())
}

fn number(rows: &[Row], value: impl Fn(&Row) -> Option<u32>) -> ArrayRef {
    let number = |row| value(row).and_then(|n| i32::try_from(n).ok());
    Arc::new(rows.iter().map(number).collect::<Int32Array>())
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
