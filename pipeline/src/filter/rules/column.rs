//! `column`: any column of numbers, such as a CLIP score or the probability of a watermark.

use serde::{Deserialize, Serialize};

use super::{Nulls, Site, Trouble, bad_numbers};
use crate::filter::judge::Catcher;

/// Keeps rows whose number passes all comparisons that are given; truth is 1, NaN passes none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ColumnRule {
    /// The column; of several the first that the table has.
    pub column: OneOrMany,
    /// At least this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// At most this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// More than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
    /// Less than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
    /// Rows without a number.
    pub nulls: Nulls,
}

/// `"clip_score"` or `["clip_score", "similarity"]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One name.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Default for OneOrMany {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl OneOrMany {
    fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names,
        }
    }
}

impl ColumnRule {
    pub(super) fn catcher(&self, site: &mut Site<'_>) -> Result<Catcher, Trouble> {
        let &Self { min, max, above, below, nulls, .. } = self;
        let names = self.column.names();
        let there = names.iter().find(|name| site.columns.field(name).is_some());
        let name =
            there.or(names.first()).ok_or_else(|| Trouble::Wrong("give the name of a column".into()))?;
        if [min, max, above, below].iter().all(Option::is_none) {
            return Err(Trouble::Wrong("give min, max, above or below".into()));
        }
        let good = move |n: f64| {
            min.is_none_or(|min| n >= min)
                && max.is_none_or(|max| n <= max)
                && above.is_none_or(|above| n > above)
                && below.is_none_or(|below| n < below)
        };
        Ok(bad_numbers([site.columns.number(name)?], nulls, move |[n]| !good(n)))
    }
}

#[cfg(test)]
mod tests {
    use crate::filter::rules::testing::{caught, numbers, refused};

    #[test]
    fn ends_are_inside_or_outside_as_they_are_called() {
        let table = numbers(&[("clip", &[Some(0.27), Some(0.28), Some(0.29), None, Some(f64::NAN)])]);
        let rule = |keys: &str| caught(&format!("kind = \"column\"\ncolumn = \"clip\"\n{keys}"), &table);
        assert_eq!(rule("min = 0.28"), [0, 3, 4]);
        assert_eq!(rule("above = 0.28"), [0, 1, 3, 4]);
        assert_eq!(rule("max = 0.28\nnulls = \"keep\""), [2, 4]);
        assert_eq!(rule("below = 0.28\nnulls = \"keep\""), [1, 2, 4]);
        assert_eq!(rule("min = 0.28\nbelow = 0.29"), [0, 2, 3, 4]);
    }

    #[test]
    fn the_first_name_that_is_there_counts_and_the_first_is_missed() {
        let table = numbers(&[("similarity", &[Some(0.1), Some(0.5)])]);
        let names = |names: &str| format!("kind = \"column\"\ncolumn = {names}\nmin = 0.3");
        assert_eq!(caught(&names("[\"clip_score\", \"similarity\"]"), &table), [0]);
        let error = refused(&names("[\"clip_score\", \"clip\"]"), &table);
        assert!(error.contains("no column `clip_score` in x.parquet; there are: similarity"), "{error}");
        assert!(refused("kind = \"column\"\nmin = 1", &table).contains("name of a column"));
        assert!(refused("kind = \"column\"\ncolumn = \"similarity\"", &table).contains("give min, max"));
    }
}
