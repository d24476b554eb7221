//! Groups of duplicates: rows with the same value in the column `cluster`, whether they are kept or not.

use xxhash_rust::xxh3::xxh3_64;

use super::distribution::Bin;
use super::folder::Folder;
use super::record::Clusters;
use super::scan::{Rows, Scanner, Sum, cell};
use crate::Result;
use crate::pairs::Table;
use crate::pairs::sift::DROPPED_BY;
use crate::tally::Tally;

const CLUSTER: &str = "cluster";
/// Rows near to an evaluation set: their `cluster` names a picture of that.
const CONTAMINATED: &str = "contaminated";
/// Where classes of sizes begin; the last has no end.
const SIZES: [u64; 8] = [2, 3, 4, 6, 11, 21, 51, 101];

/// The groups of the last folder that has such a column.
pub(super) fn clusters(road: &[Folder], scanner: &Scanner<'_>) -> Result<Option<Clusters>> {
    let has = |table: &&Table| table.schema().column_with_name(CLUSTER).is_some();
    let with = road.iter().rev().find(|folder| folder.table.as_ref().is_some_and(|table| has(&table)));
    let Some(folder) = with else { return Ok(None) };
    let tally = Tally::new()?;
    for table in [&folder.table, &folder.dropped].into_iter().flatten().filter(has) {
        scanner.sum(table, &[CLUSTER, DROPPED_BY], || Members(&tally))?;
    }
    let mut clusters = Clusters { folder: folder.name.clone(), ..Clusters::default() };
    let mut classes = [0; SIZES.len()];
    tally.close(|_, rows| {
        if let Some(class) = SIZES.partition_point(|from| *from <= rows).checked_sub(1) {
            classes[class] += 1;
            clusters.clusters += 1;
            clusters.rows += rows;
            clusters.largest = clusters.largest.max(rows);
        }
    })?;
    let bin =
        |(i, count): (usize, &u64)| Bin { from: SIZES[i], to: SIZES.get(i + 1).copied(), count: *count };
    clusters.sizes = classes.iter().enumerate().map(bin).filter(|bin| bin.count > 0).collect();
    Ok(Some(clusters))
}

struct Members<'a>(&'a Tally);

impl Sum for Members<'_> {
    fn add(&mut self, rows: &Rows) -> Result<()> {
        let (clusters, by) = (rows.text(&[CLUSTER]), rows.text(&[DROPPED_BY]));
        let counts = |row: &usize| cell(by.as_ref(), *row) != Some(CONTAMINATED);
        let cluster = |row| cell(clusters.as_ref(), row).filter(|cluster| !cluster.is_empty());
        let named = (0..rows.len()).filter(counts).filter_map(cluster);
        self.0.add(named.map(|cluster| xxh3_64(cluster.as_bytes())))
    }

    fn merge(&mut self, _: Self) {}
}
