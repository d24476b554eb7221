//! What a deduplication tells at its end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::stage::Stage;
use super::verdicts::Verdicts;
use crate::crawl::ByteSize;
use crate::pairs::sift::KEPT;
use crate::progress::clock;
use crate::store::Store;
use crate::unit::StageSummary;
use crate::{Error, Result};

/// Name of the report in the output folder.
pub(super) const REPORT: &str = "dedup.json";
/// Upper ends of the classes of sizes.
const SIZES: [(u32, &str); 5] = [(2, "2"), (5, "3-5"), (10, "6-10"), (100, "11-100"), (u32::MAX, "101-")];

/// What the second pass found, kept in the output folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Version of this file.
    pub version: u32,
    /// The plan.
    pub plan_id: String,
    /// Stages that were asked for and could not run, with what they lack.
    pub left_out: BTreeMap<Stage, String>,
    /// Stored pictures that could not be decoded; they have no hash, and stay.
    pub unreadable: u64,
    /// Pictures of the evaluation sets that have a hash.
    pub against: u64,
    /// Kept rows that stand for others.
    pub clusters: u64,
    /// Rows of the largest cluster.
    pub largest: u32,
    /// Clusters by how many rows they have, the kept one included.
    pub sizes: BTreeMap<String, u64>,
}

impl Report {
    /// Counts the clusters.
    pub(super) fn count(&mut self, verdicts: &Verdicts) {
        let sizes = verdicts.sizes();
        let kept = sizes.iter().zip(&verdicts.stages).filter(|(_, stage)| stage.is_none());
        for size in kept.map(|(size, _)| *size).filter(|size| *size > 1) {
            self.clusters += 1;
            self.largest = self.largest.max(size);
            let class = SIZES.iter().find(|(end, _)| size <= *end).map_or("", |(_, name)| name);
            *self.sizes.entry(class.to_owned()).or_default() += 1;
        }
    }

    pub(super) fn save(&self, store: &Store) -> Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(|e| Error::config(REPORT, e.to_string()))?;
        store.put(REPORT, text + "\n")
    }

    /// That of the plan, if it is there.
    pub(super) fn load(store: &Store, plan_id: &str) -> Result<Option<Self>> {
        let found = store.get(REPORT)?.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        Ok(found.filter(|report| report.plan_id == plan_id))
    }
}

/// The result of a deduplication.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DedupSummary {
    /// Units, rows and counts: `kept`, and one for each stage that dropped rows.
    #[serde(flatten)]
    pub stage: StageSummary,
    /// What was found.
    pub report: Report,
}

impl DedupSummary {
    /// The lines for people.
    pub fn text(&self) -> String {
        let Self { stage, report } = self;
        let mut lines = Vec::new();
        lines.push(match (stage.already_done(), stage.units_missing) {
            (true, 0) => format!("all {} units already done", stage.units),
            _ => format!("{} units in {}", stage.units_done, clock(stage.seconds.round() as u64)),
        });
        let share = |rows: u64| 100.0 * rows as f64 / stage.rows_read.max(1) as f64;
        let kept = stage.counts.get(KEPT).copied().unwrap_or(0);
        let mut line = format!("{} rows: kept {kept} ({:.1} %)", stage.rows_read, share(kept));
        for code in Stage::ALL.map(Stage::code) {
            if let Some(rows) = stage.counts.get(code) {
                line += &format!(", {code} {rows} ({:.1} %)", share(*rows));
            }
        }
        lines.push(line);
        if report.clusters > 0 {
            let classes = SIZES.iter().filter_map(|(_, name)| Some((name, report.sizes.get(*name)?)));
            let classes: Vec<_> = classes.map(|(name, count)| format!("{count} of {name}")).collect();
            let (clusters, largest) = (report.clusters, report.largest);
            lines
                .push(format!("{clusters} clusters: {} rows; the largest has {largest}", classes.join(", ")));
        }
        if report.unreadable > 0 {
            lines.push(format!("{} stored pictures cannot be decoded: they stay", report.unreadable));
        }
        lines.push(format!("{} in {}", ByteSize(stage.bytes).human(), stage.output));
        lines.join("\n")
    }
}
