//! What the stages compare, one small row for each of the input: written by the first pass, read column by column by the
//! others.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeBinaryArray, RecordBatch, StringArray, UInt32Array, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt32Type, UInt64Type};
use sha2::{Digest as _, Sha256};

use super::phash::PHash;
use crate::pairs::{Scan, Table};
use crate::{Error, Result};

/// Value of `troika.format` in the files of the first pass.
pub(super) const FORMAT: &str = "hashes/1";

/// The first half of a SHA-256: two of 10^15 rows have it by chance once in 10^8 times.
pub(super) type Digest = [u8; 16];

/// The digest of some parts of text or bytes.
pub(super) fn digest(parts: &[&[u8]]) -> Digest {
    let mut hash = Sha256::new();
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            hash.update([0]);
        }
        hash.update(part);
    }
    half(&hash.finalize())
}

/// The first half of a SHA-256 that is given in hex, as columns have it.
pub(super) fn digest_of_hex(text: &str) -> Option<Digest> {
    let byte = |i: usize| u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok();
    let whole = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let mut digest = Digest::default();
    for (i, target) in digest.iter_mut().enumerate() {
        *target = byte(i).filter(|_| whole)?;
    }
    Some(digest)
}

/// Of 16 bytes or more.
fn half(bytes: &[u8]) -> Digest {
    std::array::from_fn(|i| bytes.get(i).copied().unwrap_or_default())
}

/// What is known of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fact {
    /// Its key; of a picture of an evaluation set, its name.
    pub(super) key: Option<String>,
    /// Of the URL as it is compared.
    pub(super) url: Option<Digest>,
    /// Of URL and caption.
    pub(super) url_caption: Option<Digest>,
    /// The site of the URL, hashed.
    pub(super) site: Option<u64>,
    /// Of the bytes of the picture.
    pub(super) sha256: Option<Digest>,
    /// Of its pixels.
    pub(super) phash: Option<PHash>,
    /// Pixels of the picture before it was resized; 0 where that is unknown.
    pub(super) area: u64,
    /// Bytes of the stored picture; 0 where there is none.
    pub(super) bytes: u32,
}

/// The columns of a [`Fact`].
pub(super) fn schema() -> SchemaRef {
    let digest = |name: &str| Field::new(name, DataType::FixedSizeBinary(16), true);
    let number = |name: &str, null| Field::new(name, DataType::UInt64, null);
    Arc::new(Schema::new(vec![
        Field::new("key", DataType::Utf8, true),
        digest("url"),
        digest("url_caption"),
        number("site", true),
        digest("sha256"),
        number("phash", true),
        number("area", false),
        Field::new("bytes", DataType::UInt32, false),
    ]))
}

/// Rows as columns.
pub(super) fn batch(facts: &[Fact], path: &str) -> Result<RecordBatch> {
    fn digests(
        facts: &[Fact],
        of: fn(&Fact) -> Option<Digest>,
    ) -> Result<ArrayRef, arrow::error::ArrowError> {
        let rows = facts.iter().map(of);
        Ok(Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(rows, 16)?))
    }
    let columns = || {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(facts.iter().map(|fact| fact.key.as_deref()).collect::<StringArray>()),
            digests(facts, |fact| fact.url)?,
            digests(facts, |fact| fact.url_caption)?,
            Arc::new(facts.iter().map(|fact| fact.site).collect::<UInt64Array>()),
            digests(facts, |fact| fact.sha256)?,
            Arc::new(facts.iter().map(|fact| fact.phash.map(|hash| hash.0)).collect::<UInt64Array>()),
            Arc::new(UInt64Array::from_iter_values(facts.iter().map(|fact| fact.area))),
            Arc::new(UInt32Array::from_iter_values(facts.iter().map(|fact| fact.bytes))),
        ];
        RecordBatch::try_new(schema(), columns)
    };
    columns().map_err(|e| Error::Write { path: path.to_owned(), message: e.to_string() })
}

/// The files of a finished first pass.
pub(super) struct Facts {
    table: Table,
    /// Rows before each shard, and in the end all of them.
    before: Vec<u64>,
}

impl Facts {
    pub(super) fn open(location: &str) -> Result<Self> {
        let table = Table::open(location)?;
        let mut before = vec![0];
        for shard in table.shards() {
            before.push(before.last().copied().unwrap_or(0) + shard.rows);
        }
        Ok(Self { table, before })
    }

    /// All rows.
    pub(super) fn rows(&self) -> u64 {
        self.table.rows()
    }

    /// Hands each row to `each` with its number, some columns filled.
    pub(super) fn each(&self, columns: &[&str], mut each: impl FnMut(u32, Fact)) -> Result<()> {
        let mut row = 0;
        let mut all = self.rows_of(0..self.rows(), columns);
        while let Some(facts) = all.next()? {
            for fact in facts {
                each(row, fact);
                row += 1;
            }
        }
        Ok(())
    }

    /// Reads rows in order. `rows` begins and ends with files, as the shards of the input do.
    pub(super) fn rows_of<'a>(&'a self, rows: Range<u64>, columns: &'a [&'a str]) -> Rows<'a> {
        let place = |row| self.before.partition_point(|before| *before < row);
        let (first, end) = (place(rows.start), place(rows.end));
        Rows { table: &self.table, columns, shards: first..end, open: None, ready: VecDeque::new() }
    }
}

/// Rows of the first pass, in order.
pub(super) struct Rows<'a> {
    table: &'a Table,
    columns: &'a [&'a str],
    shards: Range<usize>,
    open: Option<Scan>,
    /// Read and not yet taken.
    ready: VecDeque<Fact>,
}

