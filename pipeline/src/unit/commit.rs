//! Commit records: which attempt's files are a unit's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::attempt::{Produced, UnitFile, delete};
use super::names::{final_name, is_dropped};
use super::plan::{Plan, to_json};
use super::{Unit, hex, label};
use crate::python_json::Json;
use crate::store::Store;
use crate::{Error, Result};

/// Folder of the commit records.
pub(super) const COMMITS: &str = "_commits";

/// The record that makes an attempt's files the unit's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Commit {
    /// Version of this file.
    pub version: u32,
    /// The plan it belongs to.
    pub plan_id: String,
    /// The unit.
    pub unit: usize,
    /// The files: as stored, under the attempt's names; as [`committed`] gives them, under those they have now.
    pub files: Vec<UnitFile>,
    /// Rows.
    pub rows: u64,
    /// Rows per outcome: of a crawl, per [`crate::reason::Reason`] code.
    pub counts: BTreeMap<String, u64>,
    /// What else is worth knowing (times, attempts): written to `NNNNN_stats.json`, never into a shard.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub stats: serde_json::Value,
}

impl Commit {
    /// The unit's table, which every kind of unit has that holds rows at all.
    pub fn table(&self) -> Option<&str> {
        let mut names = self.files.iter().map(|file| file.name.as_str());
        names.find(|name| name.ends_with(".parquet") && !is_dropped(name))
    }

    /// Size of all files in bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// SHA-256 of the unit's file; of several files that over their hashes.
    pub fn sha256(&self) -> String {
        match self.files.as_slice() {
            [file] => file.sha256.clone(),
            files => {
                let all: String = files.iter().map(|file| file.sha256.as_str()).collect();
                hex(&Sha256::digest(all.as_bytes()))
            }
        }
    }

    /// Gives the files their final names, the table last: once that is there, so are the others. A unit with a folder
    /// keeps its names in a bucket, where copying thousands of files would be no small step.
    pub(super) fn publish(&mut self, store: &Store) -> Result<()> {
        if !store.renames_folders() && self.files.iter().any(|file| file.name.ends_with('/')) {
            return Ok(());
        }
        for file in &mut self.files {
            let name = final_name(&file.name);
            if name != file.name {
                store.rename(&file.name, &name)?;
                file.name = name;
            }
        }
        Ok(())
    }
}

/// Makes an attempt's files the unit's; `None` if another attempt was first (the files are then deleted).
pub fn record(store: &Store, plan: &Plan, unit: &Unit, produced: Produced) -> Result<Option<Commit>> {
    let Produced { files, rows, counts, stats } = produced;
    let plan_id = plan.plan_id.clone();
    let mut commit = Commit { version: 2, plan_id, unit: unit.index, files, rows, counts, stats };
    if !store.put_if_absent(&commit_name(unit.index), to_json(&commit)?)? && !is_mine(store, &commit)? {
        for file in &commit.files {
            delete(store, &file.name)?;
        }
        return Ok(None);
    }
    commit.publish(store)?;
    write_stats(store, plan, &commit)?;
    Ok(Some(commit))
}

/// Whether the record that is there is this one: a bucket may have taken it though the answer was lost on the way, and
/// the request sent again was then too late for itself. No files to tell attempts apart means nothing to delete either.
fn is_mine(store: &Store, commit: &Commit) -> Result<bool> {
    let found = read(store, &commit_name(commit.unit))?;
    Ok(found.is_some_and(|found| !commit.files.is_empty() && found.files == commit.files))
}

fn commit_name(unit: usize) -> String {
    format!("{COMMITS}/{}.json", label(unit))
}

/// Whether some attempt has made the unit's files.
pub(super) fn is_committed(store: &Store, unit: usize) -> Result<bool> {
    Ok(store.get(&commit_name(unit))?.is_some())
}

pub(super) fn stats_name(plan: &Plan, unit: usize) -> String {
    format!("{}_stats.json", plan.label(unit))
}

/// The stats file, spelt as Python spells it. The last of a unit's files: to img2dataset it says that a shard is done.
pub(super) fn write_stats(store: &Store, plan: &Plan, commit: &Commit) -> Result<()> {
    if commit.stats.is_null() {
        return Ok(());
    }
    match store.put(&stats_name(plan, commit.unit), Json::from(&commit.stats).dumps()) {
        // Whoever finished meanwhile wrote it and swept up, this one's temporary as well.
        Err(error) if error.is_not_found() => Ok(()),
        written => written,
    }
}

fn read(store: &Store, name: &str) -> Result<Option<Commit>> {
    let Some(bytes) = store.get(name)? else { return Ok(None) };
    let unreadable = |e: serde_json::Error| {
        Error::input(store.display(name), e.to_string())
            .with_hint("an earlier version wrote it, or it is damaged: start over with --fresh")
    };
    serde_json::from_slice(&bytes).map(Some).map_err(unreadable)
}

/// The records as they are stored, sorted by unit.
pub(super) fn records(store: &Store) -> Result<Vec<Commit>> {
    let mut commits = Vec::new();
    for entry in store.list(COMMITS)? {
        if entry.name.ends_with(".json") && !entry.name.starts_with('.') {
            commits.extend(read(store, &format!("{COMMITS}/{}", entry.name))?);
        }
    }
    commits.sort_by_key(|commit| commit.unit);
    Ok(commits)
}

/// The committed units in order, with the names that their files have now: what readers trust.
pub fn committed(store: &Store) -> Result<Vec<Commit>> {
    let mut commits = records(store)?;
    if commits.is_empty() {
        return Ok(commits);
    }
    let names = store.names()?;
    for file in commits.iter_mut().flat_map(|commit| &mut commit.files) {
        if !names.contains(&file.name) {
            file.name = final_name(&file.name);
        }
    }
    Ok(commits)
}
