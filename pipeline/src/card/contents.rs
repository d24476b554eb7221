//! What the rows of the last folder hold: sizes, captions, domains, licences.

use arrow::array::{Array, Int64Array};

use super::choose::{Lowest, Named};
use super::counts::Counts;
use super::distribution::{Recorder, Scale};
use super::frequent::Texts;
use super::languages::Guesses;
use super::outcome::{Outcome, host};
use super::record::{Captions, Contents, Counted, Sizes};
use super::scan::{CAPTION, Rows, Sum, URL, cell};
use crate::Result;
use crate::crawl::registrable;

/// The columns of [`Filled`].
pub(super) const COLUMNS: [&str; 14] = [
    "key",
    URL[0],
    URL[1],
    "status",
    "reason",
    CAPTION[0],
    CAPTION[1],
    "width",
    "height",
    "original_width",
    "original_height",
    "licence",
    "license",
    "page_language",
];

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
    /// Columns whose texts are counted.
    pub(super) texts: &'a [Option<Texts>],
}

/// Rows that are there.
pub(super) struct Filled<'a> {
    looking: Looking<'a>,
    rows: u64,
    stored: SizesSum,
    original: SizesSum,
    captions: Option<CaptionsSum>,
    hosts: Option<Counts>,
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
        self.add_hosts(rows, &there);
        self.add_captions(rows, &names, &there);
        self.looking.texts.iter().flatten().try_for_each(|texts| texts.add(rows, &there))
    }

    fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.stored.merge(other.stored);
        self.original.merge(other.original);
        merge(&mut self.captions, other.captions, CaptionsSum::merge);
        merge(&mut self.hosts, other.hosts, Counts::merge);
        self.chosen.merge(other.chosen);
    }
}

impl Filled<'_> {
    fn add_hosts(&mut self, rows: &Rows, there: &[usize]) {
        let Some(urls) = rows.text(&URL) else { return };
        let hosts = self.hosts.get_or_insert_default();
        let found = there.iter().filter_map(|row| host(cell(Some(&urls), *row)?));
        found.for_each(|host| hosts.add(&host));
    }

    fn add_captions(&mut self, rows: &Rows, names: &Named, there: &[usize]) {
        let Some(column) = rows.text(&CAPTION) else { return };
        let captions = self.captions.get_or_insert_with(CaptionsSum::new);
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
        }
    }

    /// The figures, without those of texts and of files.
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
            licences: None,
            page_languages: None,
        };
        (contents, self.chosen)
    }
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
        self.guesses.merge(other.guesses);
    }

    fn close(self, most: usize) -> Captions {
        Captions {
            rows: self.rows,
            characters: self.characters.close(),
            words: self.words.close(),
            languages: self.guesses.close(most),
            repeated: Counted::default(),
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
