//! Rows in order, wherever they come from: what every format of list has to offer.

use super::Block;
use crate::Result;

/// An open list, at some row.
pub(super) trait Rows: Send {
    /// The next rows, at most `most` and fewer only at the end of the list; `None` there.
    fn block(&mut self, most: usize) -> Result<Option<Block>>;

    /// Leaves rows out.
    fn skip(&mut self, rows: u64) -> Result<()>;
}

/// Records that are read one after the other.
pub(super) trait Records: Send {
    /// A row, as it lies in the list.
    type Record;

    /// The byte at which the next record begins, and the record; `None` at the end.
    fn next(&mut self) -> Result<Option<(u64, Self::Record)>>;

    /// Leaves the next record out; `false` at the end.
    fn pass(&mut self) -> Result<bool> {
        Ok(self.next()?.is_some())
    }

    /// Whether reading can begin at that byte again.
    fn seekable(&self) -> bool;
}

/// Makes rows of records.
pub(super) type Maker<R> = Box<dyn Fn(Vec<R>) -> Block + Send>;

/// [`Records`] as [`Rows`].
pub(super) struct Sequence<S: Records> {
    pub(super) records: S,
    pub(super) make: Maker<S::Record>,
}

impl<S: Records> Rows for Sequence<S> {
    fn block(&mut self, most: usize) -> Result<Option<Block>> {
        let mut rows = Vec::with_capacity(most);
        while rows.len() < most {
            match self.records.next()? {
                Some((_, record)) => rows.push(record),
                None => break,
            }
        }
        Ok((!rows.is_empty()).then(|| (self.make)(rows)))
    }

    fn skip(&mut self, rows: u64) -> Result<()> {
        for _ in 0..rows {
            if !self.records.pass()? {
                break;
            }
        }
        Ok(())
    }
}

/// Rows, and the bytes at which the units begin (none where reading cannot begin there).
pub(super) fn count<S: Records>(mut records: S, rows_per_unit: u64) -> Result<(u64, Vec<u64>)> {
    let (mut rows, mut offsets) = (0_u64, Vec::new());
    while let Some((begin, _)) = records.next()? {
        if records.seekable() && rows.is_multiple_of(rows_per_unit) {
            offsets.push(begin);
        }
        rows += 1;
    }
    Ok((rows, offsets))
}