impl Rows<'_> {
    /// Some more rows, `None` at the end.
    fn next(&mut self) -> Result<Option<Vec<Fact>>> {
        loop {
            if let Some(batch) = self.open.as_mut().and_then(Iterator::next) {
                let batch = batch?;
                let columns = Columns::of(&batch);
                return Ok(Some((0..batch.num_rows()).map(|row| columns.fact(row)).collect()));
            }
            let Some(shard) = self.shards.next() else { return Ok(None) };
            self.open = Some(self.table.scan_columns(shard, self.columns)?);
        }
    }

    /// The next `count` rows.
    pub(super) fn take(&mut self, count: usize) -> Result<Vec<Fact>> {
        while self.ready.len() < count {
            let Some(more) = self.next()? else {
                return Err(Error::Lost { what: "reading the hashes" });
            };
            self.ready.extend(more);
        }
        Ok(self.ready.drain(..count).collect())
    }
}

/// The columns of a batch that are there.
struct Columns {
    key: Option<StringArray>,
    url: Option<FixedSizeBinaryArray>,
    url_caption: Option<FixedSizeBinaryArray>,
    site: Option<UInt64Array>,
    sha256: Option<FixedSizeBinaryArray>,
    phash: Option<UInt64Array>,
    area: Option<UInt64Array>,
    bytes: Option<UInt32Array>,
}

impl Columns {
    fn of(batch: &RecordBatch) -> Self {
        let digests = |name| batch.column_by_name(name).and_then(|c| c.as_fixed_size_binary_opt()).cloned();
        let numbers =
            |name| batch.column_by_name(name).and_then(|c| c.as_primitive_opt::<UInt64Type>()).cloned();
        Self {
            key: batch.column_by_name("key").and_then(|c| c.as_string_opt()).cloned(),
            url: digests("url"),
            url_caption: digests("url_caption"),
            site: numbers("site"),
            sha256: digests("sha256"),
            phash: numbers("phash"),
            area: numbers("area"),
            bytes: batch.column_by_name("bytes").and_then(|c| c.as_primitive_opt::<UInt32Type>()).cloned(),
        }
    }

    fn fact(&self, row: usize) -> Fact {
        fn digest(column: Option<&FixedSizeBinaryArray>, row: usize) -> Option<Digest> {
            column.filter(|column| column.is_valid(row)).map(|column| half(column.value(row)))
        }
        let number = |column: &Option<UInt64Array>| {
            column.as_ref().filter(|column| column.is_valid(row)).map(|column| column.value(row))
        };
        let key = self.key.as_ref().filter(|column| column.is_valid(row));
        Fact {
            key: key.map(|column| column.value(row).to_owned()),
            url: digest(self.url.as_ref(), row),
            url_caption: digest(self.url_caption.as_ref(), row),
            site: number(&self.site),
            sha256: digest(self.sha256.as_ref(), row),
            phash: number(&self.phash).map(PHash),
            area: number(&self.area).unwrap_or(0),
            bytes: self.bytes.as_ref().map_or(0, |column| column.value(row)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairs::TableWriter;

    fn fact(row: u64) -> Fact {
        let some = !row.is_multiple_of(3);
        let number = |factor: u64| some.then_some(row.wrapping_mul(factor));
        Fact {
            key: some.then(|| format!("{row:09}")),
            url: some.then(|| digest(&[b"url", &row.to_le_bytes()])),
            url_caption: None,
            site: number(0x9e37_79b9_7f4a_7c15),
            sha256: some.then(|| digest(&[&row.to_le_bytes()])),
            phash: number(u64::MAX / 3).map(PHash),
            area: row * row,
            bytes: row as u32,
        }
    }

    #[test]
    fn facts_come_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        for (index, rows) in [0..700_u64, 700..701, 701..1000].into_iter().enumerate() {
            let facts: Vec<Fact> = rows.map(fact).collect();
            let mut writer = TableWriter::new(Vec::new(), schema(), FORMAT, &[], "x").unwrap();
            writer.write(&batch(&facts, "x").unwrap()).unwrap();
            let path = folder.path().join(format!("{index:05}.parquet"));
            crate::atomic::write(&path, writer.close().unwrap().0).unwrap();
        }
        let facts = Facts::open(folder.path().to_str().unwrap()).unwrap();
        let columns = ["key", "url", "url_caption", "site", "sha256", "phash", "area", "bytes"];
        let mut rows = 0;
        facts
            .each(&columns, |row, found| {
                assert_eq!((row, found), (rows, fact(rows.into())));
                rows += 1;
            })
            .unwrap();
        assert_eq!((rows, facts.rows()), (1000, 1000));
        let mut some = facts.rows_of(700..1000, &["area"]);
        assert_eq!(some.take(2).unwrap()[1], Fact { area: 701 * 701, ..Fact::default() });
        assert_eq!(some.take(298).unwrap().len(), 298);
        assert!(some.take(1).is_err());
    }

    #[test]
    fn a_digest_in_hex_is_that_of_the_bytes() {
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest_of_hex(hex), Some(digest(&[b"abc"])));
        assert_eq!(digest_of_hex(&hex.to_uppercase()), Some(digest(&[b"abc"])));
        assert_eq!((digest_of_hex(&hex[1..]), digest_of_hex(&hex.replace('b', "g"))), (None, None));
        assert_ne!(digest(&[b"a", b"bc"]), digest(&[b"ab", b"c"]));
    }
}
