//! What an extraction counts: what was read, what came of it, and what did not.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::reason::Reason;

/// Why something that should be a record, a page or a sitemap is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Malformed {
    /// Gzip data that cannot be unpacked.
    Gzip,
    /// Gzip data that are not those whose checksum and length stand behind them.
    Checksum,
    /// The file, or the gzip member, ends inside of it.
    Truncated,
    /// No `WARC/1.` where a record should begin, or a head without an end.
    Header,
    /// A record without a length.
    Length,
    /// A record that does not end where its length says.
    WrongLength,
    /// Larger than `input.max_record`.
    TooLarge,
    /// A response record without an HTTP answer in it.
    Http,
    /// What was fetched as a page is none: an image, a PDF, ….
    NotPage,
    /// A body packed in a way that cannot be undone: `br`, or damaged.
    ContentEncoding,
    /// A WAT record whose JSON cannot be read.
    Json,
    /// A sitemap whose XML breaks off.
    Xml,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Checksum => "checksum",
            Self::Truncated => "truncated",
            Self::Header => "header",
            Self::Length => "length",
            Self::WrongLength => "wrong_length",
            Self::TooLarge => "too_large",
            Self::Http => "http",
            Self::NotPage => "not_page",
            Self::ContentEncoding => "content_encoding",
            Self::Json => "json",
            Self::Xml => "xml",
        })
    }
}

/// The counts of a unit, or of all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExtractCounts {
    /// WARC records of every kind.
    pub records: u64,
    /// Revisit records, whose page was archived before.
    pub revisits: u64,
    /// Pages that were looked at.
    pub pages: u64,
    /// Rows of the link tables.
    pub links: u64,
    /// Rows without a caption.
    pub without_caption: u64,
    /// Images whose references are no links: `data:`, a fragment, another scheme, relative on a page without an address.
    pub not_links: u64,
    /// Links beyond `page.max_links`.
    pub over_limit: u64,
    /// Links without a caption that were left out, with `output.captioned_only`.
    pub uncaptioned: u64,
    /// Links that were there before, with `output.dedup`.
    pub duplicates: u64,
    /// Pages that opt out of collection, by a header or a `<meta>`.
    pub opted_out: u64,
    /// What was counted and passed over, by its reason.
    pub malformed: BTreeMap<Malformed, u64>,
    /// Pages that did not arrive, by the reason.
    pub failed: BTreeMap<Reason, u64>,
}

impl ExtractCounts {
    /// One more of what is malformed.
    pub(super) fn malformed(&mut self, reason: Malformed) {
        *self.malformed.entry(reason).or_default() += 1;
    }

    /// One more page that did not arrive.
    pub(super) fn failed(&mut self, reason: Reason) {
        *self.failed.entry(reason).or_default() += 1;
    }

    /// Everything that is malformed.
    pub fn all_malformed(&self) -> u64 {
        self.malformed.values().sum()
    }

    /// Rows per outcome, as a commit tells them.
    pub(super) fn outcomes(&self) -> BTreeMap<String, u64> {
        let captioned = self.links - self.without_caption;
        let outcomes = [("captioned", captioned), ("without_caption", self.without_caption)];
        outcomes.into_iter().map(|(name, rows)| (name.to_owned(), rows)).collect()
    }
}

impl AddAssign<&Self> for ExtractCounts {
    fn add_assign(&mut self, other: &Self) {
        self.records += other.records;
        self.revisits += other.revisits;
        self.pages += other.pages;
        self.links += other.links;
        self.without_caption += other.without_caption;
        self.not_links += other.not_links;
        self.over_limit += other.over_limit;
        self.uncaptioned += other.uncaptioned;
        self.duplicates += other.duplicates;
        self.opted_out += other.opted_out;
        for (reason, count) in &other.malformed {
            *self.malformed.entry(*reason).or_default() += count;
        }
        for (reason, count) in &other.failed {
            *self.failed.entry(*reason).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_and_read_back() {
        let mut one = ExtractCounts { records: 3, links: 2, without_caption: 1, ..ExtractCounts::default() };
        one.malformed(Malformed::WrongLength);
        one.failed(Reason::Robots);
        let mut sum = one.clone();
        sum += &one;
        assert_eq!((sum.records, sum.all_malformed(), sum.failed[&Reason::Robots]), (6, 2, 2));
        assert_eq!(sum.outcomes(), [("captioned".to_owned(), 2), ("without_caption".to_owned(), 2)].into());
        let json = serde_json::to_value(&sum).unwrap();
        assert_eq!(json["malformed"]["wrong_length"], 2);
        assert_eq!(serde_json::from_value::<ExtractCounts>(json).unwrap(), sum);
        let name = |reason: Malformed| serde_json::to_value(reason).unwrap();
        assert_eq!(name(Malformed::ContentEncoding), Malformed::ContentEncoding.to_string());
    }
}
