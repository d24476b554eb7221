//! What of a model's output becomes a column.

use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeListBuilder, Float32Builder};
use arrow::datatypes::{DataType, Field};

use super::config::{Activation, Column, Take, TakeWord};
use super::network::Network;
use crate::settings::suggest;
use crate::{Error, Result};

/// A column, held against the model.
pub(super) struct Taken {
    pub(super) column: Column,
    /// Number of the output.
    pub(super) output: usize,
    /// The entries that are taken of it.
    entries: std::ops::Range<usize>,
}

impl Taken {
    /// Finds the output and the entries.
    pub(super) fn of(column: Column, model: &str, network: &Network) -> Result<Self> {
        let wrong = |message: String| Error::config(format!("models.{model}.columns"), message);
        let names: Vec<&str> = network.outputs.iter().map(|(name, _)| name.as_str()).collect();
        let output = match column.output.as_str() {
            "" => (!names.is_empty()).then_some(0),
            wanted => names.iter().position(|name| *name == wanted),
        };
        let Some(output) = output else {
            let message = format!("no output `{}`; there are: {}", column.output, names.join(", "));
            let error = wrong(message);
            return Err(match suggest(&column.output, &names) {
                Some(near) => error.with_hint(format!("did you mean output = \"{near}\"?")),
                None => error,
            });
        };
        let (name, length) = &network.outputs[output];
        let entries = match column.take {
            Take::Word(TakeWord::Vector) if *length > 0 => 0..*length,
            Take::Word(TakeWord::Scalar) if *length == 1 => 0..1,
            Take::Index(index) if index < *length => index..index + 1,
            Take::Word(_) => {
                let message = format!("output `{name}` has {length} numbers for a row");
                return Err(
                    wrong(message).with_hint("take = \"vector\", or the number of an entry: take = 1")
                );
            }
            Take::Index(index) => {
                return Err(wrong(format!(
                    "output `{name}` has {length} numbers for a row, and none of number {index}"
                )));
            }
        };
        Ok(Self { column, output, entries })
    }

    /// Whether it is the column of vectors of that name.
    pub(super) fn is_vector(&self, name: &str) -> bool {
        self.column.name == name && self.column.take == Take::Word(TakeWord::Vector)
    }

    /// The column as it is stored: a number, or a list of a fixed size.
    pub(super) fn field(&self) -> Field {
        Field::new(&self.column.name, self.kind(), true)
    }

    fn kind(&self) -> DataType {
        match self.column.take {
            Take::Word(TakeWord::Vector) => {
                let item = Field::new_list_field(DataType::Float32, true);
                DataType::FixedSizeList(Arc::new(item), i32::try_from(self.entries.len()).unwrap_or(i32::MAX))
            }
            _ => DataType::Float32,
        }
    }

    /// The column of so many rows, of which `values` has some, in order, each with the whole output.
    pub(super) fn array<'a>(
        &self,
        rows: usize,
        values: impl Iterator<Item = (usize, &'a [f32])>,
    ) -> ArrayRef {
        let mut values = values.peekable();
        let mut row_values = |row: usize| {
            let (_, output) = values.next_if(|(at, _)| *at == row)?;
            Some(self.column.activation.of(output)[self.entries.clone()].to_vec())
        };
        match self.kind() {
            DataType::FixedSizeList(_, length) => {
                let mut list = FixedSizeListBuilder::new(Float32Builder::new(), length);
                for row in 0..rows {
                    match row_values(row) {
                        Some(vector) => {
                            list.values().append_slice(&vector);
                            list.append(true);
                        }
                        None => {
                            list.values().append_nulls(self.entries.len());
                            list.append(false);
                        }
                    }
                }
                Arc::new(list.finish())
            }
            _ => {
                let mut numbers = Float32Builder::new();
                (0..rows).for_each(|row| {
                    numbers.append_option(row_values(row).and_then(|one| one.first().copied()));
                });
                Arc::new(numbers.finish())
            }
        }
    }
}

impl Activation {
    /// In double precision, so that a large logit is no infinity.
    fn of(self, logits: &[f32]) -> Vec<f32> {
        let wide = || logits.iter().map(|logit| f64::from(*logit));
        match self {
            Self::None => logits.to_vec(),
            Self::Sigmoid => wide().map(|logit| (1.0 / (1.0 + (-logit).exp())) as f32).collect(),
            Self::Softmax => {
                let largest = wide().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = wide().map(|logit| (logit - largest).exp()).sum();
                wide().map(|logit| ((logit - largest).exp() / sum) as f32).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::Float32Type;

    use super::*;

    fn taken(take: Take, entries: std::ops::Range<usize>) -> Taken {
        Taken { column: Column { name: "x".into(), take, ..Column::default() }, output: 0, entries }
    }

    #[test]
    fn rows_without_a_value_are_null() {
        let outputs: [(usize, &[f32]); 2] = [(1, &[1.0, 2.0, 3.0]), (3, &[4.0, 5.0, 6.0])];
        let second = taken(Take::Index(1), 1..2).array(4, outputs.into_iter());
        let second: Vec<_> = second.as_primitive::<Float32Type>().iter().collect();
        assert_eq!(second, [None, Some(2.0), None, Some(5.0)]);
        let all = taken(Take::Word(TakeWord::Vector), 0..3);
        let vectors = all.array(4, outputs.into_iter());
        assert_eq!(vectors.data_type(), all.field().data_type());
        assert_eq!((vectors.null_count(), vectors.is_null(2)), (2, true));
        let last = vectors.as_fixed_size_list().value(3);
        assert_eq!(last.as_primitive::<Float32Type>().values(), &[4.0, 5.0, 6.0]);
    }

    #[test]
    fn logits_become_probabilities() {
        assert_eq!(Activation::Softmax.of(&[1000.0, 1000.0]), [0.5, 0.5]);
        assert_eq!(Activation::Softmax.of(&[0.0, (3.0_f32).ln()]), [0.25, 0.75]);
        assert_eq!(Activation::Sigmoid.of(&[0.0, -1000.0, 1000.0]), [0.5, 0.0, 1.0]);
    }
}
