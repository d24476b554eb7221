//! A folder as a card sees it: its plan and commits, its table, and the table of what was removed there.

use std::collections::BTreeMap;
use std::path::Path;

use crate::pairs::sift::KEPT;
use crate::pairs::{self, Table};
use crate::reason::Reason;
use crate::store::Store;
use crate::unit::{Commit, Plan, committed, is_dropped};
use crate::{Error, Result};

use super::record::{Maker, Removed, Stop};

/// A folder that is open.
pub(super) struct Folder {
    pub(super) location: String,
    pub(super) name: String,
    pub(super) plan: Option<Plan>,
    commits: Vec<Commit>,
    /// `None` where only counts were written.
    pub(super) table: Option<Table>,
    /// The rows that were removed, where they are kept.
    pub(super) dropped: Option<Table>,
}

impl Folder {
    /// Opens a folder or bucket, or a single Parquet file.
    ///
    /// # Errors
    /// Nothing there, or nothing committed.
    pub(super) fn open(location: &str) -> Result<Self> {
        let (mut plan, mut commits, mut dropped) = (None, Vec::new(), None);
        if !is_file(location) {
            let store = Store::open(location)?;
            plan = match Plan::load(&store) {
                Err(Error::NoPlan { .. }) => None,
                found => Some(found?),
            };
            commits = committed(&store)?;
            dropped = Table::dropped(location)?;
        }
        let only_counts = !commits.is_empty() && commits.iter().all(|commit| commit.table().is_none());
        let table = if only_counts { None } else { Some(Table::open(location)?) };
        Ok(Self { location: location.to_owned(), name: name(location), plan, commits, table, dropped })
    }

    /// Whether its rows have, or should have, pictures.
    pub(super) fn has_pictures(&self) -> bool {
        match &self.table {
            Some(table) => table.format() == pairs::FORMAT,
            None => self.maker() == Maker::Crawl,
        }
    }

    /// Rows per outcome, over all commits.
    pub(super) fn counts(&self) -> BTreeMap<&str, u64> {
        let mut counts = BTreeMap::new();
        for (outcome, rows) in self.commits.iter().flat_map(|commit| &commit.counts) {
            *counts.entry(outcome.as_str()).or_default() += rows;
        }
        counts
    }

    /// What each unit tells besides its counts.
    pub(super) fn stats(&self) -> impl Iterator<Item = &serde_json::Value> {
        self.commits.iter().map(|commit| &commit.stats)
    }

    /// By what only that program leaves behind.
    pub(super) fn maker(&self) -> Maker {
        let tells = |key: &str| self.stats().any(|stats| stats.get(key).is_some());
        let column = |name: &str| {
            self.table.as_ref().is_some_and(|table| table.schema().column_with_name(name).is_some())
        };
        let by = [("timings_ms", Maker::Crawl), ("rules", Maker::Filter), ("malformed", Maker::Extract)];
        match by.into_iter().find(|(key, _)| tells(key)) {
            _ if self.commits.is_empty() => Maker::Other,
            Some((_, maker)) => maker,
            None if self.counts().contains_key(KEPT) && column("cluster") => Maker::Dedup,
            None => Maker::Pipeline,
        }
    }

    /// Its place in the funnel; `pictures` are its rows with one, where it has such.
    pub(super) fn stop(&self, pictures: Option<u64>) -> Stop {
        let (shards, metadata) = match &self.table {
            Some(table) => (table.shards(), Some(table.schema().metadata())),
            None => (&[][..], None),
        };
        let plan = self.plan.as_ref();
        let units = if plan.is_some() { self.commits.len() } else { shards.len() };
        let files = self.commits.iter().flat_map(|commit| &commit.files);
        let bytes = match self.commits.is_empty() {
            true => shards.iter().map(|shard| shard.bytes).sum(),
            false => files.filter(|file| !is_dropped(&file.name)).map(|file| file.bytes).sum(),
        };
        let rows = match &self.table {
            Some(table) => table.rows(),
            None => self.commits.iter().map(|commit| commit.rows).sum(),
        };
        Stop {
            name: self.name.clone(),
            maker: self.maker(),
            format: self.table.as_ref().map(|table| table.format().to_owned()),
            plan: plan.map(|plan| plan.plan_id.clone()),
            version: metadata.and_then(|metadata| metadata.get("troika.version").cloned()),
            units,
            units_missing: plan.map_or(0, |plan| plan.units.len().saturating_sub(units)),
            bytes,
            rows_read: self.rows_read(rows),
            rows,
            pictures,
            removed: self.removed(rows),
        }
    }

