//! Groups of duplicates: rows with the same value in the column `cluster`, whether they are kept or not.

use super::distribution::Bin;
use super::folder::Folder;
use super::frequent::{CLUSTER, Top};
use super::record::{Cluster, Clusters, Count};
use super::samples::find;
use super::scan::{Rows, Scanner, Sum, cell};
use crate::Result;
use crate::pairs::Table;
use crate::pairs::sift::DROPPED_BY;
use crate::tally::Tally;

/// Rows near to an evaluation set: their `cluster` names a picture of that.
const CONTAMINATED: &str = "contaminated";
/// Where classes of sizes begin; the last has no end.
const SIZES: [u64; 8] = [2, 3, 4, 6, 11, 21, 51, 101];
/// Groups that are shown.
const SHOWN: usize = 8;

/// The groups of the last folder that has such a column.
pub(super) fn clusters(road: &[Folder], scanner: &Scanner<'_>) -> Result<Option<Clusters>> {
    let has = |folder: &Folder| folder.table.as_ref().is_some_and(|table| CLUSTER.is_in(table));
    let Some(stop) = road.iter().rposition(has) else { return Ok(None) };
    let folder = &road[stop];
    let tables = [&folder.table, &folder.dropped].into_iter().flatten().filter(|table| CLUSTER.is_in(table));
    let tables: Vec<&Table> = tables.collect();
    let (tally, mut top) = (Tally::new()?, Top::new(SHOWN));
    for table in &tables {
        scanner.sum(table, &[CLUSTER.names[0], DROPPED_BY], || Members(&tally))?;
    }
    let mut clusters = Clusters { folder: folder.name.clone(), ..Clusters::default() };
    let mut classes = [0; SIZES.len()];
    tally.close(|hash, rows| {
        if let Some(class) = SIZES.partition_point(|from| *from <= rows).checked_sub(1) {
            classes[class] += 1;
            clusters.clusters += 1;
            clusters.rows += rows;
            clusters.largest = clusters.largest.max(rows);
            top.offer(hash, rows);
        }
    })?;
    let bin =
        |(i, count): (usize, &u64)| Bin { from: SIZES[i], to: SIZES.get(i + 1).copied(), count: *count };
    clusters.sizes = classes.iter().enumerate().map(bin).filter(|bin| bin.count > 0).collect();
    clusters.top = shown(&road[..=stop], top.texts(&tables, CLUSTER, scanner)?, scanner)?;
    Ok(Some(clusters))
}

/// The groups with the pictures of the rows that stand for them.
fn shown(road: &[Folder], groups: Vec<Count>, scanner: &Scanner<'_>) -> Result<Vec<Cluster>> {
    let pictures = find(road, groups.iter().map(|group| Some(group.value.clone())), scanner)?;
    let group = |Count { value, rows }| {
        let thumbnail = pictures.get(&value).cloned();
        Cluster { cluster: value, rows, thumbnail }
    };
    Ok(groups.into_iter().map(group).collect())
}

struct Members<'a>(&'a Tally);

impl Sum for Members<'_> {
    fn add(&mut self, rows: &Rows) -> Result<()> {
        let by = rows.text(&[DROPPED_BY]);
        let counts = |row: &usize| cell(by.as_ref(), *row) != Some(CONTAMINATED);
        self.0.add(CLUSTER.hashes(rows, (0..rows.len()).filter(counts)).into_iter())
    }

    fn merge(&mut self, _: Self) {}
}
