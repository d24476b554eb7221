//! Columns passed through from the pairs, each with its own type.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, FixedSizeListBuilder, ListBuilder, PrimitiveArray,
    PrimitiveBuilder, StringArray,
};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Field, Float16Type, Float32Type, Float64Type, Int64Type, UInt64Type,
};
use serde::Serialize;

use super::schema::element;

/// A value of a column passed through.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A string.
    Text(String),
    /// A truth value.
    Bool(bool),
    /// An integer of up to 64 bits with a sign.
    Int(i64),
    /// An integer of up to 64 bits without one.
    UInt(u64),
    /// A number with a fraction, of up to 64 bits.
    Float(f64),
    /// A vector, for example a CLIP embedding; a null in it is NaN.
    Floats(Vec<f32>),
}

impl Value {
    /// The string, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The integer, if it is one that 64 bits with a sign hold: a class label.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            Self::UInt(value) => i64::try_from(*value).ok(),
            _ => None,
        }
    }

    /// The vector, if it is one.
    pub fn as_floats(&self) -> Option<&[f32]> {
        match self {
            Self::Floats(values) => Some(values),
            _ => None,
        }
    }

    /// Whether its usual spelling is `text`: what `where = { split = "train", label = "7" }` compares.
    pub fn is(&self, text: &str) -> bool {
        match self {
            Self::Text(own) => own == text,
            Self::Bool(own) => text.parse() == Ok(*own),
            Self::Int(own) => text.parse() == Ok(*own),
            Self::UInt(own) => text.parse() == Ok(*own),
            Self::Float(own) => text.parse() == Ok(*own),
            Self::Floats(_) => false,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// Name and type of a column passed through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The name.
    pub name: String,
    kind: DataType,
}

impl Column {
    /// A column of strings.
    pub fn text(name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: DataType::Utf8 }
    }

    /// A column of integers of 64 bits with a sign.
    pub fn int(name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: DataType::Int64 }
    }

    /// A column of integers of 64 bits without one.
    pub fn uint(name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: DataType::UInt64 }
    }

    /// A column of numbers of 64 bits with a fraction.
    pub fn float(name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: DataType::Float64 }
    }

    /// A column like `field`, in the plainest spelling of its type: `LargeUtf8` and dictionaries of strings become `Utf8`.
    ///
    /// # Errors
    /// A type that token shards do not pass through, in words.
    pub fn of(field: &Field) -> Result<Self, String> {
        let kind = plain(field.data_type()).ok_or_else(|| {
            format!(
                "{} is of type {}; strings, numbers, bools and lists of f16 or f32 are passed through",
                field.name(),
                field.data_type()
            )
        })?;
        Ok(Self { name: field.name().clone(), kind })
    }

    /// The Arrow field.
    pub fn field(&self) -> Field {
        Field::new(&self.name, self.kind.clone(), true)
    }

    /// `array`, of a type from which [`Column::of`] made this column, in this column's type.
    ///
    /// # Errors
    /// Arrow's words for what does not fit.
    pub fn plain(&self, array: &ArrayRef) -> Result<ArrayRef, String> {
        match &self.kind {
            // Lists keep the name of their inner field and its nulls, which a cast would trip over.
            DataType::List(_) | DataType::FixedSizeList(..) => Ok(Arc::clone(array)),
            kind => cast(array, kind).map_err(|error| format!("column {}: {error}", self.name)),
        }
    }

    /// The value in `row` of an array that [`Column::plain`] gave or that was read from a token shard.
    pub fn value(&self, array: &ArrayRef, row: usize) -> Option<Value> {
        if array.is_null(row) {
            return None;
        }
        Some(match array.data_type() {
            DataType::Utf8 => Value::Text(array.as_string_opt::<i32>()?.value(row).to_owned()),
            DataType::Boolean => Value::Bool(array.as_boolean_opt()?.value(row)),
            DataType::List(_) => Value::Floats(floats(&array.as_list_opt::<i32>()?.value(row))?),
            DataType::LargeList(_) => Value::Floats(floats(&array.as_list_opt::<i64>()?.value(row))?),
            DataType::FixedSizeList(..) => {
                Value::Floats(floats(&array.as_fixed_size_list_opt()?.value(row))?)
            }
            kind if kind.is_signed_integer() => Value::Int(number::<Int64Type>(array, row)?),
            kind if kind.is_unsigned_integer() => Value::UInt(number::<UInt64Type>(array, row)?),
            kind if kind.is_floating() => Value::Float(number::<Float64Type>(array, row)?),
            _ => return None,
        })
    }

    /// The values as an array of the column's type.
    ///
    /// # Errors
    /// A value of another type or length, in words.
    pub(super) fn array<'a>(
        &self,
        values: impl Iterator<Item = Option<&'a Value>> + Clone,
    ) -> Result<ArrayRef, String> {
        if let Some(wrong) = values.clone().flatten().find(|value| !self.fits(value)) {
            return Err(format!("column {} of type {} cannot hold {wrong:?}", self.name, self.kind));
        }
        Ok(match &self.kind {
            DataType::Utf8 => Arc::new(values.map(|v| v.and_then(Value::as_text)).collect::<StringArray>()),
            DataType::Boolean => Arc::new(values.map(boolean).collect::<BooleanArray>()),
            DataType::List(inner) => list(values, inner.data_type()),
            DataType::FixedSizeList(inner, length) => fixed(values, inner.data_type(), *length),
            kind => {
                let wide: ArrayRef = if kind.is_signed_integer() {
                    Arc::new(values.map(|v| v.and_then(Value::as_int)).collect::<PrimitiveArray<Int64Type>>())
                } else if kind.is_unsigned_integer() {
                    Arc::new(values.map(unsigned).collect::<PrimitiveArray<UInt64Type>>())
                } else {
                    Arc::new(values.map(float).collect::<PrimitiveArray<Float64Type>>())
                };
                cast(&wide, kind).map_err(|error| format!("column {}: {error}", self.name))?
            }
        })
    }

    fn fits(&self, value: &Value) -> bool {
        match (value, &self.kind) {
            (Value::Text(_), DataType::Utf8)
            | (Value::Bool(_), DataType::Boolean)
            | (Value::Floats(_), DataType::List(_)) => true,
            (Value::Floats(values), DataType::FixedSizeList(_, length)) => {
                i32::try_from(values.len()) == Ok(*length)
            }
            (Value::Int(_), kind) => kind.is_signed_integer(),
            (Value::UInt(_), kind) => kind.is_unsigned_integer(),
            (Value::Float(_), kind) => kind.is_floating(),
            _ => false,
        }
    }
}

