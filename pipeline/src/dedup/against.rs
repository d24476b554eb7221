//! Pictures of evaluation sets, and which hashes are near to one of them.

use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use rayon::ThreadPool;
use rayon::prelude::*;
use serde::Serialize;

use super::facts::{Fact, Facts};
use super::hashing::{FactWriter, PHASH, has_hashes, hash};
use super::index::{Among, Item, near};
use super::phash::PHash;
use crate::crawl::{Image, Images};
use crate::interrupt::Interrupt;
use crate::pairs::Table;
use crate::picture::JPEG_CODEC;
use crate::progress::Progress;
use crate::unit::{Attempt, InputFile, Plan, Produced};
use crate::{Error, Result};

/// Pictures that a kill can cost.
const PER_UNIT: u64 = 2000;

/// One evaluation set.
#[derive(Debug)]
pub(super) struct Set {
    /// As it was named.
    name: String,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// A table that has a column of hashes.
    Hashes(Table),
    /// Pictures, which are to be hashed.
    Pictures(Vec<Images>),
}

/// What decides the hashes of pictures.
#[derive(Serialize)]
struct Decides {
    images: &'static str,
}

impl Set {
    /// Looks at what lies at `path`.
    ///
    /// # Errors
    /// Nothing there, or neither pictures nor hashes.
    pub(super) fn open(path: &str) -> Result<Self> {
        let name = path.trim_end_matches('/').to_owned();
        let content = match Table::open(path) {
            Ok(table) if has_hashes(table.schema()) => Content::Hashes(table),
            _ => Content::Pictures(Images::find(path)?),
        };
        Ok(Self { name, content })
    }

    /// Its files, as a plan has them.
    pub(super) fn inputs(&self) -> Result<Vec<InputFile>> {
        match &self.content {
            Content::Hashes(table) => table.inputs(),
            Content::Pictures(images) => images.iter().map(|images| images.input(PER_UNIT)).collect(),
        }
    }

    /// The plan of its hashing; `None` where the hashes are there.
    pub(super) fn plan(&self, inputs: Vec<InputFile>) -> Result<Option<Plan>> {
        match &self.content {
            Content::Hashes(_) => Ok(None),
            Content::Pictures(_) => {
                Plan::new(super::facts::FORMAT, &Decides { images: JPEG_CODEC }, inputs, PER_UNIT).map(Some)
            }
        }
    }

    /// Hashes the pictures of a unit.
    pub(super) fn unit(
        &self,
        attempt: &Attempt<'_>,
        plan: &Plan,
        pool: &ThreadPool,
        progress: &Progress,
    ) -> Result<Produced> {
        let lost = || Error::Lost { what: "the listing of an evaluation set" };
        let Content::Pictures(all) = &self.content else { return Err(lost()) };
        let file = plan.inputs.iter().position(|input| input.path == attempt.unit.file);
        let images = file.and_then(|file| all.get(file)).ok_or_else(lost)?;
        let mut writer = FactWriter::start(attempt, true)?;
        let mut written = Ok(());
        images.read(attempt.unit, &mut |images| {
            let count = images.len() as u64;
            let facts = pool.install(|| images.into_par_iter().map(fact).collect());
            written = attempt.check().and_then(|()| writer.write(facts));
            progress.add(count);
            written.is_ok()
        })?;
        written?;
        writer.finish()
    }

    /// Adds its hashes to `exhibits`; `facts` are those that were made of its pictures.
    pub(super) fn exhibit(&self, facts: Option<&Facts>, exhibits: &mut Exhibits) -> Result<()> {
        let mut add = |row: usize, key: Option<String>, hash: Option<PHash>| {
            let key = key.filter(|key| !key.is_empty()).unwrap_or_else(|| format!("row {row}"));
            exhibits.0.extend(hash.map(|hash| (hash, format!("{}/{key}", self.name))));
        };
        if let Some(facts) = facts {
            return facts.each(&["key", PHASH], |row, fact| add(row as usize, fact.key, fact.phash));
        }
        let Content::Hashes(table) = &self.content else { return Ok(()) };
        let mut first = 0;
        for shard in 0..table.shards().len() {
            for batch in table.scan_columns(shard, &["key", PHASH])? {
                let batch = batch?;
                let text = |name: &str| {
                    let column = batch.column_by_name(name).and_then(|c| cast(c, &DataType::Utf8).ok());
                    column.and_then(|column| column.as_string_opt::<i32>().cloned())
                };
                let (keys, hashes) = (text("key"), text(PHASH));
                let cell = |column: &Option<arrow::array::StringArray>, row| {
                    column.as_ref().filter(|c| c.is_valid(row)).map(|c| c.value(row).to_owned())
                };
                for row in 0..batch.num_rows() {
                    let hash = cell(&hashes, row).and_then(|hash| hash.parse().ok());
                    add(first + row, cell(&keys, row), hash);
                }
                first += batch.num_rows();
            }
        }
        Ok(())
    }
}

