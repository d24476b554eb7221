//! Commit records, the manifest that merges them, and the sweeping up after killed attempts.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::plan::{PLAN, Plan, to_json};
use super::run::Produced;
use super::{Unit, label};
use crate::store::Store;
use crate::{Error, Result};

/// Folder of the commit records.
const COMMITS: &str = "_commits";
/// What [`finish`] writes.
const MANIFEST: &str = "manifest.json";

/// The record that makes an attempt's file the unit's shard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Commit {
    /// Version of this file.
    pub version: u32,
    /// The plan it belongs to.
    pub plan_id: String,
    /// The unit.
    pub unit: usize,
    /// The shard's file name.
    pub file: String,
    /// Its rows.
    pub rows: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Rows per outcome: of a crawl, per [`crate::reason::Reason`] code.
    pub counts: BTreeMap<String, u64>,
    /// What else is worth knowing (times, attempts): written to `NNNNN_stats.json`, never into a shard.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub stats: serde_json::Value,
}

/// All shards of an output folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this file.
    pub version: u32,
    /// What the shards are, for example `pairs/1`.
    pub format: String,
    /// The plan.
    pub plan_id: String,
    /// Units in the plan.
    pub units: usize,
    /// Units without a commit.
    pub missing: Vec<usize>,
    /// Rows of all shards.
    pub rows: u64,
    /// Bytes of all shards.
    pub bytes: u64,
    /// Rows per outcome over all shards.
    pub counts: BTreeMap<String, u64>,
    /// The shards in unit order.
    pub shards: Vec<Shard>,
}

/// One shard in the manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shard {
    /// The unit.
    pub unit: usize,
    /// File name.
    pub file: String,
    /// Rows.
    pub rows: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// Makes an attempt's file the unit's shard; `None` if another attempt was first (the file is then deleted).
pub fn record(store: &Store, plan: &Plan, unit: &Unit, produced: Produced) -> Result<Option<Commit>> {
    let commit = Commit {
        version: 1,
        plan_id: plan.plan_id.clone(),
        unit: unit.index,
        file: produced.file,
        rows: produced.rows,
        bytes: produced.bytes,
        sha256: produced.sha256,
        counts: produced.counts,
        stats: produced.stats,
    };
    if !store.put_if_absent(&commit_name(unit.index), to_json(&commit)?)? {
        store.delete(&commit.file)?;
        return Ok(None);
    }
    write_stats(store, &commit)?;
    Ok(Some(commit))
}

fn commit_name(unit: usize) -> String {
    format!("{COMMITS}/{}.json", label(unit))
}

/// Whether some attempt has made the unit's shard.
pub(super) fn is_committed(store: &Store, unit: usize) -> Result<bool> {
    Ok(store.get(&commit_name(unit))?.is_some())
}

fn stats_name(unit: usize) -> String {
    format!("{}_stats.json", label(unit))
}

fn write_stats(store: &Store, commit: &Commit) -> Result<()> {
    if commit.stats.is_null() {
        return Ok(());
    }
    store.put(&stats_name(commit.unit), to_json(&commit.stats)?)
}

/// The committed shards, sorted by unit: what readers trust.
pub fn committed(store: &Store) -> Result<Vec<Commit>> {
    let mut commits = Vec::new();
    for entry in store.list(COMMITS)? {
        if !entry.name.ends_with(".json") || entry.name.starts_with('.') {
            continue;
        }
        let name = format!("{COMMITS}/{}", entry.name);
        let Some(bytes) = store.get(&name)? else { continue };
        let commit: Commit =
            serde_json::from_slice(&bytes).map_err(|e| Error::input(store.display(&name), e.to_string()))?;
        commits.push(commit);
    }
    commits.sort_by_key(|commit| commit.unit);
    Ok(commits)
}

/// Merges the commits into `manifest.json`; once nothing is missing, removes the files of killed and losing attempts.
pub fn finish(store: &Store) -> Result<Manifest> {
    let plan = Plan::load(store)?;
    let commits = committed(store)?;
    let done: BTreeSet<usize> = commits.iter().map(|commit| commit.unit).collect();
    let mut counts = BTreeMap::new();
    for (outcome, rows) in commits.iter().flat_map(|commit| &commit.counts) {
        *counts.entry(outcome.clone()).or_insert(0) += rows;
    }
    let manifest = Manifest {
        version: 1,
        format: plan.format.clone(),
        plan_id: plan.plan_id.clone(),
        units: plan.units.len(),
        missing: plan.units.iter().map(|unit| unit.index).filter(|index| !done.contains(index)).collect(),
        rows: commits.iter().map(|commit| commit.rows).sum(),
        bytes: commits.iter().map(|commit| commit.bytes).sum(),
        counts,
        shards: commits.iter().map(Shard::from).collect(),
    };
    let names: BTreeSet<String> = store.list("")?.into_iter().map(|entry| entry.name).collect();
    for commit in commits.iter().filter(|commit| !names.contains(&stats_name(commit.unit))) {
        write_stats(store, commit)?;
    }
    store.put(MANIFEST, to_json(&manifest)?)?;
    if manifest.missing.is_empty() {
        let kept: BTreeSet<&str> = commits.iter().map(|commit| commit.file.as_str()).collect();
        for name in names.iter().filter(|name| is_attempt(name) && !kept.contains(name.as_str())) {
            store.delete(name)?;
        }
    }
    Ok(manifest)
}

impl From<&Commit> for Shard {
    fn from(commit: &Commit) -> Self {
        Self {
            unit: commit.unit,
            file: commit.file.clone(),
            rows: commit.rows,
            bytes: commit.bytes,
            sha256: commit.sha256.clone(),
        }
    }
}

/// Whether a name is `00017-0123456789abcdef.parquet` or the temporary of one: only such files are ever swept.
fn is_attempt(name: &str) -> bool {
    let temporary = name.strip_prefix('.').filter(|name| name.ends_with(crate::atomic::TEMPORARY));
    let Some((unit, rest)) = temporary.unwrap_or(name).split_once('-') else { return false };
    let Some((tag, _extension)) = rest.split_once('.') else { return false };
    unit.len() >= 5
        && unit.bytes().all(|b| b.is_ascii_digit())
        && tag.len() == 16
        && tag.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Deletes a plan's output (and nothing else) from the store, the plan last: what `--fresh` does.
pub fn start_over(store: &Store) -> Result<()> {
    for entry in store.list(COMMITS)? {
        store.delete(&format!("{COMMITS}/{}", entry.name))?;
    }
    for entry in store.list("")? {
        let stats =
            entry.name.strip_suffix("_stats.json").is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
        if is_attempt(&entry.name) || stats || entry.name == MANIFEST {
            store.delete(&entry.name)?;
        }
    }
    store.delete(PLAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_attempts_are_swept() {
        for name in ["00000-0123456789abcdef.parquet", ".123456-0123456789abcdef.parquet.77-0.tmp"] {
            assert!(is_attempt(name), "{name}");
        }
        for name in [
            "00000.parquet",
            "00000_stats.json",
            "notes-0123456789abcdef.txt",
            "plan.json",
            ".plan.json.1-1.tmp",
        ] {
            assert!(!is_attempt(name), "{name}");
        }
    }
}
