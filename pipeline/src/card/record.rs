//! The figures of a card, as `--json` prints them and the page shows them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::distribution::{Bin, Distribution};

/// Everything that a card tells.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Card {
    /// The headline.
    pub title: String,
    /// Version of the program that made it.
    pub program: String,
    /// What chose the rows that are shown.
    pub seed: u64,
    /// The folders in the order in which data passed them; the last is the one that the card is about.
    pub road: Vec<Stop>,
    /// What the last folder holds; `None` where it holds counts alone.
    pub contents: Option<Contents>,
    /// What became of the links; `None` where no folder on the road has a row without a picture.
    pub failures: Option<Failures>,
    /// Groups of duplicates, where some folder has a column `cluster`.
    pub clusters: Option<Clusters>,
    /// How long the steps of downloads took, where stats files tell.
    pub timings: Vec<Timing>,
    /// Rows chosen at random by the seed: those that are there.
    pub kept: Vec<Sample>,
    /// Rows that were removed on the road, the rules taking turns.
    pub dropped: Vec<Sample>,
}

/// What made a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Maker {
    /// `pipeline extract`.
    Extract,
    /// `pipeline crawl`.
    Crawl,
    /// `pipeline filter`.
    Filter,
    /// `pipeline dedup`.
    Dedup,
    /// Another command of this program: `reshard`, `score`.
    Pipeline,
    /// Another program: nothing was ever committed here.
    Other,
}

/// A folder on the road.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stop {
    /// The last part of its path.
    pub name: String,
    /// What made it.
    pub maker: Maker,
    /// `troika.format` of its tables: `pairs/1`, `links/1`.
    pub format: Option<String>,
    /// Id of its plan.
    pub plan: Option<String>,
    /// Version of the program that wrote its tables.
    pub version: Option<String>,
    /// Units that are committed; shards where there are no commits.
    pub units: usize,
    /// Units that are not committed yet.
    pub units_missing: usize,
    /// Bytes of the tables and of pictures beside them.
    pub bytes: u64,
    /// Rows that went in, as far as units are committed; `None` where no plan tells.
    pub rows_read: Option<u64>,
    /// Rows that are here.
    pub rows: u64,
    /// Rows with a picture; `None` in tables of links.
    pub pictures: Option<u64>,
    /// What removed rows here, or left links without a picture.
    pub removed: Vec<Removed>,
}

/// What removed rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// A rule, a stage of the deduplication, or the code of a reason.
    pub by: String,
    /// Rows.
    pub rows: u64,
    /// Rows among them that nothing else would have removed, where the stage counted them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<u64>,
}

/// What the rows of a folder hold: those with a picture, in a table of links all of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Contents {
    /// Rows that all of this is about.
    pub rows: u64,
    /// The columns, with their types.
    pub columns: Vec<Column>,
    /// The pictures as they are stored.
    pub stored: Option<Sizes>,
    /// The same before they were resized, where that differs.
    pub original: Option<Sizes>,
    /// Bytes of the pictures as they are stored, by a sample of them.
    pub picture_bytes: Option<Distribution>,
    /// The captions; `None` without such a column.
    pub captions: Option<Captions>,
    /// Registrable domains of the URLs; `None` without such a column.
    pub domains: Option<Counted>,
    /// Licences, where there is such a column.
    pub licences: Option<Counted>,
    /// The languages of the pages, as they say themselves, where there is such a column.
    pub page_languages: Option<Counted>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
}

/// Sizes of pictures in pixels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sizes {
    /// Widths.
    pub width: Distribution,
    /// Heights.
    pub height: Distribution,
    /// Width times height.
    pub area: Distribution,
    /// A thousand times width over height.
    pub aspect: Distribution,
}

/// Captions of rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Captions {
    /// Rows with one that is not blank.
    pub rows: u64,
    /// Characters.
    pub characters: Option<Distribution>,
    /// Words, which white space parts: of little use where a language does not write it.
    pub words: Option<Distribution>,
    /// The languages, as whatlang guesses them.
    pub languages: Languages,
    /// Captions that several rows have, to the letter, and those rows.
    pub repeated: Counted,
}

