//! The cosine of two vectors.

use arrow::array::{Array, ArrayRef, AsArray, Float32Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type};

/// Row by row the cosine of the vectors in two columns; null where one has no vector, where their lengths differ, and where
/// one is all zeros. `None` for a column that holds no vectors.
pub(super) fn cosines(a: &ArrayRef, b: &ArrayRef) -> Option<Float32Array> {
    let rows = a.len().min(b.len());
    let (a, b) = (Vectors::of(a)?, Vectors::of(b)?);
    Some((0..rows).map(|row| cosine(&a.row(row)?, &b.row(row)?)).collect())
}

/// In double precision and in order, so that the last bit is the same everywhere.
fn cosine(a: &Float32Array, b: &Float32Array) -> Option<f32> {
    let dot = |a: &Float32Array, b: &Float32Array| -> f64 {
        a.values().iter().zip(b.values()).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    let whole = a.len() == b.len() && a.null_count() + b.null_count() == 0 && norms > 0.0;
    whole.then(|| (dot(a, b) / norms) as f32)
}

/// A column of lists of numbers.
struct Vectors(ArrayRef);

impl Vectors {
    fn of(column: &ArrayRef) -> Option<Self> {
        let numbers = is_vector(column.data_type());
        numbers.then(|| Self(ArrayRef::clone(column)))
    }

    fn row(&self, row: usize) -> Option<Float32Array> {
        let Self(column) = self;
        let values = match column.data_type() {
            _ if column.is_null(row) => return None,
            DataType::FixedSizeList(..) => column.as_fixed_size_list().value(row),
            DataType::LargeList(_) => column.as_list::<i64>().value(row),
            _ => column.as_list::<i32>().value(row),
        };
        cast(&values, &DataType::Float32).ok().map(|values| values.as_primitive::<Float32Type>().clone())
    }
}

/// Whether a column of this type can hold vectors.
pub(super) fn is_vector(kind: &DataType) -> bool {
    match kind {
        DataType::FixedSizeList(item, _) | DataType::LargeList(item) | DataType::List(item) => {
            item.data_type().is_floating()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{FixedSizeListArray, ListArray, StringArray};
    use arrow::datatypes::Float64Type;

    use super::*;

    #[test]
    fn angles_and_what_has_none() {
        let a: ArrayRef = Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(
            [Some([3.0, 0.0]), Some([1.0, 1.0]), None, Some([0.0, 0.0]), Some([1.0, 2.0])]
                .map(|row| row.map(|r: [f32; 2]| r.map(Some))),
            2,
        ));
        let rows = [vec![0.0, 5.0], vec![-2.0, -2.0], vec![1.0, 1.0], vec![1.0, 1.0], vec![1.0, 2.0, 3.0]];
        let b: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(
            rows.map(|row| Some(row.into_iter().map(Some).collect::<Vec<_>>())),
        ));
        let found: Vec<Option<f32>> = cosines(&a, &b).unwrap().iter().collect();
        assert_eq!(found, [Some(0.0), Some(-1.0), None, None, None]);
        let text: ArrayRef = Arc::new(StringArray::from(vec!["a"; 5]));
        assert!(cosines(&a, &text).is_none());
    }
}
