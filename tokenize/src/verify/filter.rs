//! `--where COLUMN=VALUE`: which rows of token shards to look at.

use std::str::FromStr;

use crate::tokens::{Column, TokenRow};

/// Rows whose column has a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The column's name.
    pub column: String,
    /// Its value.
    pub value: String,
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((column, value)) if !column.trim().is_empty() => {
                Ok(Self { column: column.trim().to_owned(), value: value.trim().to_owned() })
            }
            _ => Err("expected COLUMN=VALUE, for example split=test".to_owned()),
        }
    }
}

impl Filter {
    /// Whether the row is meant.
    pub fn accepts(&self, row: &TokenRow) -> bool {
        match self.column.as_str() {
            "key" => row.key == self.value,
            "caption" => row.caption.as_deref() == Some(self.value.as_str()),
            column => row.extra.get(column).is_some_and(|value| value.is(&self.value)),
        }
    }

    /// Whether shards with these passed-through columns can be filtered so.
    pub fn applies_to(&self, extra: &[Column]) -> bool {
        matches!(self.column.as_str(), "key" | "caption")
            || extra.iter().any(|column| column.name == self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Value;

    #[test]
    fn a_row_is_accepted_by_key_caption_or_a_column() {
        let row = TokenRow {
            key: "7".into(),
            extra: [("split".to_owned(), "test".into()), ("label".to_owned(), Value::Int(7))].into(),
            ..TokenRow::default()
        };
        let accepts = |text: &str| text.parse::<Filter>().unwrap().accepts(&row);
        assert!(accepts("split=test") && accepts("key = 7") && accepts("label=7"));
        assert!(!accepts("split=train") && !accepts("caption=") && !accepts("absent=1"));
        assert!("split".parse::<Filter>().is_err() && "=x".parse::<Filter>().is_err());
    }
}
