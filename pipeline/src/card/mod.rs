//! `pipeline card`: one page that shows a stranger what a folder of pairs or links holds and how it came about, and the
//! same figures as a record.
//!
//! 1. [`folder`] opens the folders of the road, and by their plans those before them.
//! 2. [`scan`] passes over the rows they have, a few columns at a time and never the pictures: [`outcome`] sums up why
//!    links have no picture, [`contents`] what the rows of the last folder hold, [`frequent`] their texts, [`clusters`]
//!    groups of duplicates.
//! 3. [`samples`] reads the rows that are shown, chosen by a hash of their keys, and makes [`thumbnail`]s.
//! 4. [`html`] draws the page.
//!
//! The same folders give the same bytes: no figure depends on the order of rows, on threads or on the time. Counts are
//! exact; quantiles are within 0.1 %, languages are guessed from a sample of captions, and the sizes of files are those of a
//! sample of pictures. Memory grows with the number of different hosts, some hundred bytes each, and not with that of rows.
//!
//! ```no_run
//! use pipeline::card::{CardConfig, make, page};
//! let road = ["data/pairs", "data/clean", "data/unique"].map(str::to_owned);
//! let card = make(&road, &CardConfig::default(), &pipeline::unit::RunOptions::default())?;
//! pipeline::atomic::write("card.html", page(&card))?;
//! # Ok::<(), pipeline::Error>(())
//! ```

mod choose;
mod clusters;
mod contents;
mod counts;
mod distribution;
mod folder;
mod frequent;
mod html;
mod languages;
mod outcome;
mod record;
mod samples;
mod scan;
mod thumbnail;
mod timings;

use serde::{Deserialize, Serialize};

use crate::pairs::Table;
use crate::progress::Progress;
use crate::unit::RunOptions;
use crate::{Error, Result};

use choose::Place;
use contents::{Filled, Looking};
pub use distribution::{Bin, Distribution, Scale};
use folder::{Folder, road};
use frequent::Texts;
pub use html::page;
use outcome::{Outcomes, Pictures};
pub use record::{
    Captions, Card, Cluster, Clusters, Column, Contents, Count, Counted, FailureReason, Failures, Host,
    Language, Languages, Maker, Removed, Sample, Sizes, Stop, Thumbnail, Timing,
};
use samples::MEASURED;
use scan::Scanner;

/// Captions whose language is guessed.
const GUESSED: u64 = 100_000;

/// What a card shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CardConfig {
    /// The headline; by default the name of the last folder.
    pub title: String,
    /// What chooses the rows that are shown.
    pub seed: u64,
    /// Rows that are shown, and as many that were removed; 0 to 500.
    pub samples: usize,
    /// Lines of a table, from 1.
    pub top: usize,
}

impl Default for CardConfig {
    /// 64 rows, 20 lines.
    fn default() -> Self {
        Self { title: String::new(), seed: 0, samples: 64, top: 20 }
    }
}

impl CardConfig {
    fn validate(&self) -> Result<()> {
        match (self.samples, self.top) {
            (501.., _) => {
                Err(Error::config("samples", "lies between 0 and 500: each is a picture in the page"))
            }
            (_, 0) => Err(Error::config("top", "a table has a line at least")),
            _ => Ok(()),
        }
    }
}

/// Makes the card of the last of the folders `dirs`, which lie on the road in this order.
///
/// # Errors
/// A folder or shard that cannot be read, an interrupt. Pictures that cannot be read are no error: they are not shown.
pub fn make(dirs: &[String], config: &CardConfig, options: &RunOptions) -> Result<Card> {
    config.validate()?;
    let progress = Progress::begin(options.style, "rows read", "looking at the folders");
    let scanner = Scanner { progress: &progress, interrupt: &options.interrupt };
    let card = road(dirs).and_then(|road| Making { config, road, scanner }.card());
    progress.finish();
    card
}

/// A card in the making.
struct Making<'a> {
    config: &'a CardConfig,
    road: Vec<Folder>,
    scanner: Scanner<'a>,
}

