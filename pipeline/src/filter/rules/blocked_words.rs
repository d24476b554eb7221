//! `blocked-words`: words and phrases that are not wanted in a text.

use std::path::PathBuf;

use aho_corasick::AhoCorasick;
use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

use super::list::entries;
use super::{Site, Trouble, bad_texts};
use crate::filter::judge::Catcher;

/// Removes rows whose text has one of the words or phrases, as whole words, in whatever case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BlockedWords {
    /// Words and phrases.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
    /// A file with more of them, one a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Column of the text; by default that of the captions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
}

impl BlockedWords {
    pub(super) fn catcher(&self, site: &mut Site<'_>) -> Result<Catcher, Trouble> {
        let words: Vec<String> =
            entries(&self.words, self.file.as_deref())?.iter().map(|word| folded(word)).collect();
        let wrong = |e: aho_corasick::BuildError| Trouble::Wrong(format!("the list is too long: {e}"));
        let found = AhoCorasick::new(&words).map_err(wrong)?;
        let column = site.caption_or(self.column.as_deref())?;
        Ok(bad_texts(column, move |text| {
            let text = folded(text);
            found.find_overlapping_iter(&text).any(|word| is_whole(&text, word.start(), word.end()))
        }))
    }
}

/// Without case: two rounds make `ẞ`, `ß` and `SS` one.
fn folded(text: &str) -> String {
    match text.is_ascii() {
        true => text.to_ascii_lowercase(),
        false => text.to_lowercase().to_uppercase().to_lowercase(),
    }
}

/// Whether words begin and end there (UAX #29, where each Chinese or Japanese character is a word).
fn is_whole(text: &str, start: usize, end: usize) -> bool {
    let bound = |place: usize| {
        place == text.len() || text.split_word_bound_indices().any(|(bound, _)| bound == place)
    };
    bound(start) && bound(end)
}

#[cfg(test)]
mod tests {
    use crate::filter::rules::testing::{captions, caught};

    #[test]
    fn whole_words_and_phrases_are_caught_in_any_case() {
        let table = captions(&[
            Some("Buy NOW: cheap cats"),
            Some("a snow cat, unbuyable"),
            Some("Скачать бесплатно!"),
            Some("СКАЧАТЬ  БЕСПЛАТНО"),
            Some("ein STRASSENKATER, Straße"),
            Some("かわいい猫の写真"),
            Some("buy-now"),
            None,
        ]);
        let rule = |words: &str| caught(&format!("kind = \"blocked-words\"\nwords = [{words}]"), &table);
        assert_eq!(rule("\"now\""), [0, 6]);
        assert_eq!(rule("\"buy now\""), [0]);
        assert_eq!(rule("\"скачать бесплатно\""), [2]);
        assert_eq!(rule("\"STRASSE\""), [4]);
        assert_eq!(rule("\"猫\", \"snow\""), [1, 5]);
    }
}