fn fact(image: Image) -> Fact {
    let phash = image.bytes.as_deref().and_then(hash);
    let bytes = image.bytes.map_or(0, |bytes| u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    Fact { key: Some(image.name), phash, bytes: bytes.max(1), ..Fact::default() }
}

/// The pictures of all evaluation sets in their order: hash and name.
#[derive(Debug, Default)]
pub(super) struct Exhibits(Vec<(PHash, String)>);

impl Exhibits {
    #[cfg(test)]
    pub(super) fn of(pictures: Vec<(PHash, String)>) -> Self {
        Self(pictures)
    }

    /// How many there are.
    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// The name of one.
    pub(super) fn name(&self, exhibit: u32) -> Option<&str> {
        self.0.get(exhibit as usize).map(|(_, name)| name.as_str())
    }

    /// For each hash the number of the nearest picture within `distance`, of those that are equally near the first.
    pub(super) fn nearest(
        &self,
        hashes: &[PHash],
        distance: u32,
        interrupt: &Interrupt,
    ) -> Result<Vec<Option<u32>>> {
        let first = hashes.len() as u32;
        let mut exhibits: Vec<(PHash, u32)> =
            self.0.iter().zip(0..).map(|((hash, _), i)| (*hash, i)).collect();
        exhibits.sort_unstable();
        exhibits.dedup_by_key(|(hash, _)| *hash);
        if hashes.len() + self.0.len() > u32::MAX as usize {
            return Err(Error::config("against.paths", "too many pictures to be compared at once"));
        }
        let items = hashes.iter().chain(exhibits.iter().map(|(hash, _)| hash));
        let mut items: Vec<Item> = items.zip(0..).map(|(hash, id)| Item { hash: hash.0, id }).collect();
        // Distance and number in one, so that the least is the answer, whichever thread finds it.
        let best: Vec<AtomicU64> = hashes.iter().map(|_| AtomicU64::new(u64::MAX)).collect();
        near(&mut items, distance, Among::Across(first), interrupt, &|a, b| {
            let (row, exhibit) = if a.id < b.id { (a, b) } else { (b, a) };
            let number = exhibits[(exhibit.id - first) as usize].1;
            let bits = u64::from((a.hash ^ b.hash).count_ones());
            best[row.id as usize].fetch_min(bits << 32 | u64::from(number), Ordering::Relaxed);
        })?;
        let number = |best: AtomicU64| match best.into_inner() {
            u64::MAX => None,
            best => Some((best & u64::from(u32::MAX)) as u32),
        };
        Ok(best.into_iter().map(number).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nearest(exhibits: &Exhibits, hashes: &[PHash], distance: u32) -> Vec<Option<u32>> {
        exhibits.nearest(hashes, distance, &Interrupt::never()).unwrap()
    }

    #[test]
    fn the_nearest_is_found_and_of_several_the_first() {
        let exhibits = [0b1111, 0b0011, 0b0001, 0b0011, u64::MAX];
        let exhibits = Exhibits(exhibits.iter().map(|hash| (PHash(*hash), String::new())).collect());
        let hashes = [0b0000, 0b0111, 0b0011, u64::MAX >> 3, 1 << 40 | 1 << 50 | 1 << 60].map(PHash);
        assert_eq!(nearest(&exhibits, &hashes, 2), [Some(2), Some(0), Some(1), None, None]);
        assert_eq!(nearest(&exhibits, &hashes, 0), [None, None, Some(1), None, None]);
        assert_eq!(nearest(&exhibits, &[], 2), []);
        assert_eq!(nearest(&Exhibits::default(), &hashes, 8), [None; 5]);
    }
}
