//! Which rows of a shard count.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tokenize::tokens::{REASON, TokenRow};

/// Which rows count: for each extra column the values that are taken. Empty takes every row.
///
/// ```toml
/// where = { split = ["train"] }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Where(pub BTreeMap<String, Values>);

/// One value or a list of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Values {
    /// The column must be this.
    One(String),
    /// The column must be one of these.
    Any(Vec<String>),
}

impl Where {
    /// Whether every row is taken.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.0.is_empty()
    }

    /// Rows whose picture failed are texts without the picture that they describe: they are taken only where the filter
    /// asks for a `reason`.
    pub(crate) fn takes(&self, row: &TokenRow) -> bool {
        if row.reason().is_some() && !self.0.contains_key(REASON) {
            return false;
        }
        self.0.iter().all(|(column, values)| {
            row.extra.get(column).is_some_and(|value| match values {
                Values::One(one) => value.is(one),
                Values::Any(any) => any.iter().any(|one| value.is(one)),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_whose_picture_failed_are_taken_on_request_alone() {
        let failed = TokenRow { extra: [(REASON.into(), "dns".into())].into(), ..TokenRow::default() };
        assert!(!Where::default().takes(&failed));
        let asked: Where = toml::from_str("reason = ['dns', 'decode']").unwrap();
        assert!(asked.takes(&failed) && !asked.takes(&TokenRow::default()));
    }

    #[test]
    fn a_filter_takes_one_value_or_several() {
        let filter: Where = toml::from_str("split = ['train', 'valid']\nlanguage = 'ru'").unwrap();
        let with = |split: &str, language: &str| TokenRow {
            extra: [("split", split), ("language", language)].map(|(k, v)| (k.into(), v.into())).into(),
            ..TokenRow::default()
        };
        assert!(filter.takes(&with("valid", "ru")));
        assert!(!filter.takes(&with("valid", "en")));
        assert!(!filter.takes(&with("test", "ru")));
        assert!(!filter.takes(&TokenRow::default()));
        assert!(Where::default().takes(&TokenRow::default()));
    }
}
