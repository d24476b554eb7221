//! A row as the small files of webdataset and of plain folders: `KEY.jpg`, `KEY.json`, `KEY.txt`.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use arrow::util::display::array_value_to_string;
use bytes::Bytes;

use super::row::{Layout, Row};
use crate::python_json::Json;

/// The files of a row in the order of their names; none for a row without an image. `batch` holds the row's table
/// columns in line `index`.
pub fn files(layout: &Layout, batch: &RecordBatch, index: usize, row: &Row) -> Vec<(String, Bytes)> {
    let Some(image) = &row.image else { return Vec::new() };
    let name = |ending: &str| format!("{}.{ending}", row.key);
    let mut files = vec![
        (name(layout.format.name()), image.clone()),
        (name("json"), Bytes::from(object(batch, index).dumps())),
    ];
    if layout.caption {
        files.push((name("txt"), Bytes::from(row.caption.clone().unwrap_or_default())));
    }
    files.sort_by(|a, b| a.0.cmp(&b.0));
    files
}

/// A line of a table, its columns in order.
fn object(batch: &RecordBatch, index: usize) -> Json {
    let schema = batch.schema();
    let members = schema.fields().iter().zip(batch.columns());
    Json::Object(members.map(|(field, column)| (field.name().clone(), value(column, index))).collect())
}

/// A cell. What JSON has no type for (dates, decimals, bytes) is given as text.
fn value(column: &ArrayRef, index: usize) -> Json {
    if column.is_null(index) {
        return Json::Null;
    }
    let text = || array_value_to_string(column, index).unwrap_or_default();
    match column.data_type() {
        DataType::Null => Json::Null,
        DataType::Boolean => Json::Bool(column.as_boolean().value(index)),
        kind if kind.is_integer() => Json::Integer(text()),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let wide = cast(&column.slice(index, 1), &DataType::Float64);
            wide.map_or(Json::Null, |wide| Json::Float(wide.as_primitive::<Float64Type>().value(0)))
        }
        DataType::List(_) => list(&column.as_list::<i32>().value(index)),
        DataType::LargeList(_) => list(&column.as_list::<i64>().value(index)),
        DataType::FixedSizeList(..) => list(&column.as_fixed_size_list().value(index)),
        DataType::Struct(fields) => {
            let members = fields.iter().zip(column.as_struct().columns());
            Json::Object(members.map(|(field, cells)| (field.name().clone(), value(cells, index))).collect())
        }
        _ => Json::Text(text()),
    }
}

fn list(items: &ArrayRef) -> Json {
    Json::List((0..items.len()).map(|i| value(items, i)).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, Float32Array, Int64Array, ListArray, StringArray};
    use arrow::datatypes::Int32Type;

    use super::*;
    use crate::pairs::HashKind;
    use crate::picture::EncodeFormat;
    use crate::reason::Reason;

    #[test]
    fn every_kind_of_column_has_its_json() {
        let boxes = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1), None])]);
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("id", Arc::new(Int64Array::from(vec![i64::MAX])) as ArrayRef, true),
            ("score", Arc::new(Float32Array::from(vec![0.5])), true),
            ("safe", Arc::new(BooleanArray::from(vec![true])), true),
            ("boxes", Arc::new(boxes), true),
            ("none", Arc::new(StringArray::from(vec![None::<&str>])), true),
        ]);
        let expected = "{\n    \"id\": 9223372036854775807,\n    \"score\": 0.5,\n    \"safe\": true,\n    \
            \"boxes\": [\n        1,\n        null\n    ],\n    \"none\": null\n}";
        assert_eq!(object(&batch.unwrap(), 0).dumps(), expected);
    }

    #[test]
    fn files_come_in_the_order_of_their_names_and_a_missing_caption_is_empty() {
        let layout = Layout {
            extra: vec![],
            caption: true,
            exif: false,
            hash: HashKind::None,
            hash_verified: false,
            format: EncodeFormat::Png,
            metadata: vec![],
        };
        let batch = RecordBatch::new_empty(Arc::new(arrow::datatypes::Schema::empty()));
        let mut row = Row { image: Some(Bytes::from_static(b"png")), ..Row::new("000010005", Reason::Ok) };
        let names: Vec<_> = files(&layout, &batch, 0, &row).into_iter().map(|(n, b)| (n, b.len())).collect();
        let expected = [("000010005.json", 2), ("000010005.png", 3), ("000010005.txt", 0)];
        assert_eq!(names, expected.map(|(name, length)| (name.to_owned(), length)));
        row.image = None;
        assert!(files(&layout, &batch, 0, &row).is_empty());
    }
}
