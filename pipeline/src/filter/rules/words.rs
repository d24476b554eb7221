//! `words`: length of a text in words.

use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

use super::bounds::{Bounds, count};
use super::{Site, Trouble, bad_texts};
use crate::filter::judge::Catcher;

/// What a word is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WordKind {
    /// By Unicode (UAX #29): words of any script, without punctuation; of Chinese and Japanese each character.
    #[default]
    Unicode,
    /// What lies between spaces, as Python's `split` has it.
    Spaced,
}

/// Keeps rows whose text has between `min` and `max` words; a null has none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Words {
    /// Words that it must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<u64>,
    /// Words that it may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
    /// What is counted.
    pub by: WordKind,
    /// Column of the text; by default that of the captions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
}

impl Words {
    pub(super) fn catcher(&self, site: &mut Site<'_>) -> Result<Catcher, Trouble> {
        let bounds = Bounds::new(count(self.min), count(self.max))?;
        let column = site.caption_or(self.column.as_deref())?;
        // No word need be counted beyond those that decide.
        let enough = self.max.map_or(self.min.unwrap_or(0), |max| max.saturating_add(1));
        let enough = usize::try_from(enough).unwrap_or(usize::MAX);
        let by = self.by;
        let words = move |text: &str| match by {
            WordKind::Unicode => text.unicode_words().take(enough).count(),
            WordKind::Spaced => text.split_whitespace().take(enough).count(),
        };
        Ok(bad_texts(column, move |text| !bounds.holds(words(text) as f64)))
    }
}

#[cfg(test)]
mod tests {
    use crate::filter::rules::testing::{captions, caught};

    #[test]
    fn words_are_counted_in_any_script() {
        let table = captions(&[
            Some("a red cat"),
            Some("рыжий кот на крыше"),
            Some("赤い猫"),
            Some("- | -"),
            Some("cat-like"),
            None,
        ]);
        assert_eq!(caught("kind = \"words\"\nmin = 3", &table), [3, 4, 5]);
        assert_eq!(caught("kind = \"words\"\nmin = 3\nby = \"spaced\"", &table), [2, 4, 5]);
        assert_eq!(caught("kind = \"words\"\nmax = 3", &table), [1]);
    }
}
