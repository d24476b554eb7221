//! `repeated`: captions that stand at very many pictures, such as a shop's template.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Site, Trouble};
use crate::filter::columns::text_of;
use crate::filter::judge::Catcher;
use crate::filter::repeats::Repeats;

/// Removes rows whose text more than `max` rows of the table have. Case and spaces make no difference. All rows are
/// counted, in a pass of its own over that column before the first row is judged; an empty text is not counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Repeated {
    /// Rows that may have the same text.
    pub max: u64,
    /// Takes all numbers for the same, so that "Picture 1 of 12" is one template with "Picture 2 of 12".
    pub numbers: bool,
    /// Column of the text; by default that of the captions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
}

impl Default for Repeated {
    /// A hundred rows, whatever their numbers.
    fn default() -> Self {
        Self { max: 100, numbers: true, column: None }
    }
}

impl Repeated {
    pub(super) fn catcher(&self, site: &mut Site<'_>) -> Result<Catcher, Trouble> {
        let column = site.caption_or(self.column.as_deref())?;
        let repeats = Arc::new(Repeats::new(column, site.steps.len(), self.max, self.numbers));
        site.repeats.push(Arc::clone(&repeats));
        Ok(Box::new(move |view, rows| {
            let (texts, mut template) = (view.texts(column), String::new());
            let caught = |row: &usize| repeats.is_frequent(text_of(texts, *row), &mut template);
            rows.iter().copied().filter(caught).collect()
        }))
    }
}
