//! The rules: one file each, with its parameters on top. What is common to them is here.

mod area;
mod aspect;
mod blocked_domains;
mod blocked_words;
mod bounds;
mod bytes;
mod caption_shape;
mod characters;
mod column;
mod language;
mod list;
mod mojibake;
mod regex;
mod repeated;
mod side;
mod status;
mod unicode;
mod words;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::Array;
use serde::{Deserialize, Serialize};

use super::columns::{Columns, Number, Text, text_of};
use super::judge::{Catcher, Step, Turn, Work};
use super::repeats::Repeats;
use crate::settings::suggest;
use crate::{Error, Result};

pub use self::regex::{Pattern, RegexRule};
pub use area::Area;
pub use aspect::Aspect;
pub use blocked_domains::{BlockedDomains, DomainMatch};
pub use blocked_words::BlockedWords;
pub use bytes::Bytes;
pub use caption_shape::{CaptionShape, Shape};
pub use characters::Characters;
pub use column::{ColumnRule, OneOrMany};
pub use language::{Language, Unknown};
pub use mojibake::Mojibake;
pub use repeated::Repeated;
pub use side::{Side, Which};
pub use status::StatusRule;
pub use unicode::{Form, Unicode};
pub use words::{WordKind, Words};

/// One entry of `rules`: a rule, how it is called, and what it does where its column is not there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleEntry {
    /// What stands in the column `dropped_by` and in the funnel; by default the kind, with a number if there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What is done where a column is not in the table.
    #[serde(default, skip_serializing_if = "Missing::is_error")]
    pub missing: Missing,
    /// The rule: its `kind`, then its own keys.
    #[serde(flatten)]
    pub rule: Rule,
}

impl From<Rule> for RuleEntry {
    fn from(rule: Rule) -> Self {
        Self { name: None, missing: Missing::Error, rule }
    }
}

/// What a rule does where the table does not have its column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// The filter does not start: most likely the name is wrong.
    #[default]
    Error,
    /// The rule does nothing, and the funnel says so.
    Keep,
    /// The rule removes every row.
    Drop,
}

impl Missing {
    fn is_error(&self) -> bool {
        *self == Self::Error
    }
}

/// What a rule does with a row whose value is null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nulls {
    /// Removes it: nobody knows whether it is good.
    #[default]
    Drop,
    /// Keeps it.
    Keep,
}

/// All kinds of rules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Rule {
    /// Rows with a picture.
    Status(StatusRule),
    /// The shorter or the longer side in pixels.
    Side(Side),
    /// Width times height.
    Area(Area),
    /// The longer side over the shorter one.
    Aspect(Aspect),
    /// Size of the picture's file.
    Bytes(Bytes),
    /// Length of a text in characters.
    Characters(Characters),
    /// Length of a text in words.
    Words(Words),
    /// Language of a text.
    Language(Language),
    /// A regular expression that a text must or must not match.
    Regex(RegexRule),
    /// Hosts that are not wanted.
    BlockedDomains(BlockedDomains),
    /// Words that are not wanted.
    BlockedWords(BlockedWords),
    /// Captions that are no captions.
    CaptionShape(CaptionShape),
    /// Captions that are on very many pictures.
    Repeated(Repeated),
    /// Rewrites: one spelling of each text.
    Unicode(Unicode),
    /// Rewrites: texts that were read in a wrong encoding.
    Mojibake(Mojibake),
    /// Any column of numbers.
    Column(ColumnRule),
}

/// Why a rule cannot be applied to a table.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The table does not have this column.
    Absent(String),
    /// A key says something impossible.
    Wrong(String),
    /// A file that the rule needs cannot be read.
    Failed(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What rules find when they are made ready for a table, and where they put what they need.
pub(super) struct Site<'a> {
    pub(super) columns: Columns,
    /// Default column of rules for texts.
    pub(super) caption: &'a str,
    /// Default column of rules for addresses.
    pub(super) url: &'a str,
    language_model: Option<&'a Path>,
    /// The rules that are ready.
    pub(super) steps: Vec<Step>,
    /// What is to be counted before rows are judged.
    pub(super) repeats: Vec<Arc<Repeats>>,
}

impl<'a> Site<'a> {
    pub(super) fn new(
        columns: Columns,
        caption: &'a str,
        url: &'a str,
        language_model: Option<&'a Path>,
    ) -> Self {
        Self { columns, caption, url, language_model, steps: Vec::new(), repeats: Vec::new() }
    }

    /// Makes a rule ready; `name` is its name among the others, `shard` for messages.
    pub(super) fn add(&mut self, entry: &RuleEntry, name: String, shard: &str) -> Result<()> {
        let place = || format!("rule `{name}`");
        let work = match (entry.rule.work(self), entry.missing) {
            (Ok(work), _) => work,
            (Err(Trouble::Failed(error)), _) => return Err(error),
            (Err(Trouble::Wrong(message)), _) => return Err(Error::config(place(), message)),
            (Err(Trouble::Absent(column)), Missing::Keep) => Work::Skip(column),
            (Err(Trouble::Absent(_)), Missing::Drop) => Work::CatchAll,
            (Err(Trouble::Absent(column)), Missing::Error) => {
                return Err(absent(place(), &column, &self.columns, shard));
            }
        };
        self.steps.push(Step { name, kind: entry.rule.kind(), turn: entry.rule.turn(), work });
        Ok(())
    }

