//! Rows of token shards one after the other, each with its place.

use std::path::{Path, PathBuf};

use tokenize::shard_list;
use tokenize::tokens::{TokenReader, TokenRow};

use crate::data::{Expected, Where, check};
use crate::{Error, Result};

/// A row and where it lies.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Its shard.
    pub shard: PathBuf,
    /// Its number in the shard, counted from 1.
    pub number: usize,
    /// The row.
    pub row: TokenRow,
}

impl Placed {
    /// An error about this row.
    pub fn fault(&self, why: impl std::fmt::Display) -> Error {
        Error::data(&self.shard, format!("row {} ({:?}): {why}", self.number, self.row.key))
    }
}

/// The rows of a shard or of a folder of shards that `filter` takes, the first `limit` of them.
///
/// # Errors
/// A shard is damaged, was made by another codec or vocabulary, or lacks a column of the filter.
pub fn read(
    path: &Path,
    filter: &Where,
    expected: &Expected,
    limit: Option<usize>,
) -> Result<impl Iterator<Item = Result<Placed>> + use<>> {
    let mut readers = Vec::new();
    for shard in shard_list::list(path)? {
        let reader = TokenReader::open(&shard)?;
        check(&shard, reader.meta(), expected)?;
        filter.check(&shard, reader.extra_columns())?;
        readers.push((shard, reader));
    }
    let filter = filter.clone();
    let rows = readers.into_iter().flat_map(|(shard, reader)| {
        (1..).zip(reader).map(move |(number, row)| {
            row.map(|row| Placed { shard: shard.clone(), number, row }).map_err(Error::from)
        })
    });
    let taken = rows.filter(move |row| row.as_ref().map_or(true, |placed| filter.takes(&placed.row)));
    Ok(taken.take(limit.unwrap_or(usize::MAX)))
}
