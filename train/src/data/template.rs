//! Texts made of the columns of a row.

use serde::{Deserialize, Serialize};
use tokenize::tokens::{TokenRow, Value};

use crate::{Error, Result};

/// The caption, which every token shard has.
const CAPTION: &str = "caption";

/// Words with columns in braces: `"{context} {question}"`. `{caption}` is the caption, other names are columns that
/// `tokenize shards --columns` passed through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    source: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Words(String),
    Column(String),
}

impl Template {
    /// Takes a template apart.
    ///
    /// # Errors
    /// A brace without its partner, or nothing between the two.
    pub fn new(source: &str) -> Result<Self> {
        let fault = |why: &str| Error::config(format!("{source:?}: {why}"));
        let (mut pieces, mut rest) = (Vec::new(), source);
        while let Some(at) = rest.find(['{', '}']) {
            let (words, from) = rest.split_at(at);
            let inside = from.strip_prefix('{').ok_or_else(|| fault("a `}` without `{`"))?;
            let (column, after) = inside.split_once('}').ok_or_else(|| fault("a `{` without `}`"))?;
            if column.trim().is_empty() || column.contains('{') {
                return Err(fault("between braces stands the name of a column"));
            }
            pieces.extend((!words.is_empty()).then(|| Piece::Words(words.to_owned())));
            pieces.push(Piece::Column(column.trim().to_owned()));
            rest = after;
        }
        pieces.extend((!rest.is_empty()).then(|| Piece::Words(rest.to_owned())));
        Ok(Self { source: source.to_owned(), pieces })
    }

    /// The caption alone, whose ids a shard holds.
    #[must_use]
    pub fn caption() -> Self {
        Self::of_columns(&[CAPTION])
    }

    /// Columns with a space between them.
    #[must_use]
    pub fn of_columns(names: &[&str]) -> Self {
        let source = names.iter().map(|name| format!("{{{name}}}")).collect::<Vec<_>>().join(" ");
        let piece = |(index, name): (usize, &&str)| {
            let space = (index > 0).then(|| Piece::Words(" ".to_owned()));
            space.into_iter().chain([Piece::Column((*name).to_owned())])
        };
        Self { source, pieces: names.iter().enumerate().flat_map(piece).collect() }
    }

    /// Whether it is [`Template::caption`].
    #[must_use]
    pub fn is_caption(&self) -> bool {
        matches!(self.pieces.as_slice(), [Piece::Column(column)] if column == CAPTION)
    }

    /// The text, where it is the same for every row.
    #[must_use]
    pub fn constant(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Words(words)] => Some(words),
            _ => None,
        }
    }

    /// The columns that it asks for beside the caption.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let column = |piece: &'_ Piece| matches!(piece, Piece::Column(column) if column != CAPTION);
        self.pieces.iter().filter(move |piece| column(piece)).map(|piece| match piece {
            Piece::Words(text) | Piece::Column(text) => text.as_str(),
        })
    }

    /// The text of a row; `None` where it lacks one of the columns.
    #[must_use]
    pub fn fill(&self, row: &TokenRow) -> Option<String> {
        let piece = |piece: &Piece| match piece {
            Piece::Words(words) => Some(words.clone()),
            Piece::Column(column) if column == CAPTION => row.caption.clone(),
            Piece::Column(column) => spelled(row.extra.get(column)?),
        };
        self.pieces.iter().map(piece).collect()
    }
}

/// A value as words; a vector has none.
fn spelled(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Int(value) => Some(value.to_string()),
        Value::UInt(value) => Some(value.to_string()),
        Value::Float(value) => Some(value.to_string()),
        Value::Floats(_) => None,
    }
}

impl TryFrom<String> for Template {
    type Error = Error;

    fn try_from(source: String) -> Result<Self> {
        Self::new(&source)
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.source
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> TokenRow {
        let extra = [("question", Value::from("сколько?")), ("answer", Value::Int(7))];
        TokenRow {
            caption: Some("a cat".into()),
            extra: extra.map(|(name, value)| (name.to_owned(), value)).into(),
            ..TokenRow::default()
        }
    }

    #[test]
    fn columns_are_filled_in_and_a_row_without_one_has_no_text() {
        let fill = |source: &str| Template::new(source).unwrap().fill(&row());
        assert_eq!(fill("{caption}. {question}").as_deref(), Some("a cat. сколько?"));
        assert_eq!(fill("= { answer }").as_deref(), Some("= 7"));
        assert_eq!((fill("").as_deref(), fill("{context} {question}")), (Some(""), None));
        let template = Template::new("{caption}: {question} {answer}").unwrap();
        assert_eq!(template.columns().collect::<Vec<_>>(), ["question", "answer"]);
    }

    #[test]
    fn what_is_the_same_for_every_row_and_what_lies_in_the_shard_are_told_apart() {
        let template = |source| Template::new(source).unwrap();
        assert!(template("{caption}").is_caption() && !template("a {caption}").is_caption());
        assert_eq!(
            (template("на картинке").constant(), template("").constant()),
            (Some("на картинке"), Some(""))
        );
        assert_eq!((template("{a}").constant(), Template::caption()), (None, template("{caption}")));
        assert_eq!(Template::of_columns(&["a", "b"]), template("{a} {b}"));
        assert_eq!(Template::of_columns(&[]), template(""));
    }

    #[test]
    fn braces_without_a_partner_are_refused() {
        for (source, why) in
            [("a } b", "without `{`"), ("{a", "without `}`"), ("{}", "name"), ("{{a}}", "name")]
        {
            let error = Template::new(source).unwrap_err().to_string();
            assert!(error.contains(why), "{source}: {error}");
        }
        assert!(toml::from_str::<std::collections::BTreeMap<String, Template>>("t = '{'").is_err());
    }
}