    /// The named text column, or that of the captions.
    fn caption_or(&mut self, name: Option<&str>) -> Result<Text, Trouble> {
        self.columns.text(name.unwrap_or(self.caption))
    }

    /// Width and height: the named columns, or the first pair that the table has of those of pair shards (before
    /// resizing, then after), DataComp and LAION.
    fn sizes(&mut self, named: Option<&[String; 2]>) -> Result<[Number; 2], Trouble> {
        let usual = [["original_width", "original_height"], ["width", "height"], ["WIDTH", "HEIGHT"]];
        let [width, height] = match named {
            Some([width, height]) => [width.as_str(), height.as_str()],
            None => {
                let there = |names: &&[&str; 2]| names.iter().all(|name| self.columns.field(name).is_some());
                usual.iter().find(there).copied().unwrap_or(usual[1])
            }
        };
        Ok([self.columns.number(width)?, self.columns.number(height)?])
    }
}

impl Rule {
    /// As in the config.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::Side(_) => "side",
            Self::Area(_) => "area",
            Self::Aspect(_) => "aspect",
            Self::Bytes(_) => "bytes",
            Self::Characters(_) => "characters",
            Self::Words(_) => "words",
            Self::Language(_) => "language",
            Self::Regex(_) => "regex",
            Self::BlockedDomains(_) => "blocked-domains",
            Self::BlockedWords(_) => "blocked-words",
            Self::CaptionShape(_) => "caption-shape",
            Self::Repeated(_) => "repeated",
            Self::Unicode(_) => "unicode",
            Self::Mojibake(_) => "mojibake",
            Self::Column(_) => "column",
        }
    }

    /// A file whose content decides what the rule does.
    pub(super) fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::BlockedDomains(rule) => rule.file.as_ref(),
            Self::BlockedWords(rule) => rule.file.as_ref(),
            Self::Language(rule) => rule.model.as_ref(),
            _ => None,
        }
    }

    fn turn(&self) -> Turn {
        match self {
            Self::Status(_) => Turn::Gate,
            Self::Words(_) | Self::Language(_) | Self::Regex(_) | Self::Repeated(_) => Turn::Dear,
            Self::BlockedWords(_) | Self::CaptionShape(_) => Turn::Dear,
            _ => Turn::Cheap,
        }
    }

    fn work(&self, site: &mut Site<'_>) -> Result<Work, Trouble> {
        Ok(Work::Catch(match self {
            Self::Status(rule) => rule.catcher(site)?,
            Self::Side(rule) => rule.catcher(site)?,
            Self::Area(rule) => rule.catcher(site)?,
            Self::Aspect(rule) => rule.catcher(site)?,
            Self::Bytes(rule) => rule.catcher(site)?,
            Self::Characters(rule) => rule.catcher(site)?,
            Self::Words(rule) => rule.catcher(site)?,
            Self::Language(rule) => rule.catcher(site)?,
            Self::Regex(rule) => rule.catcher(site)?,
            Self::BlockedDomains(rule) => rule.catcher(site)?,
            Self::BlockedWords(rule) => rule.catcher(site)?,
            Self::CaptionShape(rule) => rule.catcher(site)?,
            Self::Repeated(rule) => rule.catcher(site)?,
            Self::Column(rule) => rule.catcher(site)?,
            Self::Unicode(rule) => return rule.rewriter(site),
            Self::Mojibake(rule) => return rule.rewriter(site),
        }))
    }
}

fn absent(place: String, column: &str, columns: &Columns, shard: &str) -> Error {
    let known = columns.known();
    let near = suggest(column, &known).map(|near| format!("did you mean `{near}`? "));
    let cure = "missing = \"keep\" leaves the rule out where its column is not there";
    Error::config(place, format!("no column `{column}` in {shard}; there are: {}", known.join(", ")))
        .with_hint(near.unwrap_or_default() + cure)
}

/// Catches the rows whose text is bad; a null is the empty text.
fn bad_texts(column: Text, bad: impl Fn(&str) -> bool + Send + Sync + 'static) -> Catcher {
    Box::new(move |view, rows| {
        let texts = view.texts(column);
        rows.iter().copied().filter(|row| bad(text_of(texts, *row))).collect()
    })
}

/// Catches the rows whose numbers are bad, and those with a null among them, unless they are to be kept.
fn bad_numbers<const N: usize>(
    columns: [Number; N],
    nulls: Nulls,
    bad: impl Fn([f64; N]) -> bool + Send + Sync + 'static,
) -> Catcher {
    Box::new(move |view, rows| {
        let numbers = columns.map(|column| view.numbers(column));
        let caught = |row: &usize| match numbers.iter().any(|numbers| numbers.is_null(*row)) {
            true => nulls == Nulls::Drop,
            false => bad(numbers.map(|numbers| numbers.value(*row))),
        };
        rows.iter().copied().filter(caught).collect()
    })
}

#[cfg(test)]
pub(super) mod testing;
