//! The reader that the last unit left open, for the unit that goes on where it ended.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::records::Rows;
use crate::Result;
use crate::unit::Unit;

/// At most one open reader for all lists of a config; clones share it.
#[derive(Clone, Default)]
pub(super) struct Parked(Arc<Mutex<Option<Reader>>>);

struct Reader {
    list: String,
    /// The row that comes next.
    next: u64,
    rows: Box<dyn Rows>,
}

impl Parked {
    /// The open reader of `list` at the first row of `unit`. Where the list can be opened there as well, it has to be
    /// there already; else a reader that is not there yet passes the rows between.
    pub(super) fn take(&self, list: &str, unit: &Unit, exactly: bool) -> Result<Option<Box<dyn Rows>>> {
        let parked = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let fits = |reader: &Reader| {
            reader.list == list && (reader.next == unit.start || !exactly && reader.next < unit.start)
        };
        let Some(mut reader) = parked.filter(fits) else { return Ok(None) };
        reader.rows.skip(unit.start - reader.next)?;
        Ok(Some(reader.rows))
    }

    /// Leaves a reader that has handed out all rows of `unit`.
    pub(super) fn put(&self, list: &str, unit: &Unit, rows: Box<dyn Rows>) {
        let reader = Reader { list: list.to_owned(), next: unit.start + unit.rows, rows };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reader);
    }
}

impl fmt::Debug for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parked")
    }
}
