//! The rows that the page shows: what they say, and their pictures.

use std::collections::{BTreeMap, HashSet};

use arrow::array::StringArray;

use super::choose::{Lowest, NAMES, Named, Place};
use super::distribution::{Distribution, Recorder, Scale};
use super::folder::Folder;
use super::outcome::Outcome;
use super::record::{Sample, Thumbnail};
use super::scan::{CAPTION, Rows, Scanner, Sum, URL, cell};
use super::thumbnail::thumbnail;
use crate::pairs::sift::DROPPED_BY;
use crate::pairs::{self, PairReader, Table, selection};
use crate::{Error, Result};

/// Pictures whose files are measured.
pub(super) const MEASURED: usize = 256;
/// Shards from which rows are chosen where pictures lie in tars, which have to be read from their beginning.
const TARS: usize = 8;
/// What is told of a row.
const TEXTS: [&[&str]; 5] = [&["key"], &URL, &CAPTION, &[DROPPED_BY], &["cluster"]];

/// The shards from which rows are chosen: all (`None`), or a few of those whose pictures lie beside them.
pub(super) fn shards(table: &Table, seed: u64) -> Option<Vec<u32>> {
    (table.format() == pairs::FORMAT && table.image_column().is_none()).then_some(())?;
    let mut lowest = Lowest::new(TARS);
    for (number, shard) in table.shards().iter().enumerate() {
        let hash = xxhash_rust::xxh3::xxh3_64_with_seed(shard.name.as_bytes(), seed);
        lowest.offer(hash, Place { shard: number as u32, row: 0 });
    }
    Some(lowest.close().into_iter().map(|(_, place)| place.shard).collect())
}

/// The chosen rows of a table, the first `shown` of them with thumbnails, and the sizes of the files of all of them.
pub(super) fn kept(
    table: &Table,
    chosen: &[Place],
    shown: usize,
    scanner: &Scanner<'_>,
) -> Result<(Vec<Sample>, Option<Distribution>)> {
    let visible = &chosen[..shown.min(chosen.len())];
    let mut samples = told(table, visible)?;
    let mut sizes = Recorder::new(Scale::Bytes);
    if table.format() == pairs::FORMAT {
        pictures(table, chosen, scanner, |place, bytes| {
            sizes.record(bytes.len() as u64);
            if let Some(sample) = samples.get_mut(&place) {
                sample.thumbnail = thumbnail(bytes);
            }
        })?;
    }
    let samples = visible.iter().filter_map(|place| samples.remove(place)).collect();
    Ok((samples, sizes.close()))
}

/// Rows that were removed on the road, at most `most`: each rule of each folder in turn has one more shown. Their
/// pictures are looked for in the folders before.
pub(super) fn dropped(road: &[Folder], seed: u64, most: usize, scanner: &Scanner<'_>) -> Result<Vec<Sample>> {
    let mut queues = Vec::new();
    for (stop, folder) in road.iter().enumerate() {
        let Some(table) = &folder.dropped else { continue };
        let removed =
            scanner.sum(table, &Removed::COLUMNS, || Removed { seed, most, by: BTreeMap::new() })?;
        queues.extend(removed.close().into_iter().map(|places| (stop, places)));
    }
    let chosen = in_turn(queues, most);
    let mut samples = Vec::new();
    for (stop, folder) in road.iter().enumerate() {
        let Some(table) = &folder.dropped else { continue };
        let places: Vec<Place> = chosen.iter().filter(|(s, _)| *s == stop).map(|(_, place)| *place).collect();
        let mut told = told(table, &places)?;
        let told: Vec<Sample> = places.iter().filter_map(|place| told.remove(place)).collect();
        let own = find(&road[..stop], told.iter().map(|sample| sample.key.clone()), scanner)?;
        let kept = find(&road[..=stop], told.iter().map(Sample::stand_in), scanner)?;
        samples.extend(told.into_iter().map(|sample| Sample {
            stage: Some(folder.name.clone()),
            thumbnail: sample.key.as_ref().and_then(|key| own.get(key)).cloned(),
            stands_in: sample.stand_in().and_then(|key| kept.get(&key)).cloned(),
            ..sample
        }));
    }
    Ok(samples)
}

