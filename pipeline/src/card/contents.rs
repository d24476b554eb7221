//! What the rows of the last folder hold: sizes, captions, domains, licences.

use arrow::array::{Array, Int64Array};
use xxhash_rust::xxh3::xxh3_64;

use super::choose::{Lowest, Named};
use super::counts::Counts;
use super::distribution::{Recorder, Scale};
use super::languages::Guesses;
use super::outcome::{Outcome, host};
use super::record::{Captions, Contents, Repeated, Sizes};
use super::scan::{Rows, Sum, cell};
use crate::Result;
use crate::crawl::registrable;
use crate::tally::Tally;

/// The columns of [`Filled`].
pub(super) const COLUMNS: [&str; 12] = [
    "key",
    "url",
    "status",
    "reason",
    "caption",
    "width",
    "height",
    "original_width",
    "original_height",
    "licence",
    "license",
    "page_language",
];
/// The two spellings of it.
const LICENCE: [&str; 2] = ["licence", "license"];

/// What decides which rows are looked at more closely.
#[derive(Clone, Copy)]
pub(super) struct Looking<'a> {
    pub(super) seed: u64,
    /// Rows that are chosen.
    pub(super) most: usize,
    /// Shards from which they are chosen; `None` for all.
    pub(super) shards: Option<&'a [u32]>,
    /// Captions whose language is guessed have a lower hash.
    pub(super) guess_below: u64,
    /// Where captions are counted.
    pub(super) captions: &'a Tally,
}

/// Rows that are there.
pub(super) struct Filled<'a> {
    looking: Looking<'a>,
    rows: u64,
    stored: SizesSum,
    original: SizesSum,
    captions: Option<CaptionsSum>,
    hosts: Option<Counts>,
    licences: Option<Counts>,
    page_languages: Option<Counts>,
    pub(super) chosen: Lowest,
}

#[derive(Clone)]
struct CaptionsSum {
    rows: u64,
    characters: Recorder,
    words: Recorder,
    guesses: Guesses,
}

impl<'a> Filled<'a> {
    pub(super) fn new(looking: Looking<'a>) -> Self {
        Self {
            looking,
            rows: 0,
            stored: SizesSum::new(),
            original: SizesSum::new(),
            captions: None,
            hosts: None,
            licences: None,
            page_languages: None,
            chosen: Lowest::new(looking.most),
        }
    }
}

impl Sum for Filled<'_> {
    fn add(&mut self, rows: &Rows) -> Result<()> {
        let outcome = Outcome::of(rows);
        let there: Vec<usize> =
            (0..rows.len()).filter(|row| !outcome.is_told() || outcome.is_picture(*row)).collect();
        self.rows += there.len() as u64;
        let names = Named::of(rows, self.looking.seed);
        if self.looking.shards.is_none_or(|shards| shards.contains(&rows.shard)) {
            there.iter().for_each(|row| self.chosen.offer(names.hash(*row), names.place(*row)));
        }
        self.stored.add(rows, ["width", "height"], &there);
        self.original.add(rows, ["original_width", "original_height"], &there);
        count(&mut self.licences, rows, &LICENCE, &there, |licence| Some(licence.to_owned()));
        count(&mut self.page_languages, rows, &["page_language"], &there, |tag| {
            Some(tag.to_ascii_lowercase())
        });
        count(&mut self.hosts, rows, &["url"], &there, host);
        self.add_captions(rows, &names, &there)
    }

    fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.stored.merge(other.stored);
        self.original.merge(other.original);
        merge(&mut self.captions, other.captions, CaptionsSum::merge);
        merge(&mut self.hosts, other.hosts, Counts::merge);
        merge(&mut self.licences, other.licences, Counts::merge);
        merge(&mut self.page_languages, other.page_languages, Counts::merge);
        self.chosen.merge(other.chosen);
    }
}

