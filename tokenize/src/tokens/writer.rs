//! Writes token shards: the same rows give the same bytes, however they arrive.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeListBuilder, ListBuilder, PrimitiveBuilder, RecordBatch, StringBuilder, UInt16Builder,
};
use arrow::datatypes::{ArrowPrimitiveType, SchemaRef, UInt16Type, UInt32Type};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use pipeline::io_failure::{FirstFailure, Watched};

use super::schema::{OWN, code_count, element, id_type};
use super::{Column, TokenMeta, TokenRow, schema};
use crate::{Error, Result};

/// Rows per row group, so that a reader can take a part of a shard.
const GROUP_ROWS: usize = 4096;

/// Writes rows into a Parquet file of format `tokens/1`.
pub struct TokenWriter<W: Write + Send> {
    inner: ArrowWriter<Watched<W>>,
    failure: FirstFailure,
    schema: SchemaRef,
    meta: TokenMeta,
    extra: Vec<Column>,
    path: PathBuf,
    pending: Vec<TokenRow>,
}

impl<W: Write + Send> TokenWriter<W> {
    /// Starts a shard; `path` is only named in errors.
    ///
    /// # Errors
    /// A passed-through column with the name of a column of the format, or a schema that Parquet cannot hold.
    pub fn new(sink: W, path: impl Into<PathBuf>, meta: &TokenMeta, extra: &[Column]) -> Result<Self> {
        let path = path.into();
        if let Some(taken) = extra.iter().map(|column| &column.name).find(|name| OWN.contains(&name.as_str()))
        {
            return Err(Error::Config {
                key: "columns".to_owned(),
                why: format!("{taken:?} is a column of every token shard already"),
            });
        }
        let schema = schema(meta, extra);
        let level = ZstdLevel::try_new(3).map_err(|e| Error::table(&path, e))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_key_value_metadata(Some(meta.to_key_values()))
            .set_created_by("troika".to_owned())
            .build();
        let failure = FirstFailure::default();
        let sink = Watched::new(sink, &failure);
        let inner = ArrowWriter::try_new(sink, Arc::clone(&schema), Some(properties))
            .map_err(|error| write_error(&path, &failure, error))?;
        Ok(Self {
            inner,
            failure,
            schema,
            meta: meta.clone(),
            extra: extra.to_vec(),
            path,
            pending: Vec::new(),
        })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// Ids or codes out of the ranges that the metadata gives, or a failed write.
    pub fn push(&mut self, row: TokenRow) -> Result<()> {
        check_row(&row, &self.meta)
            .map_err(|why| Error::table(&self.path, format!("row {:?}: {why}", row.key)))?;
        self.pending.push(row);
        if self.pending.len() >= GROUP_ROWS { self.flush() } else { Ok(()) }
    }

    /// Writes what is left and the footer, and gives the sink back.
    ///
    /// # Errors
    /// A failed write.
    pub fn finish(mut self) -> Result<W> {
        self.flush()?;
        let (path, failure) = (self.path, self.failure);
        let watched = self.inner.into_inner().map_err(|error| write_error(&path, &failure, error))?;
        Ok(watched.into_inner())
    }

    fn flush(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.pending);
        if rows.is_empty() {
            return Ok(());
        }
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), self.columns(&rows)?)
            .map_err(|e| Error::table(&self.path, e))?;
        self.inner.write(&batch).map_err(|error| write_error(&self.path, &self.failure, error))
    }

    fn columns(&self, rows: &[TokenRow]) -> Result<Vec<ArrayRef>> {
        let mut columns: Vec<ArrayRef> = vec![
            strings(rows.iter().map(|row| Some(row.key.as_str()))),
            strings(rows.iter().map(|row| row.caption.as_deref())),
            if self.meta.wide_ids() {
                ids::<UInt32Type>(rows, &self.meta, Some)
            } else {
                ids::<UInt16Type>(rows, &self.meta, |id| u16::try_from(id).ok())
            },
            codes(rows, &self.meta),
        ];
        for column in &self.extra {
            let values = rows.iter().map(|row| row.extra.get(&column.name));
            columns.push(column.array(values).map_err(|why| Error::table(&self.path, why))?);
        }
        Ok(columns)
    }
}