/// At most `most` of the places, one of each queue in turn, in the order of the queues.
fn in_turn(queues: Vec<(usize, Vec<Place>)>, most: usize) -> Vec<(usize, Place)> {
    let longest = queues.iter().map(|(_, places)| places.len()).max().unwrap_or(0);
    let turns = (0..longest).flat_map(|turn| {
        let one = move |(queue, (stop, places)): (usize, &(usize, Vec<Place>))| {
            places.get(turn).map(|place| (queue, turn, *stop, *place))
        };
        queues.iter().enumerate().filter_map(one)
    });
    let mut chosen: Vec<_> = turns.take(most).collect();
    chosen.sort_unstable();
    chosen.into_iter().map(|(_, _, stop, place)| (stop, place)).collect()
}

/// Removed rows by what removed them.
struct Removed {
    seed: u64,
    most: usize,
    by: BTreeMap<String, Lowest>,
}

impl Removed {
    const COLUMNS: [&'static str; 7] =
        [NAMES[0], NAMES[1], NAMES[2], "status", "reason", "error_message", DROPPED_BY];

    /// The rows of each rule. Those that never had a picture are failures of the crawl, of which there is more to tell
    /// elsewhere: they are left out where there are others.
    fn close(self) -> Vec<Vec<Place>> {
        let by: Vec<_> = self.by.into_values().map(Lowest::close).collect();
        let pictures = by.iter().flatten().any(|(hash, _)| hash >> 63 == 0);
        let shown = |rows: Vec<(u64, Place)>| {
            let shown = rows.into_iter().filter(|(hash, _)| !pictures || hash >> 63 == 0);
            shown.map(|(_, place)| place).collect()
        };
        by.into_iter().map(shown).collect()
    }
}

impl Sum for Removed {
    fn add(&mut self, rows: &Rows) -> Result<()> {
        let (names, outcome) = (Named::of(rows, self.seed), Outcome::of(rows));
        let by = rows.text(&[DROPPED_BY]);
        for row in 0..rows.len() {
            let by = cell(by.as_ref(), row).unwrap_or("unknown");
            let without = outcome.is_told() && !outcome.is_picture(row);
            // Rows without a picture come last.
            let hash = names.hash(row) >> 1 | u64::from(without) << 63;
            if !self.by.contains_key(by) {
                self.by.insert(by.to_owned(), Lowest::new(self.most));
            }
            if let Some(lowest) = self.by.get_mut(by) {
                lowest.offer(hash, names.place(row));
            }
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        for (by, rows) in other.by {
            match self.by.get_mut(&by) {
                Some(lowest) => lowest.merge(rows),
                None => drop(self.by.insert(by, rows)),
            }
        }
    }
}

/// The rows of each shard, rising.
fn by_shard(places: &[Place]) -> BTreeMap<u32, Vec<u64>> {
    let mut shards: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    places.iter().for_each(|place| shards.entry(place.shard).or_default().push(place.row));
    shards.values_mut().for_each(|rows| {
        rows.sort_unstable();
        rows.dedup();
    });
    shards
}

/// What rows say.
fn told(table: &Table, places: &[Place]) -> Result<BTreeMap<Place, Sample>> {
    let mut told = BTreeMap::new();
    for (shard, rows) in by_shard(places) {
        let of = table.shards()[shard as usize].rows;
        let mut numbers = rows.iter();
        for batch in table.scan_with(shard as usize, Some(&TEXTS.concat()), Some(selection(&rows, of)))? {
            let batch = Rows::new(batch?, shard, 0);
            let columns: [Option<StringArray>; 5] = TEXTS.map(|names| batch.text(names));
            for (index, row) in (0..batch.len()).zip(&mut numbers) {
                let [key, url, caption, by, cluster] =
                    columns.each_ref().map(|column| cell(column.as_ref(), index).map(str::to_owned));
                let sample = Sample { key, url, caption, by, cluster, ..Sample::default() };
                told.insert(Place { shard, row: *row }, sample);
            }
        }
    }
    Ok(told)
}

/// Calls `each` with the pictures of rows. One that cannot be read has none: the page shows what there is.
fn pictures(
    table: &Table,
    places: &[Place],
    scanner: &Scanner<'_>,
    mut each: impl FnMut(Place, &[u8]),
) -> Result<()> {
    for (shard, rows) in by_shard(places) {
        let reader: PairReader = table.pairs(shard as usize, rows.clone());
        for (row, pair) in rows.into_iter().zip(reader) {
            scanner.interrupt.check()?;
            match pair {
                Ok(pair) => pair.image.iter().for_each(|image| each(Place { shard, row }, image)),
                Err(error) => {
                    scanner.progress.note(&unreadable(&error));
                    break;
                }
            }
        }
    }
    Ok(())
}

fn unreadable(error: &Error) -> String {
    format!("pictures left out: {error}")
}

/// The pictures of rows by their keys, from the last of the `folders` that has them.
pub(super) fn find(
    folders: &[Folder],
    keys: impl Iterator<Item = Option<String>>,
    scanner: &Scanner<'_>,
) -> Result<BTreeMap<String, Thumbnail>> {
    let mut wanted: HashSet<String> = keys.flatten().collect();
    let mut found = BTreeMap::new();
    let tables = folders.iter().rev().filter_map(|folder| folder.table.as_ref());
    for table in tables.filter(|table| table.format() == pairs::FORMAT) {
        if wanted.is_empty() {
            break;
        }
        let rows = scanner.sum(table, &["key"], || Find { wanted: &wanted, found: BTreeMap::new() })?.found;
        let keys: BTreeMap<Place, String> = rows.into_iter().map(|(key, place)| (place, key)).collect();
        let places: Vec<Place> = keys.keys().copied().collect();
        pictures(table, &places, scanner, |place, bytes| {
            found.extend(thumbnail(bytes).map(|small| (keys[&place].clone(), small)));
        })?;
        wanted.retain(|key| !found.contains_key(key));
    }
    Ok(found)
}

/// The first row of each key that is looked for.
struct Find<'a> {
    wanted: &'a HashSet<String>,
    found: BTreeMap<String, Place>,
}

impl Find<'_> {
    fn add(&mut self, key: &str, place: Place) {
        let first = self.found.entry(key.to_owned()).or_insert(place);
        *first = place.min(*first);
    }
}

impl Sum for Find<'_> {
    fn add(&mut self, rows: &Rows) -> Result<()> {
        let Some(keys) = rows.text(&["key"]) else { return Ok(()) };
        for row in 0..rows.len() {
            if let Some(key) = cell(Some(&keys), row).filter(|key| self.wanted.contains(*key)) {
                self.add(key, Place { shard: rows.shard, row: rows.first + row as u64 });
            }
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        other.found.iter().for_each(|(key, place)| self.add(key, *place));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_take_turns_and_stand_together() {
        let places = |rows: std::ops::Range<u64>| rows.map(|row| Place { shard: 0, row }).collect();
        let queues = || vec![(1, places(0..9)), (1, places(20..21)), (2, places(40..49))];
        let rows = |most| {
            let chosen = in_turn(queues(), most);
            chosen.into_iter().map(|(stop, place)| (stop, place.row)).collect::<Vec<_>>()
        };
        assert_eq!(rows(4), [(1, 0), (1, 1), (1, 20), (2, 40)]);
        assert_eq!(rows(6), [(1, 0), (1, 1), (1, 2), (1, 20), (2, 40), (2, 41)]);
        assert_eq!(rows(100).len(), 19);
        assert!(in_turn(Vec::new(), 3).is_empty());
    }
}
