//! The folders that are written, and the plan of each: it says what decides its rows, and how many there are.

use serde_json::json;

use super::Job;
use super::arrange::Arrangement;
use super::config::{Order, Share};
use super::scatter::Targets;
use super::summary::{ReshardSummary, SideSummary};
use crate::store::Store;
use crate::unit::{self, Plan, Selection, StageSummary, pending};
use crate::{Error, Result};

/// A folder that is written.
pub(super) struct Side {
    name: String,
    share: f64,
    pub(super) output: String,
}

impl Job<'_> {
    pub(super) fn sides(&self) -> Vec<Side> {
        let path = &self.config.output.path;
        match self.config.split.sides.as_slice() {
            [] => vec![Side { name: String::new(), share: 1.0, output: path.clone() }],
            sides => {
                let output = |name: &str| format!("{}/{name}", path.trim_end_matches('/'));
                let side = |side: &Share| Side {
                    name: side.name.clone(),
                    share: side.share,
                    output: output(&side.name),
                };
                sides.iter().map(side).collect()
            }
        }
    }

    /// The plan of a side with so many rows.
    fn plan(&self, side: &Side, rows: u64) -> Result<Plan> {
        let config = self.config;
        let subset = self.chooser.subset.as_ref().map(|subset| {
            json!({
                "list": subset.digest, "key": subset.key, "column": subset.column,
                "repeat": config.subset.repeat,
            })
        });
        let by_seed = !config.split.sides.is_empty() || config.order.kind == Order::Shuffle;
        let decides = json!({
            "side": side.name, "sides": config.split.sides, "split_by": self.chooser.split_by(),
            "subset": subset, "order": config.order, "seed": by_seed.then_some(config.seed),
            "rekey": config.output.rekey,
        });
        let per_unit = config.output.rows_per_unit;
        Plan::gathering(self.source.format(), &decides, self.inputs.clone(), rows, per_unit)
    }

    /// The plans of an earlier run that does the same, so that rows need not be counted again.
    pub(super) fn earlier(&self, sides: &[Side]) -> Result<Option<Vec<Plan>>> {
        let mut plans = Vec::new();
        for side in sides {
            let Some(plan) = Store::open(&side.output).and_then(|store| Plan::load(&store)).ok() else {
                return Ok(None);
            };
            plans.push((self.plan(side, 0)?.plan_id == plan.plan_id, plan));
        }
        let same = !self.options.fresh && plans.iter().all(|(same, _)| *same);
        Ok(same.then(|| plans.into_iter().map(|(_, plan)| plan).collect()))
    }

    pub(super) fn plans(&self, sides: &[Side], arrangement: &Arrangement) -> Result<Vec<Plan>> {
        let rows = |side: usize| arrangement.rows(side);
        if let Some(subset) = &self.chooser.subset
            && (0..sides.len()).all(|side| rows(side) == 0)
            && self.source.rows() > 0
        {
            let (entries, column) = (subset.len(), &subset.column);
            let message = format!("leaves no row: {entries} entries, looked up in column `{column}`");
            return Err(Error::input(&subset.path, message)
                .with_hint("is that the right column? --on names another one of the shards"));
        }
        sides.iter().enumerate().map(|(index, side)| self.plan(side, rows(index))).collect()
    }

    /// Puts the plans into their folders.
    pub(super) fn settle(&self, sides: &[Side], plans: &[Plan]) -> Result<()> {
        if !self.config.split.sides.is_empty() {
            let around = Store::create(&self.config.output.path)?;
            unit::refuse_foreign(&around)?;
            if self.options.fresh {
                unit::start_over(&around)?;
            }
            if around.exists("plan.json")? {
                let error = Error::input(around.location(), "holds shards that are on no side of the split");
                return Err(
                    error.with_hint("choose another --out, or start over with --fresh (deletes them)")
                );
            }
        }
        for (side, plan) in sides.iter().zip(plans) {
            let store = Store::create(&side.output)?;
            unit::refuse_foreign(&store)?;
            if self.options.fresh {
                unit::start_over(&store)?;
            }
            plan.settle(&store)?;
        }
        Ok(())
    }

    /// What is still to be done.
    pub(super) fn targets(
        &self,
        sides: &[Side],
        plans: &[Plan],
        selections: &[Option<Selection>],
    ) -> Result<Targets> {
        let mut targets = Targets::new(self.config.output.rows_per_unit);
        for ((side, plan), selection) in sides.iter().zip(plans).zip(selections) {
            let units = match selection {
                Some(selection) => pending(&Store::open(&side.output)?, plan, *selection)?.units,
                None => Vec::new(),
            };
            targets.add(plan.units.len(), units.iter().map(|unit| unit.index));
        }
        Ok(targets)
    }

    pub(super) fn summary(
        &self,
        sides: &[Side],
        plans: &[Plan],
        stages: Vec<(usize, StageSummary)>,
    ) -> ReshardSummary {
        let rows: u64 = plans.iter().map(Plan::rows).sum();
        let side = |(index, stage): (usize, StageSummary)| SideSummary {
            name: sides[index].name.clone(),
            share_asked: sides[index].share,
            share: plans[index].rows() as f64 / rows.max(1) as f64,
            stage,
        };
        ReshardSummary {
            rows_read: self.source.rows(),
            rows,
            split_by: self.chooser.split_by().map(str::to_owned),
            sides: stages.into_iter().map(side).collect(),
            seconds: self.started.elapsed().as_secs_f64(),
        }
    }
}

/// What is to be done on each side: a unit's number counts through all of them.
pub(super) fn selections(selection: Selection, plans: &[Plan]) -> Result<Vec<Option<Selection>>> {
    let Selection::One(mut unit) = selection else { return Ok(vec![Some(Selection::All); plans.len()]) };
    let units: Vec<usize> = plans.iter().map(|plan| plan.units.len()).collect();
    let (wanted, last) = (unit, units.iter().sum::<usize>() - 1);
    let mut selections = vec![None; plans.len()];
    for (selection, units) in selections.iter_mut().zip(units) {
        if unit < units {
            *selection = Some(Selection::One(unit));
            return Ok(selections);
        }
        unit -= units;
    }
    Err(Error::Unit { message: format!("no unit {wanted}: the plan has units 0 to {last}") })
}
