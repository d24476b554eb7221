//! Classes from a column of the shards.

use std::path::Path;

use tokenize::shard_list;
use tokenize::tokens::{TokenReader, Value};

use crate::data::Where;
use crate::{Error, Result};

/// The labels of the rows that `filter` takes and that have a picture, in the order of
/// [`Tokens::load`](crate::data::Tokens::load).
///
/// # Errors
/// A shard without the column, and a row whose value is absent or no label.
pub(crate) fn labels(path: &Path, filter: &Where, column: &str) -> Result<Vec<String>> {
    let mut labels = Vec::new();
    for shard in shard_list::list(path)? {
        let reader = TokenReader::open(&shard)?;
        let known: Vec<_> = reader.extra_columns().iter().map(|column| column.name.clone()).collect();
        if !known.iter().any(|name| name == column) {
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let why = format!("no column `{column}` with the class; extra columns: {known}");
            return Err(Error::data(&shard, why)
                .with_hint(format!("make the shards with `tokenize shards --columns {column}`")));
        }
        for row in reader {
            let row = row?;
            if row.codes.is_none() || !filter.takes(&row) {
                continue;
            }
            let label = row.extra.get(column).and_then(spelling);
            labels.push(label.ok_or_else(|| {
                Error::data(&shard, format!("row {}: column `{column}` holds no class label", row.key))
            })?);
        }
    }
    Ok(labels)
}

fn spelling(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Int(value) => Some(value.to_string()),
        Value::UInt(value) => Some(value.to_string()),
        Value::Float(_) | Value::Floats(_) => None,
    }
}

/// The classes of a training set, numbers in their order and other names in that of the alphabet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Classes {
    names: Vec<String>,
}

impl Classes {
    /// The different ones of some labels.
    pub(crate) fn of(labels: &[String]) -> Self {
        let mut names = labels.to_vec();
        names.sort_by(|a, b| match (a.parse::<i64>(), b.parse::<i64>()) {
            (Ok(a), Ok(b)) => a.cmp(&b),
            _ => a.cmp(b),
        });
        names.dedup();
        Self { names }
    }

    /// Their names.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Number of classes.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// Labels as numbers of classes.
    ///
    /// # Errors
    /// A label that no training row has.
    pub(crate) fn numbers(&self, labels: &[String]) -> Result<Vec<usize>> {
        let number = |label: &String| {
            self.names.iter().position(|name| name == label).ok_or_else(|| {
                Error::config(format!("label {label:?}: held-out rows have it and no training row"))
            })
        };
        labels.iter().map(number).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_have_their_order() {
        let of = |labels: &[&str]| Classes::of(&labels.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["10", "9", "2", "9"]).names(), ["2", "9", "10"]);
        let classes = of(&["shoe", "bag", "shoe"]);
        assert_eq!(classes.numbers(&["shoe".into(), "bag".into()]).unwrap(), [1, 0]);
        assert!(classes.numbers(&["hat".into()]).unwrap_err().to_string().contains("\"hat\""));
    }
}