/// A full disk keeps its own error, so that it gets its own advice.
fn write_error(path: &Path, failure: &FirstFailure, error: impl ToString) -> Error {
    match failure.error() {
        Some(source) => Error::Io { path: path.to_owned(), source },
        None => Error::table(path, error),
    }
}

/// Why a row does not fit the metadata, if it does not.
pub(super) fn check_row(row: &TokenRow, meta: &TokenMeta) -> std::result::Result<(), String> {
    if let Some(id) = row.text_ids.iter().flatten().find(|&&id| id as usize >= meta.vocab_size) {
        return Err(format!("text id {id} is outside the vocabulary of {}", meta.vocab_size));
    }
    let Some(codes) = &row.codes else { return Ok(()) };
    if codes.is_empty() {
        return Err("an empty list of codes; a row without a picture has none at all".to_owned());
    }
    if codes.len() != meta.codes_per_image() {
        return Err(format!(
            "{} codes, but a grid of {} has {}",
            codes.len(),
            meta.grid,
            meta.codes_per_image()
        ));
    }
    match codes.iter().find(|&&code| usize::from(code) >= meta.codebook_size) {
        Some(code) => Err(format!("code {code} is outside the codebook of {}", meta.codebook_size)),
        None => Ok(()),
    }
}

fn strings<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    let mut builder = StringBuilder::new();
    for value in values {
        builder.append_option(value);
    }
    Arc::new(builder.finish())
}

fn ids<T: ArrowPrimitiveType>(
    rows: &[TokenRow],
    meta: &TokenMeta,
    narrow: impl Fn(u32) -> Option<T::Native>,
) -> ArrayRef {
    let mut builder = ListBuilder::new(PrimitiveBuilder::<T>::new()).with_field(element(id_type(meta)));
    for row in rows {
        if let Some(ids) = &row.text_ids {
            builder.values().extend(ids.iter().map(|&id| narrow(id)));
        }
        builder.append(row.text_ids.is_some());
    }
    Arc::new(builder.finish())
}

fn codes(rows: &[TokenRow], meta: &TokenMeta) -> ArrayRef {
    let field = element(arrow::datatypes::DataType::UInt16);
    let mut builder = FixedSizeListBuilder::new(UInt16Builder::new(), code_count(meta)).with_field(field);
    let empty = vec![0; usize::try_from(code_count(meta)).unwrap_or_default()];
    for row in rows {
        match &row.codes {
            Some(codes) => builder.values().append_slice(codes),
            // A null list still has slots in Arrow; Parquet does not store them.
            None => builder.values().append_slice(&empty),
        }
        builder.append(row.codes.is_some());
    }
    Arc::new(builder.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk without room.
    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn meta() -> TokenMeta {
        TokenMeta { codebook_size: 8, grid: 2, downsampling: 8, vocab_size: 100, ..TokenMeta::default() }
    }

    fn row(ids: &[u32], codes: &[u16]) -> TokenRow {
        let (text_ids, codes) = (Some(ids.to_vec()), Some(codes.to_vec()));
        TokenRow { key: "k".into(), text_ids, codes, ..TokenRow::default() }
    }

    #[test]
    fn a_full_disk_asks_to_try_again() {
        let error = match TokenWriter::new(Full, "t.parquet", &meta(), &[]) {
            Err(error) => error,
            Ok(writer) => writer.finish().err().unwrap(),
        };
        assert_eq!(error.exit_code(), 75, "{error}");
        assert!(error.hint().unwrap().contains("free some space"));
    }

    #[test]
    fn rows_out_of_range_are_refused_by_key() {
        let mut writer = TokenWriter::new(Vec::new(), "t.parquet", &meta(), &[]).unwrap();
        let mut refuse = |row| writer.push(row).unwrap_err().to_string();
        assert_eq!(
            refuse(row(&[100], &[0; 4])),
            "t.parquet: row \"k\": text id 100 is outside the vocabulary of 100"
        );
        assert_eq!(
            refuse(row(&[1], &[0, 8, 0, 0])),
            "t.parquet: row \"k\": code 8 is outside the codebook of 8"
        );
        assert_eq!(refuse(row(&[1], &[0; 3])), "t.parquet: row \"k\": 3 codes, but a grid of 2 has 4");
    }

    #[test]
    fn a_column_of_the_format_cannot_be_passed_through() {
        assert!(TokenWriter::new(Vec::new(), "t.parquet", &meta(), &[Column::text("codes")]).is_err());
    }
}
