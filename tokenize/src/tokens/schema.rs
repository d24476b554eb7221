//! The Arrow schema of a token shard.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};

use super::{Column, TokenMeta};

/// Names of the columns that every token shard begins with.
pub(super) const OWN: [&str; 4] = ["key", "caption", "text_ids", "codes"];

/// The columns of a shard with this metadata and these columns passed through.
pub fn schema(meta: &TokenMeta, extra: &[Column]) -> SchemaRef {
    let mut fields = vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("caption", DataType::Utf8, true),
        Field::new("text_ids", DataType::List(element(id_type(meta))), true),
        Field::new("codes", DataType::FixedSizeList(element(DataType::UInt16), code_count(meta)), true),
    ];
    fields.extend(extra.iter().map(Column::field));
    Arc::new(Schema::new(fields))
}

/// The type of one text id.
pub(super) fn id_type(meta: &TokenMeta) -> DataType {
    if meta.wide_ids() { DataType::UInt32 } else { DataType::UInt16 }
}

/// Codes of a picture as Arrow counts them; Parquet has no lists of none, so a shard without a codec has room for one.
pub(super) fn code_count(meta: &TokenMeta) -> i32 {
    i32::try_from(meta.codes_per_image()).unwrap_or(i32::MAX).max(1)
}

/// The field inside the two list columns, under the name of Parquet's specification.
pub(super) fn element(kind: DataType) -> FieldRef {
    Arc::new(Field::new("element", kind, false))
}