/// Guessed languages of a sample of captions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Languages {
    /// Captions that were looked at.
    pub sampled: u64,
    /// Captions whose language could be told, the most frequent language first.
    pub found: Vec<Language>,
    /// The others by their script, most of them of few words; `none` has no letters.
    pub unsure: Vec<Count>,
}

/// A language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Language {
    /// ISO 639-3.
    pub code: &'static str,
    /// In English.
    pub name: &'static str,
    /// Captions.
    pub rows: u64,
}

/// How often values occur.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// Rows with a value.
    pub rows: u64,
    /// Different values.
    pub different: u64,
    /// The most frequent ones.
    pub top: Vec<Count>,
}

/// A value and how many rows have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The value.
    pub value: String,
    /// Rows.
    pub rows: u64,
}

/// Why rows have no picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failures {
    /// Name of the folder that was looked at: the first on the road with pictures.
    pub folder: String,
    /// Its rows.
    pub rows: u64,
    /// Those with a picture.
    pub pictures: u64,
    /// The reasons of the others, the most frequent first.
    pub reasons: Vec<FailureReason>,
    /// Different hosts of all rows.
    pub hosts: u64,
    /// Those with the most failures.
    pub worst: Vec<Host>,
    /// Rows that their sites keep out of collections, by the reason.
    pub opt_outs: BTreeMap<String, u64>,
    /// The lines and headers that did, the most frequent first.
    pub rules: Counted,
}

/// A reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailureReason {
    /// Its code; of other programs, their message.
    pub code: String,
    /// What happened, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<&'static str>,
    /// Rows.
    pub rows: u64,
}

/// A host and what came from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Host {
    /// Its name.
    pub host: String,
    /// Rows.
    pub rows: u64,
    /// Those with a picture.
    pub pictures: u64,
    /// The most frequent reason of the others.
    pub reason: String,
}

/// Groups of rows that are the same picture or link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Clusters {
    /// Name of the folder that has them.
    pub folder: String,
    /// Groups of more than one row.
    pub clusters: u64,
    /// Rows in them.
    pub rows: u64,
    /// Rows of the largest.
    pub largest: u64,
    /// Groups by their number of rows.
    pub sizes: Vec<Bin>,
    /// The largest groups.
    pub top: Vec<Cluster>,
}

/// A group of duplicates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cluster {
    /// The row that stands for it.
    pub cluster: String,
    /// Rows.
    pub rows: u64,
    /// The picture of that row, for the page.
    #[serde(skip)]
    pub thumbnail: Option<Thumbnail>,
}

/// A step of downloads, over the units of a crawl.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timing {
    /// `dns`, `connect`, `first_byte`, `body`, `decode`.
    pub step: String,
    /// How often it was taken.
    pub count: u64,
    /// Milliseconds: the median of the units' medians, units counting as much as they have steps.
    pub p50_ms: f64,
    /// Milliseconds: the largest of the units' 99th percentiles.
    pub p99_ms: f64,
}

/// A row that is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// Its key.
    pub key: Option<String>,
    /// Where its picture is from.
    pub url: Option<String>,
    /// Its caption.
    pub caption: Option<String>,
    /// Name of the folder from which it was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// What removed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The row that stands for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Its picture, for the page.
    #[serde(skip)]
    pub thumbnail: Option<Thumbnail>,
    /// The picture of the row that stands for it, likewise.
    #[serde(skip)]
    pub stands_in: Option<Thumbnail>,
}

impl Sample {
    /// The key of the row that is kept in place of this one, which was removed.
    pub(super) fn stand_in(&self) -> Option<String> {
        let cluster = self.cluster.clone().filter(|cluster| !cluster.is_empty())?;
        (self.by.is_some() && self.key.as_ref() != Some(&cluster)).then_some(cluster)
    }
}

/// A small picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnail {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// The file.
    pub jpeg: Vec<u8>,
}
