//! Reads token shards, by row or by batch, and checks what they promise.

use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::schema::OWN;
use super::{Column, TokenBatch, TokenMeta, TokenRow, schema};
use crate::{Error, Result};

/// Rows decoded at a time.
const BATCH_ROWS: usize = 1024;

/// Which part of a shard is read. Keys, text ids and codes always are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Row groups, in this order; `None` for all.
    pub groups: Option<Vec<usize>>,
    /// Columns besides, by name (`caption` or one passed through); `None` for all.
    pub columns: Option<Vec<String>>,
}

/// Iterates over the rows of one token shard.
pub struct TokenReader {
    path: PathBuf,
    meta: TokenMeta,
    extra: Vec<Column>,
    rows: usize,
    batches: ParquetRecordBatchReader,
    batch: std::vec::IntoIter<TokenRow>,
}

impl TokenReader {
    /// Opens a shard and checks its format and columns.
    ///
    /// # Errors
    /// A missing or truncated file, another format, or other columns than the metadata promises.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_part(path, &Selection::default())
    }

    /// The same for a part of it.
    ///
    /// # Errors
    /// As for [`TokenReader::open`]; also a row group that the shard does not have.
    pub fn open_part(path: impl AsRef<Path>, selection: &Selection) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let file = File::open(&path).map_err(Error::io(&path))?;
        let mut builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| damaged(&path, e))?;
        let metadata = builder.metadata().file_metadata();
        let meta = TokenMeta::from_key_values(&path, metadata.key_value_metadata())?;
        let rows = usize::try_from(metadata.num_rows()).unwrap_or_default();
        let extra = extra_columns(&path, builder.schema(), &meta)?;
        if let Some(groups) = &selection.groups {
            let known = builder.metadata().num_row_groups();
            if let Some(group) = groups.iter().find(|group| **group >= known) {
                return Err(damaged(&path, format!("row group {group} of {known}")));
            }
            builder = builder.with_row_groups(groups.clone());
        }
        if let Some(columns) = &selection.columns {
            let roots = wanted(builder.schema(), columns);
            let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
            builder = builder.with_projection(mask);
        }
        let batches = builder.with_batch_size(BATCH_ROWS).build().map_err(|e| damaged(&path, e))?;
        Ok(Self { path, meta, extra, rows, batches, batch: Vec::new().into_iter() })
    }

    /// What made the shard.
    pub fn meta(&self) -> &TokenMeta {
        &self.meta
    }

    /// The columns passed through.
    pub fn extra_columns(&self) -> &[Column] {
        &self.extra
    }

    /// Rows in the shard.
    pub fn row_count(&self) -> usize {
        self.rows
    }

    /// The next rows together; `None` after the last.
    ///
    /// # Errors
    /// A damaged file, or ids and codes out of the ranges that its metadata gives.
    pub fn next_batch(&mut self) -> Option<Result<TokenBatch>> {
        let batch = match self.batches.next()? {
            Ok(batch) => batch,
            Err(error) => return Some(Err(damaged(&self.path, error))),
        };
        let batch =
            TokenBatch::new(&batch, &self.extra).ok_or_else(|| damaged(&self.path, "columns are missing"));
        Some(batch.and_then(|batch| {
            batch.check(&self.meta).map_err(|why| damaged(&self.path, why))?;
            Ok(batch)
        }))
    }
}

