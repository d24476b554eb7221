//! `characters`: length of a text in characters (Unicode code points, as Python's `len` counts them).

use serde::{Deserialize, Serialize};

use super::bounds::{Bounds, count};
use super::{Site, Trouble, bad_texts};
use crate::filter::judge::Catcher;

/// Keeps rows whose text has between `min` and `max` characters; a null has none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Characters {
    /// Characters that it must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<u64>,
    /// Characters that it may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
    /// Column of the text; by default that of the captions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
}

impl Characters {
    pub(super) fn catcher(&self, site: &mut Site<'_>) -> Result<Catcher, Trouble> {
        let bounds = Bounds::new(count(self.min), count(self.max))?;
        let column = site.caption_or(self.column.as_deref())?;
        Ok(bad_texts(column, move |text| !bounds.holds(text.chars().count() as f64)))
    }
}

#[cfg(test)]
mod tests {
    use crate::filter::rules::testing::{captions, caught};

    #[test]
    fn characters_are_no_bytes() {
        let table = captions(&[Some("кот"), Some("котик"), Some("cat"), Some("a tall cat"), None]);
        assert_eq!(caught("kind = \"characters\"\nmin = 5", &table), [0, 2, 4]);
        assert_eq!(caught("kind = \"characters\"\nmax = 5", &table), [3]);
    }
}