impl Filled<'_> {
    fn add_captions(&mut self, rows: &Rows, names: &Named, there: &[usize]) -> Result<()> {
        let Some(column) = rows.text(&["caption"]) else { return Ok(()) };
        let captions = self.captions.get_or_insert_with(CaptionsSum::new);
        let mut hashes = Vec::with_capacity(there.len());
        for row in there {
            let caption = cell(Some(&column), *row).unwrap_or_default();
            if caption.trim().is_empty() {
                continue;
            }
            captions.rows += 1;
            captions.characters.record(caption.chars().count() as u64);
            captions.words.record(caption.split_whitespace().count() as u64);
            if names.hash(*row) <= self.looking.guess_below {
                captions.guesses.add(caption);
            }
            hashes.push(hash(caption));
        }
        self.looking.captions.add(hashes.into_iter())
    }

    /// The figures, without those of repeated captions and of files.
    pub(super) fn close(self, most: usize) -> (Contents, Lowest) {
        let (stored, original) = (self.stored.close(), self.original.close());
        let contents = Contents {
            rows: self.rows,
            columns: Vec::new(),
            original: original.filter(|original| stored.as_ref() != Some(original)),
            stored,
            picture_bytes: None,
            captions: self.captions.map(|captions| captions.close(most)),
            domains: self.hosts.map(|hosts| hosts.by(registrable).close(most)),
            licences: self.licences.map(|licences| licences.close(most)),
            page_languages: self.page_languages.map(|languages| languages.close(most)),
        };
        (contents, self.chosen)
    }
}

/// What captions are counted by.
pub(super) fn hash(caption: &str) -> u64 {
    xxh3_64(caption.as_bytes())
}

/// Counts what `value` makes of a column, if it is there.
fn count(
    counts: &mut Option<Counts>,
    rows: &Rows,
    names: &[&str],
    there: &[usize],
    value: impl Fn(&str) -> Option<String>,
) {
    let Some(column) = rows.text(names) else { return };
    let counts = counts.get_or_insert_default();
    let cells = there.iter().filter_map(|row| cell(Some(&column), *row)).filter_map(value);
    cells.for_each(|value| counts.add(&value));
}

fn merge<T>(into: &mut Option<T>, other: Option<T>, merge: impl Fn(&mut T, T)) {
    match (into.as_mut(), other) {
        (Some(into), Some(other)) => merge(into, other),
        (None, other) => *into = other,
        (Some(_), None) => {}
    }
}

impl CaptionsSum {
    fn new() -> Self {
        Self {
            rows: 0,
            characters: Recorder::new(Scale::Characters),
            words: Recorder::new(Scale::Words),
            guesses: Guesses::default(),
        }
    }

    fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.characters.merge(other.characters);
        self.words.merge(other.words);
        self.guesses.merge(&other.guesses);
    }

    fn close(self, most: usize) -> Captions {
        Captions {
            rows: self.rows,
            characters: self.characters.close(),
            words: self.words.close(),
            languages: self.guesses.close(most),
            repeated: Repeated::default(),
        }
    }
}

struct SizesSum {
    width: Recorder,
    height: Recorder,
    area: Recorder,
    aspect: Recorder,
}

impl SizesSum {
    fn new() -> Self {
        let new = Recorder::new;
        Self {
            width: new(Scale::Side),
            height: new(Scale::Side),
            area: new(Scale::Area),
            aspect: new(Scale::Aspect),
        }
    }

    fn add(&mut self, rows: &Rows, [width, height]: [&str; 2], there: &[usize]) {
        let (Some(width), Some(height)) = (rows.whole(width), rows.whole(height)) else { return };
        let side = |column: &Int64Array, row: usize| {
            let side = column.is_valid(row).then(|| column.value(row)).filter(|side| *side > 0)?;
            u32::try_from(side).ok().map(u64::from)
        };
        for row in there {
            let Some((width, height)) = side(&width, *row).zip(side(&height, *row)) else { continue };
            self.width.record(width);
            self.height.record(height);
            self.area.record(width * height);
            self.aspect.record((1000 * width + height / 2) / height);
        }
    }

    fn merge(&mut self, other: Self) {
        self.width.merge(other.width);
        self.height.merge(other.height);
        self.area.merge(other.area);
        self.aspect.merge(other.aspect);
    }

    fn close(self) -> Option<Sizes> {
        Some(Sizes {
            width: self.width.close()?,
            height: self.height.close()?,
            area: self.area.close()?,
            aspect: self.aspect.close()?,
        })
    }
}