impl Making<'_> {
    fn card(&self) -> Result<Card> {
        let Some(last) = self.road.last() else {
            return Err(Error::config("DIR", "name the folders that the card is about"));
        };
        let CardConfig { title, seed, samples, .. } = self.config;
        let (failures, road) = self.stops()?;
        let (contents, kept) = match &last.table {
            Some(table) => self.contents(table).map(|(contents, kept)| (Some(contents), kept))?,
            None => (None, Vec::new()),
        };
        let stats = self.road.iter().flat_map(Folder::stats);
        self.scanner.progress.message("looking for pictures");
        Ok(Card {
            title: if title.is_empty() { last.name.clone() } else { title.clone() },
            program: env!("CARGO_PKG_VERSION").to_owned(),
            seed: *seed,
            road,
            contents,
            failures,
            clusters: clusters::clusters(&self.road, &self.scanner)?,
            timings: timings::timings(stats),
            kept,
            dropped: samples::dropped(&self.road, *seed, *samples, &self.scanner)?,
        })
    }

    /// The folders with their rows and pictures, and what became of the links.
    fn stops(&self) -> Result<(Option<Failures>, Vec<Stop>)> {
        self.scanner.progress.message("counting pictures");
        let (mut failures, mut looked) = (None, false);
        let mut stops = Vec::new();
        for folder in &self.road {
            let pictures = match &folder.table {
                _ if !folder.has_pictures() => None,
                None => {
                    looked = true;
                    let outcomes = Outcomes::of_counts(&folder.counts());
                    let pictures = outcomes.pictures;
                    failures = failures.or(outcomes.close(&folder.name, self.config.top));
                    Some(pictures)
                }
                Some(table) if !looked => {
                    looked = true;
                    let outcomes = self.scanner.sum(table, &outcome::COLUMNS, Outcomes::default)?;
                    let pictures = outcomes.pictures;
                    failures = outcomes.close(&folder.name, self.config.top);
                    Some(pictures)
                }
                Some(table) => Some(self.scanner.sum(table, &outcome::COLUMNS[..2], Pictures::default)?.0),
            };
            stops.push(folder.stop(pictures));
        }
        Ok((failures, stops))
    }

    /// What a table holds, and the rows of it that are shown.
    fn contents(&self, table: &Table) -> Result<(Contents, Vec<Sample>)> {
        self.scanner.progress.message("looking at the rows");
        let CardConfig { seed, samples, top, .. } = *self.config;
        let shards = samples::shards(table, seed);
        let sources = [frequent::CAPTION, frequent::LICENCE, frequent::PAGE_LANGUAGE];
        let [captions, licences, page_languages] = sources.map(|source| Texts::of(table, source));
        let texts = [captions?, licences?, page_languages?];
        let looking = Looking {
            seed,
            most: MEASURED.max(samples),
            shards: shards.as_deref(),
            guess_below: share(GUESSED, table.rows()),
            texts: &texts,
        };
        let filled = self.scanner.sum(table, &contents::COLUMNS, || Filled::new(looking))?;
        let (mut contents, chosen) = filled.close(top);
        let column = |field: &arrow::datatypes::FieldRef| Column {
            name: field.name().clone(),
            kind: field.data_type().to_string(),
        };
        contents.columns = table.schema().fields().iter().map(column).collect();
        self.texts(table, &mut contents, texts)?;
        let chosen: Vec<Place> = chosen.close().into_iter().map(|(_, place)| place).collect();
        let (kept, sizes) = samples::kept(table, &chosen, samples, &self.scanner)?;
        contents.picture_bytes = sizes;
        Ok((contents, kept))
    }

    /// The most frequent texts.
    fn texts(&self, table: &Table, contents: &mut Contents, texts: [Option<Texts>; 3]) -> Result<()> {
        let count = |texts: Option<Texts>, least: u64| {
            let close = |texts: Texts| texts.close(table, least, self.config.top, &self.scanner);
            texts.map(close).transpose()
        };
        let [captions, licences, page_languages] = texts;
        contents.licences = count(licences, 1)?;
        contents.page_languages = count(page_languages, 1)?;
        if let (Some(found), Some(repeated)) = (&mut contents.captions, count(captions, 2)?) {
            found.repeated = repeated;
        }
        Ok(())
    }
}

/// Of `rows` numbers from all of 64 bits, about `wanted` are not above this one.
fn share(wanted: u64, rows: u64) -> u64 {
    u64::try_from(u128::from(u64::MAX) * u128::from(wanted) / u128::from(rows.max(1))).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
