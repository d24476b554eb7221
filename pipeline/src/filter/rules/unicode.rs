//! `unicode`: rewrites texts so that what looks the same is the same: normal form, spaces, HTML entities.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick, is_nfkc_quick};

use super::{Site, Trouble};
use crate::filter::judge::Work;

/// A normal form (UAX #15).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Composed: `e` and an accent become `é`.
    #[default]
    Nfc,
    /// Compatible and composed: also `ﬁ` becomes `fi`, `①` becomes `1`, full width becomes ordinary.
    Nfkc,
    /// As it is.
    None,
}

/// How often entities are resolved: some pages escape what was escaped.
const ROUNDS: usize = 3;

/// Rewrites texts in this order: HTML entities, normal form, spaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Unicode {
    /// The normal form.
    pub form: Form,
    /// Makes every run of spaces and line breaks one space, none at the ends, and removes control characters, zero-width
    /// spaces and soft hyphens.
    pub spaces: bool,
    /// Resolves `&amp;`, `&#39;` and all other entities of HTML.
    pub entities: bool,
    /// Column of the text; by default that of the captions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
}

impl Default for Unicode {
    /// NFC, with spaces and entities.
    fn default() -> Self {
        Self { form: Form::Nfc, spaces: true, entities: true, column: None }
    }
}

impl Unicode {
    pub(super) fn rewriter(&self, site: &mut Site<'_>) -> Result<Work, Trouble> {
        let column = site.caption_or(self.column.as_deref())?;
        let rule = self.clone();
        Ok(Work::Rewrite(column, Box::new(move |text| rule.rewrite(text))))
    }

    fn rewrite<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        let rounds = if self.entities { ROUNDS } else { 0 };
        for _ in 0..rounds {
            match resolved(&text) {
                Some(resolved) => text = Cow::Owned(resolved),
                None => break,
            }
        }
        if let Some(normal) = normal(&text, self.form) {
            text = Cow::Owned(normal);
        }
        match self.spaces && !is_tidy(&text) {
            true => Cow::Owned(tidy(&text)),
            false => text,
        }
    }
}

/// The text without entities; `None` if it has none. As in an attribute, where `?a=1&copy=2` has none.
fn resolved(text: &str) -> Option<String> {
    match text.contains('&').then(|| htmlize::unescape_attribute(text))? {
        Cow::Owned(resolved) if resolved != text => Some(resolved),
        _ => None,
    }
}

fn normal(text: &str, form: Form) -> Option<String> {
    let normal: String = match form {
        _ if text.is_ascii() => return None,
        Form::Nfc if is_nfc_quick(text.chars()) != IsNormalized::Yes => text.nfc().collect(),
        Form::Nfkc if is_nfkc_quick(text.chars()) != IsNormalized::Yes => text.nfkc().collect(),
        _ => return None,
    };
    (normal != text).then_some(normal)
}

/// Zero-width joiners are no such: Persian words and emoji need them.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}' | '\u{feff}' | '\u{ad}') || (c.is_control() && !c.is_whitespace())
}

fn is_tidy(text: &str) -> bool {
    let mut space = true;
    for c in text.chars() {
        if (c.is_whitespace() && (space || c != ' ')) || is_invisible(c) {
            return false;
        }
        space = c == ' ';
    }
    !space || text.is_empty()
}

fn tidy(text: &str) -> String {
    let visible: String = text.chars().filter(|c| !is_invisible(*c)).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;
    use crate::filter::rules::testing::rewritten;

    #[test]
    fn entities_forms_and_spaces_become_one_spelling() {
        let texts = [
            "Tom &amp;amp; Jerry",
            "caf\u{65}\u{301}",
            " a\u{a0}\n cat\u{ad} ",
            "?a=1&copy=2",
            "x&#39;s ﬁn",
            "ok",
        ];
        let nfc = ["Tom & Jerry", "café", "a cat", "?a=1&copy=2", "x's ﬁn", "ok"];
        assert_eq!(rewritten("kind = \"unicode\"", &texts), nfc);
        assert_eq!(rewritten("kind = \"unicode\"\nform = \"nfkc\"", &["ﬁn ①"]), ["fin 1"]);
        let as_it_is = "kind = \"unicode\"\nform = \"none\"\nspaces = false\nentities = false";
        assert_eq!(rewritten(as_it_is, &texts), texts);
    }

    #[test]
    fn joiners_stay() {
        let texts = ["می\u{200c}خواهم", "👩\u{200d}🚀"];
        assert_eq!(rewritten("kind = \"unicode\"", &texts), texts);
    }

    proptest! {
        #[test]
        fn tidy_texts_are_left_alone_and_tidying_makes_tidy(text in any::<String>()) {
            let once = tidy(&text);
            prop_assert_eq!(is_tidy(&text), once == text);
            prop_assert_eq!(tidy(&once), once);
        }
    }
}
