//! The order by columns: their values are in memory, the rest of the rows is not.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::{SortColumn, SortOptions, concat, lexsort_to_indices, take};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::choose::Chosen;
use super::config::OrderConfig;
use super::source::Source;
use crate::{Error, Result};

/// The places of rows 0, 1, … of a side in the new order: stable, without a value last.
pub(super) fn places(
    source: &Source,
    chosen: &[Chosen],
    side: usize,
    order: &OrderConfig,
) -> Result<Vec<u32>> {
    let columns: Vec<SortColumn> = order
        .by
        .iter()
        .map(|name| {
            let options = SortOptions { descending: order.descending, nulls_first: false };
            Ok(SortColumn { values: values(source, chosen, side, name)?, options: Some(options) })
        })
        .collect::<Result<_>>()?;
    let refused = |e: arrow::error::ArrowError| Error::config("order.by", format!("cannot sort: {e}"));
    invert(columns).map_err(refused)
}

fn invert(mut columns: Vec<SortColumn>) -> Result<Vec<u32>, arrow::error::ArrowError> {
    let rows = columns.first().map_or(0, |column| column.values.len());
    // Arrow's sort is not stable: the row's number decides between equals.
    let numbers: UInt32Array = (0..).take(rows).map(Some).collect();
    columns.push(SortColumn { values: Arc::new(numbers), options: None });
    let sorted = lexsort_to_indices(&columns, None)?;
    let mut places = vec![0; rows];
    for (place, row) in (0..).zip(sorted.values()) {
        places[*row as usize] = place;
    }
    Ok(places)
}

/// A column of the rows of a side.
fn values(source: &Source, chosen: &[Chosen], side: usize, column: &str) -> Result<ArrayRef> {
    let broken = |e: arrow::error::ArrowError| Error::config("order.by", format!("column `{column}`: {e}"));
    let block = |index: usize| {
        let mut parts = Vec::new();
        source.scan(&source.blocks()[index], &[column], |batch| {
            parts.push(Arc::clone(batch.column(0)));
            Ok(())
        })?;
        let whole = concat(&parts.iter().map(AsRef::as_ref).collect::<Vec<_>>()).map_err(broken)?;
        let rows: UInt32Array =
            chosen[index].rows().filter(|(_, on)| *on == side).map(|(row, _)| Some(row)).collect();
        take(&whole, &rows, None).map_err(broken)
    };
    let blocks: Vec<ArrayRef> = (0..chosen.len())
        .into_par_iter()
        .map(block)
        .collect::<Vec<Result<_>>>()
        .into_iter()
        .collect::<Result<_>>()?;
    concat(&blocks.iter().map(AsRef::as_ref).collect::<Vec<_>>()).map_err(broken)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float32Array, StringArray};

    use super::*;

    fn order(columns: Vec<ArrayRef>, descending: bool) -> Vec<u32> {
        let options = Some(SortOptions { descending, nulls_first: false });
        invert(columns.into_iter().map(|values| SortColumn { values, options }).collect()).unwrap()
    }

    #[test]
    fn equal_rows_keep_their_order_and_nulls_come_last() {
        let scores: ArrayRef =
            Arc::new(Float32Array::from(vec![Some(2.0), None, Some(1.0), Some(2.0), None]));
        assert_eq!(order(vec![Arc::clone(&scores)], false), [1, 3, 0, 2, 4]);
        assert_eq!(order(vec![Arc::clone(&scores)], true), [0, 3, 2, 1, 4]);
        let names: ArrayRef = Arc::new(StringArray::from(vec!["b", "b", "a", "a", "a"]));
        assert_eq!(order(vec![names, scores], false), [3, 4, 0, 1, 2]);
    }
}
