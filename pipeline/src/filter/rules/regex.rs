//! `regex`: regular expressions that a text must or must not match.

use std::fmt;

use regex::Regex;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Site, Trouble, bad_texts};
use crate::filter::judge::Catcher;

/// Keeps rows whose text matches `require` somewhere and `refuse` nowhere; a null is the empty text. The syntax is that
/// of the crate `regex`: linear time, so that no pattern can hang.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegexRule {
    /// Column of the text; by default that of the captions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// What must be found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require: Option<Pattern>,
    /// What must not be found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refuse: Option<Pattern>,
}

/// A regular expression; a wrong one is an error of the config.
#[derive(Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// # Errors
    /// What is wrong with the expression.
    pub fn new(pattern: &str) -> Result<Self, String> {
        // The last line of the message says what is wrong, those before it draw the place.
        let brief = |error: regex::Error| {
            let text = error.to_string();
            text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        };
        Regex::new(pattern).map(Self).map_err(brief)
    }
}

impl RegexRule {
    pub(super) fn catcher(&self, site: &mut Site<'_>) -> Result<Catcher, Trouble> {
        if self.require.is_none() && self.refuse.is_none() {
            return Err(Trouble::Wrong("give require, refuse or both".to_owned()));
        }
        let (require, refuse) = (self.require.clone(), self.refuse.clone());
        let lacks = move |text: &str| require.as_ref().is_some_and(|pattern| !pattern.0.is_match(text));
        let has = move |text: &str| refuse.as_ref().is_some_and(|pattern| pattern.0.is_match(text));
        let column = site.caption_or(self.column.as_deref())?;
        Ok(bad_texts(column, move |text| lacks(text) || has(text)))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pattern = String::deserialize(deserializer)?;
        Self::new(&pattern).map_err(|why| D::Error::custom(format!("not a regular expression: {why}")))
    }
}

#[cfg(test)]
mod tests {
    use crate::filter::rules::testing::{caught, refused, texts};

    #[test]
    fn what_is_required_must_be_there_and_what_is_refused_must_not() {
        let table = texts(&[
            ("caption", &[Some("a red cat"), Some("a cat, 3 kg"), Some("dog"), None]),
            ("url", &[Some("http://h/a.svg"), Some("http://h/b.jpg"), Some("http://h/c.SVG?x"), None]),
        ]);
        assert_eq!(caught("kind = \"regex\"\nrequire = \"cat\"\nrefuse = '\\d'", &table), [1, 2, 3]);
        let svg = "kind = \"regex\"\ncolumn = \"url\"\nrefuse = '(?i)\\.svg\\b'";
        assert_eq!(caught(svg, &table), [0, 2]);
        assert!(refused("kind = \"regex\"", &table).contains("give require, refuse or both"));
    }
}
