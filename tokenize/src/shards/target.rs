//! Where a run's token shards go: one folder, or one per grid, each with a plan and commits of its own.

use std::collections::BTreeMap;

use pipeline::store::Store;
use pipeline::unit::{self, InputFile, Plan, Selection};

use super::{ShardsConfig, plan};
use crate::tokens::{FORMAT, TokenMeta};
use crate::{Error, Result};

/// The shards of one grid.
pub(super) struct Target {
    pub(super) folder: String,
    pub(super) store: Store,
    pub(super) plan: Plan,
    pub(super) meta: TokenMeta,
}

impl Target {
    /// One per grid; their plans are settled.
    ///
    /// # Errors
    /// A folder that holds the work of another plan.
    pub(super) fn all(
        config: &ShardsConfig,
        metas: &[TokenMeta],
        files: &[InputFile],
        fresh: bool,
    ) -> Result<Vec<Self>> {
        let several = metas.len() > 1;
        if several {
            refuse_single(&config.out, fresh)?;
        }
        let target = |meta: &TokenMeta| -> Result<Self> {
            let folder = if several { format!("{}/{}", config.out, meta.grid) } else { config.out.clone() };
            let decides = plan::decides(config, meta);
            let plan = Plan::new(FORMAT, &decides, files.to_vec(), config.unit_rows)?;
            let store = Store::create(&folder)?;
            if fresh {
                unit::start_over(&store)?;
            }
            plan.settle(&store)?;
            Ok(Self { folder, store, plan, meta: meta.clone() })
        };
        metas.iter().map(target).collect()
    }
}

/// A folder of folders that is itself a shard folder would be read as the latter.
fn refuse_single(out: &str, fresh: bool) -> Result<()> {
    let store = Store::create(out)?;
    if !store.exists("plan.json")? {
        return Ok(());
    }
    Err(Error::Config {
        key: "out".to_owned(),
        why: format!(
            "{out} holds the shards of a single size{}; give several sizes a folder of their own",
            if fresh { ", which --fresh leaves alone" } else { "" }
        ),
    })
}

/// The units of the selection that some grid misses.
pub(super) struct Todo {
    /// Unit → the places of the targets that miss it.
    pub(super) units: BTreeMap<usize, Vec<usize>>,
    /// Units of the selection.
    pub(super) selected: usize,
    /// Pairs of the selection, and those that are done in every grid.
    pub(super) rows: u64,
    pub(super) rows_done: u64,
}

impl Todo {
    /// # Errors
    /// A unit that the plan does not have.
    pub(super) fn new(targets: &[Target], selection: Selection) -> Result<Self> {
        let mut todo = Self { units: BTreeMap::new(), selected: 0, rows: 0, rows_done: 0 };
        let mut rows_left = BTreeMap::new();
        for (place, target) in targets.iter().enumerate() {
            let pending = unit::pending(&target.store, &target.plan, selection)?;
            (todo.selected, todo.rows) = (pending.selected, pending.rows);
            for unit in pending.units {
                todo.units.entry(unit.index).or_default().push(place);
                rows_left.insert(unit.index, unit.rows);
            }
        }
        todo.rows_done = todo.rows - rows_left.values().sum::<u64>();
        Ok(todo)
    }
}