/// The type in which a column is stored; `None` for what is not passed through.
fn plain(kind: &DataType) -> Option<DataType> {
    let small = |inner: &DataType| matches!(inner, DataType::Float16 | DataType::Float32);
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(DataType::Utf8),
        DataType::Dictionary(_, values) => plain(values),
        DataType::Boolean => Some(DataType::Boolean),
        DataType::List(inner) | DataType::LargeList(inner) if small(inner.data_type()) => {
            Some(DataType::List(element(inner.data_type().clone())))
        }
        DataType::FixedSizeList(inner, length) if *length > 0 && small(inner.data_type()) => {
            Some(DataType::FixedSizeList(element(inner.data_type().clone()), *length))
        }
        kind if kind.is_integer() || kind.is_floating() => Some(kind.clone()),
        _ => None,
    }
}

fn number<T: ArrowPrimitiveType>(array: &ArrayRef, row: usize) -> Option<T::Native> {
    let one = cast(&array.slice(row, 1), &T::DATA_TYPE).ok()?;
    Some(one.as_primitive_opt::<T>()?.value(0))
}

fn floats(values: &ArrayRef) -> Option<Vec<f32>> {
    let values = cast(values, &DataType::Float32).ok()?;
    let values = values.as_primitive_opt::<Float32Type>()?;
    Some(values.iter().map(|value| value.unwrap_or(f32::NAN)).collect())
}

fn boolean(value: Option<&Value>) -> Option<bool> {
    match value {
        Some(Value::Bool(value)) => Some(*value),
        _ => None,
    }
}

fn unsigned(value: Option<&Value>) -> Option<u64> {
    match value {
        Some(Value::UInt(value)) => Some(*value),
        _ => None,
    }
}

fn float(value: Option<&Value>) -> Option<f64> {
    match value {
        Some(Value::Float(value)) => Some(*value),
        _ => None,
    }
}