impl Iterator for TokenReader {
    type Item = Result<TokenRow>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.batch.next() {
                return Some(Ok(row));
            }
            match self.next_batch()? {
                Ok(batch) => {
                    let rows: Vec<_> = (0..batch.len()).map(|row| batch.row(row)).collect();
                    self.batch = rows.into_iter();
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Indices of the columns that are read.
fn wanted(found: &arrow::datatypes::Schema, columns: &[String]) -> Vec<usize> {
    let [key, _, text_ids, codes] = OWN;
    let always = [key, text_ids, codes];
    let taken = |name: &str| always.contains(&name) || columns.iter().any(|column| column == name);
    (0..found.fields().len()).filter(|index| taken(found.field(*index).name())).collect()
}

/// The columns after the format's own; every type must be the promised one, or reading them would go wrong later.
pub(super) fn extra_columns(
    path: &Path,
    found: &arrow::datatypes::Schema,
    meta: &TokenMeta,
) -> Result<Vec<Column>> {
    let extra = found.fields().iter().skip(OWN.len()).map(|field| Column::of(field));
    let extra: Vec<Column> =
        extra.collect::<std::result::Result<_, _>>().map_err(|why| damaged(path, why))?;
    let expected = schema(meta, &extra);
    for (index, field) in expected.fields().iter().enumerate() {
        let fits = found
            .fields()
            .get(index)
            .is_some_and(|f| f.name() == field.name() && f.data_type() == field.data_type());
        if !fits {
            return Err(damaged(
                path,
                format!("column {index} is not `{}: {}`", field.name(), field.data_type()),
            ));
        }
    }
    Ok(extra)
}

pub(super) fn damaged(path: &Path, why: impl ToString) -> Error {
    Error::Table {
        path: path.to_owned(),
        why: why.to_string(),
        cure: Some(
            "the file is damaged or not a token shard: delete it and make it again with `tokenize shards`"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use pipeline::atomic;
    use proptest::prelude::*;

    use super::super::{Groups, TokenWriter};
    use super::*;

    fn meta(vocab_size: usize) -> TokenMeta {
        TokenMeta {
            codec_name: "vqgan".into(),
            codec_kind: "vqgan".into(),
            codec_sha256: "aa".into(),
            codebook_size: 1024,
            grid: 2,
            downsampling: 8,
            preprocess: crate::pixels::Preprocess::taming(256),
            bpe_kind: "hf-bpe".into(),
            bpe_sha256: "bb".into(),
            vocab_size,
            lowercase: true,
        }
    }

    fn shard(meta: &TokenMeta, rows: &[TokenRow]) -> Vec<u8> {
        let mut writer = TokenWriter::new(Vec::new(), "t", meta, &[Column::text("split")]).unwrap();
        rows.iter().for_each(|row| writer.push(row.clone()).unwrap());
        writer.finish().unwrap()
    }

    fn stored(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("00000.parquet");
        atomic::write(&path, bytes).unwrap();
        (folder, path)
    }

    fn rows() -> Vec<TokenRow> {
        let split = |value: &str| [("split".to_owned(), value.into())].into();
        vec![
            TokenRow {
                key: "000000000".into(),
                caption: Some("Red flag".into()),
                text_ids: Some(vec![5, 999]),
                codes: Some(vec![0, 1, 2, 1023]),
                extra: split("train"),
            },
            TokenRow {
                key: "000000001".into(),
                caption: Some(String::new()),
                text_ids: Some(vec![]),
                ..TokenRow::default()
            },
            TokenRow {
                key: "000000002".into(),
                codes: Some(vec![7; 4]),
                extra: split("test"),
                ..TokenRow::default()
            },
        ]
    }

    #[test]
    fn the_format_is_pinned() {
        let (_folder, path) = stored(&shard(&meta(1000), &rows()));
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
        let fields: Vec<String> = builder
            .schema()
            .fields()
            .iter()
            .map(|f| format!("{}: {:?} null={}", f.name(), f.data_type(), f.is_nullable()))
            .collect();
        insta::assert_snapshot!(fields.join("\n"), @r#"
        key: Utf8 null=false
        caption: Utf8 null=true
        text_ids: List(Field { name: "element", data_type: UInt16 }) null=true
        codes: FixedSizeList(Field { name: "element", data_type: UInt16 }, 4) null=true
        split: Utf8 null=true
        "#);
        let pairs = builder.metadata().file_metadata().key_value_metadata().unwrap();
        let pairs: Vec<String> = pairs
            .iter()
            .filter(|pair| pair.key != "ARROW:schema")
            .map(|pair| format!("{} = {}", pair.key, pair.value.as_deref().unwrap()))
            .collect();
        insta::assert_snapshot!(pairs.join("\n"), @r#"
        troika.format = tokens/1
        troika.codec.name = vqgan
        troika.codec.kind = vqgan
        troika.codec.sha256 = aa
        troika.codec.codebook_size = 1024
        troika.codec.grid = 2
        troika.codec.downsampling = 8
        troika.codec.preprocess = {"size":256,"crop":"center","filter":"linear","range":"minus_one_one"}
        troika.bpe.kind = hf-bpe
        troika.bpe.sha256 = bb
        troika.bpe.vocab_size = 1000
        troika.bpe.lowercase = true
        "#);
        let reader = TokenReader::open(&path).unwrap();
        assert_eq!(
            (reader.meta(), reader.extra_columns(), reader.row_count()),
            (&meta(1000), &[Column::text("split")][..], 3)
        );
        assert_eq!(reader.collect::<Result<Vec<_>>>().unwrap(), rows());
    }

    #[test]
    fn the_same_rows_give_the_same_bytes() {
        let many: Vec<TokenRow> =
            (0..9000).map(|i| TokenRow { key: i.to_string(), ..rows()[0].clone() }).collect();
        assert_eq!(shard(&meta(1000), &many), shard(&meta(1000), &many));
        let (_folder, path) = stored(&shard(&meta(1000), &many));
        assert_eq!(TokenReader::open(&path).unwrap().count(), 9000);
    }

    #[test]
    fn a_shard_without_a_codec_holds_texts() {
        let meta = TokenMeta { vocab_size: 9, ..TokenMeta::default() };
        let text = TokenRow { key: "k".into(), text_ids: Some(vec![8]), ..TokenRow::default() };
        let (_folder, path) = stored(&shard(&meta, std::slice::from_ref(&text)));
        assert_eq!(TokenReader::open(&path).unwrap().collect::<Result<Vec<_>>>().unwrap(), [text]);
    }

    #[test]
    fn large_vocabularies_have_wide_ids() {
        let wide = TokenRow { key: "k".into(), text_ids: Some(vec![70_000, 3]), ..TokenRow::default() };
        let (_folder, path) = stored(&shard(&meta(80_000), std::slice::from_ref(&wide)));
        assert_eq!(TokenReader::open(&path).unwrap().collect::<Result<Vec<_>>>().unwrap(), [wide]);
    }

    #[test]
    fn a_cut_file_and_a_foreign_one_are_named_with_the_cure() {
        let bytes = shard(&meta(1000), &rows());
        for part in [&bytes[..bytes.len() / 2], &bytes[..bytes.len() - 1], b"PAR1".as_slice(), b"".as_slice()]
        {
            let (_folder, path) = stored(part);
            let error = TokenReader::open(&path).err().unwrap();
            assert!(error.to_string().contains("00000.parquet: "), "{error}");
            assert!(error.hint().unwrap().contains("make it again"));
        }
        assert!(
            TokenReader::open("absent.parquet").err().unwrap().to_string().starts_with("absent.parquet: ")
        );
    }

    #[test]
    fn values_beyond_the_promised_ranges_are_found() {
        // Written by a codec of 1,024 entries, then read under a metadata that promises 512.
        let bytes = shard(&meta(1000), &rows());
        let smaller = TokenMeta { codebook_size: 512, ..meta(1000) };
        let (_folder, path) = stored(&bytes);
        let mut reader = TokenReader::open(&path).unwrap();
        reader.meta = smaller;
        let error = reader.next().unwrap().unwrap_err();
        assert!(
            error.to_string().ends_with("row \"000000000\": code 1023 is outside the codebook of 512"),
            "{error}"
        );
    }

    #[test]
    fn a_part_is_read_without_the_rest() {
        let many: Vec<TokenRow> =
            (0..9000).map(|i| TokenRow { key: i.to_string(), ..rows()[0].clone() }).collect();
        let (_folder, path) = stored(&shard(&meta(1000), &many));
        let groups = Groups::read(&path).unwrap();
        assert_eq!(groups.groups.iter().map(|group| group.rows).collect::<Vec<_>>(), [4096, 4096, 808]);
        assert!(groups.groups.iter().all(|group| group.complete) && groups.rows() == 9000);
        let part = |groups: Vec<usize>, columns: &[&str]| {
            let columns = Some(columns.iter().map(|name| (*name).to_owned()).collect());
            let reader = TokenReader::open_part(&path, &Selection { groups: Some(groups), columns });
            reader.and_then(Iterator::collect::<Result<Vec<_>>>)
        };
        let last = part(vec![2], &["split"]).unwrap();
        let bare = TokenRow { caption: None, ..many[8192].clone() };
        assert_eq!((last.len(), &last[0]), (808, &bare));
        let bare = TokenRow { extra: std::collections::BTreeMap::new(), ..many[4096].clone() };
        assert_eq!(part(vec![1], &["caption"]).unwrap()[0], bare);
        assert!(part(vec![3], &[]).unwrap_err().to_string().ends_with("row group 3 of 3"));
    }

    #[test]
    fn a_group_with_a_missing_image_is_not_complete_and_other_rows_have_another_digest() {
        let read = |rows: &[TokenRow]| {
            let (_folder, path) = stored(&shard(&meta(1000), rows));
            Groups::read(&path).unwrap()
        };
        let (some, all) = (read(&rows()), read(&rows()[..1]));
        assert!(!some.groups[0].complete && all.groups[0].complete);
        assert_ne!(some.digest, all.digest);
        assert_eq!(some, read(&rows()));
    }

    proptest! {
        #[test]
        fn rows_survive_the_round_trip(
            keys in proptest::collection::vec("[0-9]{1,9}", 1..20),
            ids in proptest::collection::vec(proptest::option::of(proptest::collection::vec(0_u32..1000, 0..30)), 20),
            codes in proptest::collection::vec(proptest::option::of(proptest::array::uniform4(0_u16..1024)), 20),
            captions in proptest::collection::vec(proptest::option::of(".{0,40}"), 20),
        ) {
            let rows: Vec<TokenRow> = keys.into_iter().enumerate().map(|(i, key)| TokenRow {
                key,
                caption: captions[i].clone(),
                text_ids: ids[i].clone(),
                codes: codes[i].map(|codes| codes.to_vec()),
                ..TokenRow::default()
            }).collect();
            let (_folder, path) = stored(&shard(&meta(1000), &rows));
            prop_assert_eq!(TokenReader::open(&path).unwrap().collect::<Result<Vec<_>>>().unwrap(), rows);
        }
    }
}