    fn rows_read(&self, rows: u64) -> Option<u64> {
        let counts = self.counts();
        match self.maker() {
            Maker::Crawl => Some(rows),
            _ if counts.contains_key(KEPT) => Some(counts.values().sum()),
            Maker::Pipeline => self.plan.as_ref().map(|plan| plan.inputs.iter().map(|file| file.rows).sum()),
            _ => None,
        }
    }

    /// What removed rows: rules in their order, else the most frequent first.
    fn removed(&self, rows: u64) -> Vec<Removed> {
        let counts = self.counts();
        let by = |(by, rows): (&&str, &u64)| Removed { by: (*by).to_owned(), rows: *rows, only: None };
        let but = |stays: &str| counts.iter().filter(|(by, _)| **by != stays).map(by).collect::<Vec<_>>();
        let mut removed = match self.maker() {
            Maker::Filter => return self.rules(but(KEPT)),
            Maker::Crawl => but(Reason::Ok.code()),
            _ if counts.contains_key(KEPT) => but(KEPT),
            _ => match self.rows_read(rows).map_or(0, |read| read.saturating_sub(rows)) {
                0 => Vec::new(),
                left => vec![Removed { by: "not chosen".to_owned(), rows: left, only: None }],
            },
        };
        removed.sort_by(|a, b| (b.rows, &a.by).cmp(&(a.rows, &b.by)));
        removed
    }

    /// In the order of the rules, with what only one of them catches.
    fn rules(&self, mut removed: Vec<Removed>) -> Vec<Removed> {
        let rules = || self.stats().filter_map(|stats| stats.get("rules")?.as_array()).flatten();
        let named =
            |rule: &serde_json::Value, name: &str| rule.get("name").and_then(|n| n.as_str()) == Some(name);
        for rule in &mut removed {
            let found = rules().filter(|found| named(found, &rule.by));
            let only = found.map(|found| found.get("only").and_then(serde_json::Value::as_u64));
            rule.only = only.reduce(|a, b| Some(a? + b?)).flatten();
        }
        let place =
            |removed: &Removed| rules().position(|rule| named(rule, &removed.by)).unwrap_or(usize::MAX);
        removed.sort_by_key(place);
        removed
    }

    /// The folder that this one was made from, if its plan names one, it is still there and it has the same shards.
    pub(super) fn source(&self) -> Option<Self> {
        let inputs = &self.plan.as_ref()?.inputs;
        let (first, _) = inputs.first()?.path.rsplit_once('/')?;
        let names: Option<Vec<&str>> = inputs.iter().map(|input| input.path.strip_prefix(first)).collect();
        let names: Vec<&str> = names?.into_iter().map(|name| name.trim_start_matches('/')).collect();
        // The folders may have moved together.
        let beside = Path::new(&self.location).parent().zip(Path::new(first).file_name());
        let beside = beside.and_then(|(above, name)| above.join(name).to_str().map(str::to_owned));
        let candidates = std::iter::once(first.to_owned()).chain(beside);
        let mut found = candidates.filter_map(|location| Self::open(&location).ok());
        found.find(|folder| {
            let shards = folder.table.as_ref().map(Table::shards).unwrap_or_default();
            let same = |(name, rows): (&str, u64)| shards.iter().any(|s| s.name == name && s.rows == rows);
            folder.plan.is_some()
                && names.iter().copied().zip(inputs.iter().map(|input| input.rows)).all(same)
        })
    }
}

fn is_file(location: &str) -> bool {
    location.ends_with(".parquet") || Path::new(location).is_file()
}

/// The last part of a path; of `.` the folder's own name.
fn name(location: &str) -> String {
    let whole = match location.contains("://") {
        true => None,
        false => Path::new(location).canonicalize().ok(),
    };
    let last = whole.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
    let trimmed = location.trim_end_matches('/');
    last.unwrap_or_else(|| trimmed.rsplit('/').next().unwrap_or(trimmed)).to_owned()
}

/// The folders in the order of the road: the `dirs`, and before them those that they were made from.
///
/// # Errors
/// One of the `dirs` cannot be opened.
pub(super) fn road(dirs: &[String]) -> Result<Vec<Folder>> {
    let mut road = dirs.iter().map(|dir| Folder::open(dir)).collect::<Result<Vec<_>>>()?;
    while let Some(source) = road.first().and_then(Folder::source) {
        if road.iter().any(|folder| folder.location == source.location) {
            break;
        }
        road.insert(0, source);
    }
    for name in repeated(&road) {
        for folder in road.iter_mut().filter(|folder| folder.name == name) {
            folder.name.clone_from(&folder.location);
        }
    }
    Ok(road)
}

/// Names that several folders have.
fn repeated(road: &[Folder]) -> Vec<String> {
    let names = road.iter().map(|folder| &folder.name);
    let many = |name: &&String| road.iter().filter(|folder| folder.name == **name).count() > 1;
    names.filter(many).cloned().collect()
}
