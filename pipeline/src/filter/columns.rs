//! The columns that rules look at, as texts or as numbers, whatever their types in the table.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::compute::kernels::length::length;
use arrow::datatypes::{DataType, Field, Float64Type, SchemaRef};

use super::rules::Trouble;
use crate::{Error, Result};

/// A text column that a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text(usize);

/// A column of numbers that a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number(usize);

/// How a column becomes numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    Value,
    /// Bytes of a text or of a picture.
    Length,
}

/// All columns that the rules of a filter look at, each once.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    schema: SchemaRef,
    texts: Vec<String>,
    numbers: Vec<(String, Measure)>,
}

impl Columns {
    pub(super) fn new(schema: SchemaRef) -> Self {
        Self { schema, texts: Vec::new(), numbers: Vec::new() }
    }

    /// The field of a column.
    pub(super) fn field(&self, name: &str) -> Option<&Field> {
        self.schema.column_with_name(name).map(|(_, field)| field)
    }

    /// The names of the table's columns.
    pub(super) fn known(&self) -> Vec<&str> {
        self.schema.fields().iter().map(|field| field.name().as_str()).collect()
    }

    /// A column read as text: anything but lists and structs.
    pub(super) fn text(&mut self, name: &str) -> Result<Text, Trouble> {
        let field = self.field(name).ok_or_else(|| Trouble::Absent(name.to_owned()))?;
        if field.data_type().is_nested() {
            return Err(Trouble::Wrong(format!("`{name}` is a {}, no text", field.data_type())));
        }
        Ok(Text(place(&mut self.texts, name.to_owned())))
    }

    /// A column of numbers.
    pub(super) fn number(&mut self, name: &str) -> Result<Number, Trouble> {
        let field = self.field(name).ok_or_else(|| Trouble::Absent(name.to_owned()))?;
        let kind = field.data_type();
        if !(kind.is_numeric() || matches!(kind, DataType::Boolean)) {
            return Err(Trouble::Wrong(format!("`{name}` is of type {kind}, it holds no numbers")));
        }
        Ok(Number(place(&mut self.numbers, (name.to_owned(), Measure::Value))))
    }

    /// Bytes of each value of a column of texts or pictures.
    pub(super) fn length(&mut self, name: &str) -> Result<Number, Trouble> {
        let field = self.field(name).ok_or_else(|| Trouble::Absent(name.to_owned()))?;
        let kind = field.data_type();
        if !(kind.is_string() || kind.is_binary()) {
            return Err(Trouble::Wrong(format!("`{name}` is of type {kind}, it has no lengths")));
        }
        Ok(Number(place(&mut self.numbers, (name.to_owned(), Measure::Length))))
    }

    /// The names of all of them.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().chain(self.numbers.iter().map(|(name, _)| name)).map(String::as_str)
    }

    /// The name of a text column.
    pub(super) fn name(&self, column: Text) -> &str {
        &self.texts[column.0]
    }

    /// The columns of a batch, which may have others too and in another order.
    pub(super) fn view(&self, batch: &RecordBatch) -> Result<View> {
        let text =
            |name: &String| Ok(to_type(named(batch, name)?, &DataType::Utf8, name)?.as_string().clone());
        let number = |(name, measure): &(String, Measure)| {
            let column = named(batch, name)?;
            let column = match measure {
                Measure::Value => Arc::clone(column),
                Measure::Length => length(column).map_err(|e| unlike(name, &e))?,
            };
            Ok(to_type(&column, &DataType::Float64, name)?.as_primitive::<Float64Type>().clone())
        };
        Ok(View {
            texts: self.texts.iter().map(text).collect::<Result<_>>()?,
            numbers: self.numbers.iter().map(number).collect::<Result<_>>()?,
        })
    }
}

/// Where `wanted` stands in the list; it is added if it is not there.
fn place<T: PartialEq>(list: &mut Vec<T>, wanted: T) -> usize {
    list.iter().position(|known| *known == wanted).unwrap_or_else(|| {
        list.push(wanted);
        list.len() - 1
    })
}

/// A column of a batch.
pub(super) fn named<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| Error::input(name, "this column is not in the batch"))
}

/// A column in another type, for nothing if it has it already.
pub(super) fn to_type(column: &ArrayRef, kind: &DataType, name: &str) -> Result<ArrayRef> {
    cast(column, kind).map_err(|e| unlike(name, &e))
}

fn unlike(name: &str, error: &arrow::error::ArrowError) -> Error {
    Error::input(name, format!("this column cannot be judged: {error}"))
}

/// The columns of one batch as the rules see them.
#[derive(Clone, Debug)]
pub(super) struct View {
    texts: Vec<StringArray>,
    numbers: Vec<Float64Array>,
}

impl View {
    pub(super) fn texts(&self, column: Text) -> &StringArray {
        &self.texts[column.0]
    }

    pub(super) fn numbers(&self, column: Number) -> &Float64Array {
        &self.numbers[column.0]
    }

    /// Puts other texts into the place of those that rules saw so far.
    pub(super) fn replace(&mut self, column: Text, texts: StringArray) {
        self.texts[column.0] = texts;
    }
}

/// The text of a row; of a null the empty one.
pub(super) fn text_of(texts: &StringArray, row: usize) -> &str {
    if texts.is_null(row) { "" } else { texts.value(row) }
}

#[cfg(test)]
mod tests {
    use arrow::array::{BinaryArray, BooleanArray, Int32Array, LargeStringArray, StringViewArray};

    use super::*;

    fn batch() -> RecordBatch {
        RecordBatch::try_from_iter([
            ("large", Arc::new(LargeStringArray::from(vec![Some("a"), None])) as ArrayRef),
            ("view", Arc::new(StringViewArray::from(vec![Some("b"), None]))),
            ("size", Arc::new(Int32Array::from(vec![Some(7), None]))),
            ("flag", Arc::new(BooleanArray::from(vec![Some(true), None]))),
            ("jpg", Arc::new(BinaryArray::from(vec![Some(b"12345".as_slice()), None]))),
        ])
        .unwrap()
    }

    #[test]
    fn any_type_of_text_and_number_is_seen() {
        let batch = batch();
        let mut columns = Columns::new(batch.schema());
        let texts = ["large", "view", "size"].map(|name| columns.text(name).unwrap());
        let numbers = ["size", "flag"].map(|name| columns.number(name).unwrap());
        let bytes = columns.length("jpg").unwrap();
        let view = columns.view(&batch).unwrap();
        assert_eq!(texts.map(|column| text_of(view.texts(column), 0)), ["a", "b", "7"]);
        assert_eq!(texts.map(|column| text_of(view.texts(column), 1)), ["", "", ""]);
        assert_eq!(numbers.map(|column| view.numbers(column).value(0)), [7.0, 1.0]);
        assert_eq!(view.numbers(bytes).iter().collect::<Vec<_>>(), [Some(5.0), None]);
        assert_eq!(columns.names().collect::<Vec<_>>(), ["large", "view", "size", "size", "flag", "jpg"]);
    }

    #[test]
    fn a_column_of_another_kind_or_none_is_told() {
        let mut columns = Columns::new(batch().schema());
        assert!(matches!(columns.number("clip"), Err(Trouble::Absent(name)) if name == "clip"));
        assert!(matches!(columns.number("large"), Err(Trouble::Wrong(_))));
        assert!(matches!(columns.length("size"), Err(Trouble::Wrong(_))));
        assert_eq!(columns.text("view").unwrap(), columns.text("view").unwrap());
    }
}