fn list<'a>(values: impl Iterator<Item = Option<&'a Value>>, inner: &DataType) -> ArrayRef {
    fn build<'a, T: ArrowPrimitiveType>(
        values: impl Iterator<Item = Option<&'a Value>>,
        narrow: impl Fn(f32) -> T::Native,
    ) -> ArrayRef {
        let mut builder = ListBuilder::new(PrimitiveBuilder::<T>::new()).with_field(element(T::DATA_TYPE));
        for value in values {
            let found = value.and_then(Value::as_floats);
            found.into_iter().flatten().for_each(|value| builder.values().append_value(narrow(*value)));
            builder.append(found.is_some());
        }
        Arc::new(builder.finish())
    }
    match inner {
        DataType::Float16 => build::<Float16Type>(values, half),
        _ => build::<Float32Type>(values, |value| value),
    }
}

fn fixed<'a>(values: impl Iterator<Item = Option<&'a Value>>, inner: &DataType, length: i32) -> ArrayRef {
    fn build<'a, T: ArrowPrimitiveType>(
        values: impl Iterator<Item = Option<&'a Value>>,
        length: i32,
        narrow: impl Fn(f32) -> T::Native,
    ) -> ArrayRef {
        let field = element(T::DATA_TYPE);
        let inner = PrimitiveBuilder::<T>::new();
        let mut builder = FixedSizeListBuilder::new(inner, length).with_field(field);
        for value in values {
            let found = value.and_then(Value::as_floats);
            // A null list still has slots in Arrow; Parquet does not store them.
            for place in 0..usize::try_from(length).unwrap_or_default() {
                let value = found.and_then(|found| found.get(place)).copied().unwrap_or_default();
                builder.values().append_value(narrow(value));
            }
            builder.append(found.is_some());
        }
        Arc::new(builder.finish())
    }
    match inner {
        DataType::Float16 => build::<Float16Type>(values, length, half),
        _ => build::<Float32Type>(values, length, |value| value),
    }
}

fn half(value: f32) -> <Float16Type as ArrowPrimitiveType>::Native {
    <<Float16Type as ArrowPrimitiveType>::Native>::from_f32(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(kind: DataType) -> Column {
        Column::of(&Field::new("x", kind, true)).unwrap()
    }

    #[test]
    fn every_type_gives_its_values_back() {
        let item = |kind| Arc::new(Field::new("item", kind, true));
        let cases = [
            (DataType::LargeUtf8, Value::Text("красный".into())),
            (DataType::Boolean, Value::Bool(true)),
            (DataType::Int8, Value::Int(-7)),
            (DataType::Int64, Value::Int(i64::MIN)),
            (DataType::UInt64, Value::UInt(u64::MAX)),
            (DataType::Float32, Value::Float(0.25)),
            (DataType::Float64, Value::Float(0.1)),
            (DataType::List(item(DataType::Float16)), Value::Floats(vec![0.5, -2.0])),
            (DataType::FixedSizeList(item(DataType::Float32), 3), Value::Floats(vec![0.1, 0.2, 0.3])),
        ];
        for (kind, value) in cases {
            let column = column(kind);
            let values = [Some(&value), None, Some(&value)];
            let array = column.array(values.into_iter()).unwrap();
            assert_eq!(array.data_type(), column.field().data_type());
            let read: Vec<_> = (0..3).map(|row| column.value(&array, row)).collect();
            assert_eq!(read.iter().map(Option::as_ref).collect::<Vec<_>>(), values);
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let vector = Field::new("v", DataType::Struct(Vec::<Field>::new().into()), true);
        assert!(Column::of(&vector).unwrap_err().starts_with("v is of type Struct"));
        let inner = Arc::new(Field::new("item", DataType::Float32, true));
        let column = column(DataType::FixedSizeList(inner, 2));
        let short = Value::Floats(vec![1.0]);
        let error = column.array([Some(&short)].into_iter()).unwrap_err();
        assert_eq!(error.matches("cannot hold Floats([1.0])").count(), 1, "{error}");
        assert!(Column::text("t").array([Some(&Value::Int(1))].into_iter()).is_err());
    }

    #[test]
    fn values_are_chosen_by_their_spelling() {
        assert!(Value::Int(7).is("7") && Value::from("a").is("a") && Value::Bool(true).is("true"));
        assert!(Value::Float(0.5).is("0.50") && !Value::Int(7).is("7.0") && !Value::Floats(vec![]).is(""));
    }
}
