//! The manifest that merges the commits, the sweeping up after killed attempts, and starting over.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::attempt::{UnitFile, delete};
use super::commit::{COMMITS, Commit, records, stats_name, write_stats};
use super::names::{final_name, is_attempt, is_stats};
use super::plan::{PLAN, Plan, to_json};
use crate::atomic::is_foreign_temporary;
use crate::store::Store;
use crate::{Error, Result};

/// What [`finish`] writes.
const MANIFEST: &str = "manifest.json";

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
    /// Rows.
    pub rows: u64,
    /// The files under their final names.
    pub files: Vec<UnitFile>,
}

impl From<&Commit> for Shard {
    fn from(commit: &Commit) -> Self {
        Self { unit: commit.unit, rows: commit.rows, files: commit.files.clone() }
    }
}

/// Merges the commits into `manifest.json` and makes up for what a kill left undone: final names, stats files. Once
/// nothing is missing, it removes the files of killed and losing attempts, and whatever else a kill left half made.
pub fn finish(store: &Store) -> Result<Manifest> {
    let plan = Plan::load(store)?;
    let names = store.names()?;
    let commits = complete(store, &plan, &names)?;
    let manifest = merge(&plan, &commits);
    store.put(MANIFEST, to_json(&manifest)?)?;
    if manifest.missing.is_empty() {
        let files = commits.iter().flat_map(|commit| &commit.files);
        let kept: BTreeSet<&str> = files.map(|file| file.name.as_str()).collect();
        let over = |name: &&String| is_attempt(name) || is_foreign_temporary(name);
        for name in names.iter().filter(over).filter(|name| !kept.contains(name.as_str())) {
            delete(store, name)?;
        }
    }
    Ok(manifest)
}

/// The commits, their files under final names and their stats written. `names` are those in the store.
fn complete(store: &Store, plan: &Plan, names: &BTreeSet<String>) -> Result<Vec<Commit>> {
    let mut commits = records(store)?;
    for commit in &mut commits {
        let unnamed = commit.files.iter().any(|file| names.contains(&file.name));
        for file in commit.files.iter_mut().filter(|file| !names.contains(&file.name)) {
            file.name = final_name(&file.name);
        }
        if unnamed {
            commit.publish(store)?;
        }
        if !names.contains(&stats_name(plan, commit.unit)) {
            write_stats(store, plan, commit)?;
        }
    }
    Ok(commits)
}

fn merge(plan: &Plan, commits: &[Commit]) -> Manifest {
    let done: BTreeSet<usize> = commits.iter().map(|commit| commit.unit).collect();
    let mut counts = BTreeMap::new();
    for (outcome, rows) in commits.iter().flat_map(|commit| &commit.counts) {
        *counts.entry(outcome.clone()).or_insert(0) += rows;
    }
    Manifest {
        version: 2,
        format: plan.format.clone(),
        plan_id: plan.plan_id.clone(),
        units: plan.units.len(),
        missing: plan.units.iter().map(|unit| unit.index).filter(|index| !done.contains(index)).collect(),
        rows: commits.iter().map(|commit| commit.rows).sum(),
        bytes: commits.iter().map(Commit::bytes).sum(),
        counts,
        shards: commits.iter().map(Shard::from).collect(),
    }
}

/// Deletes a plan's output (and nothing else) from the store, the plan last: what `--fresh` does.
///
/// A kill in between leaves a plan that no run takes for its own, so that only `--fresh` goes on from there.
pub fn start_over(store: &Store) -> Result<()> {
    if let Ok(mut plan) = Plan::load(store) {
        "discarded".clone_into(&mut plan.plan_id);
        store.put(PLAN, to_json(&plan)?)?;
    }
    for entry in store.list(COMMITS)? {
        let record = format!("{COMMITS}/{}", entry.name);
        let commit = store.get(&record)?.and_then(|bytes| serde_json::from_slice::<Commit>(&bytes).ok());
        for file in commit.iter().flat_map(|commit| &commit.files) {
            delete(store, &file.name)?;
            delete(store, &final_name(&file.name))?;
        }
        store.delete(&record)?;
    }
    for name in store.names()? {
        if is_attempt(&name) || is_stats(&name) || is_foreign_temporary(&name) || name == MANIFEST {
            delete(store, &name)?;
        }
    }
    store.delete(PLAN)
}

/// Refuses a store that holds another program's shards, for which a run would take or overwrite them.
///
/// # Errors
/// [`Error::Input`] naming what is there.
pub fn refuse_foreign(store: &Store) -> Result<()> {
    if store.exists(PLAN)? {
        return Ok(());
    }
    let names = store.names()?;
    let Some(name) = super::foreign(&names) else { return Ok(()) };
    let error = Error::input(store.display(name), "another program wrote this: img2dataset, by its name");
    Err(error.with_hint(
        "choose another --out: shards of two programs in one folder could not be told apart by their readers",
    ))
}
