//! What a crawl tells at its end.

use serde::Serialize;

use super::advice;
use super::config::CrawlConfig;
use super::size::ByteSize;
use super::stats::{Counts, line};
use super::tally::Tally;
use crate::Result;
use crate::progress::clock;
use crate::reason::Reason;
use crate::store::Store;
use crate::unit::{self, Commit, Manifest, Outcome, Plan, Selection, Todo};

/// The result of a crawl: the counts are those of the whole output folder, the times and downloads those of this run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CrawlSummary {
    /// The output folder.
    pub output: String,
    /// The plan.
    pub plan_id: String,
    /// Units of the plan.
    pub units: usize,
    /// Units that were done before this run.
    pub units_before: usize,
    /// Units that this run committed.
    pub units_done: usize,
    /// Units that are still missing.
    pub units_missing: usize,
    /// Rows that this run worked on.
    pub rows_done: u64,
    /// Rows in all shards.
    pub rows: u64,
    /// Rows per reason, over all shards.
    pub counts: Counts,
    /// Bytes of all shards.
    pub shard_bytes: u64,
    /// Bytes that this run downloaded.
    pub downloaded_bytes: u64,
    /// Seconds of this run.
    pub seconds: f64,
    /// Whether the share of successes is what the config asks for.
    pub good_enough: bool,
}

impl CrawlSummary {
    pub(super) fn of(
        config: &CrawlConfig,
        store: &Store,
        plan: &Plan,
        todo: &Todo,
        outcome: &Outcome,
        tally: &Tally,
    ) -> Result<Self> {
        let (counts, rows, shard_bytes, committed) = totals(store)?;
        let mut summary = Self {
            output: config.output.path.clone(),
            plan_id: plan.plan_id.clone(),
            units: plan.units.len(),
            units_before: todo.done(),
            units_done: outcome.done,
            units_missing: plan.units.len().saturating_sub(committed),
            rows_done: tally.rows(),
            rows,
            counts,
            shard_bytes,
            downloaded_bytes: tally.bytes(),
            seconds: tally.elapsed().as_secs_f64(),
            good_enough: true,
        };
        summary.good_enough = summary.share() >= config.run.min_success;
        Ok(summary)
    }

    /// A run that found everything done; makes up for a manifest that a kill prevented.
    pub(super) fn nothing_to_do(
        config: &CrawlConfig,
        store: &Store,
        plan: &Plan,
        todo: &Todo,
    ) -> Result<Self> {
        let manifest: Option<Manifest> = match todo.selection() {
            Selection::All => Some(unit::finish(store)?),
            Selection::One(_) => None,
        };
        Self::of(config, store, plan, todo, &Outcome { done: 0, lost: 0, manifest }, &Tally::new())
    }

    /// Rows with an image.
    pub fn successes(&self) -> u64 {
        self.counts.get(&Reason::Ok).copied().unwrap_or(0)
    }

    /// Share of rows with an image, 0 to 1.
    pub fn share(&self) -> f64 {
        self.successes() as f64 / self.rows.max(1) as f64
    }

    /// Whether this run found nothing to do.
    pub fn already_done(&self) -> bool {
        self.units_done == 0 && self.units_before > 0
    }

    /// The lines for people.
    pub fn text(&self) -> String {
        let mut lines = Vec::new();
        if self.already_done() {
            lines.push(match (self.units_missing, self.units_before) {
                (0, _) => format!("all {} units already done", self.units),
                (_, 1) => "this unit is already done".to_owned(),
                (missing, before) => format!("{before} units already done, {missing} missing"),
            });
        } else {
            let rate = self.rows_done as f64 / self.seconds.max(1e-3);
            let downloaded = ByteSize(self.downloaded_bytes).human();
            let took = clock(self.seconds.round() as u64);
            lines.push(format!(
                "{} units in {took}: {downloaded} downloaded, {rate:.0} rows/s",
                self.units_done
            ));
        }
        lines.push(format!("{} rows: {}", self.rows, line(&self.counts, usize::MAX)));
        lines.push(format!("{} in {}", ByteSize(self.shard_bytes).human(), self.output));
        lines.extend(self.advice());
        lines.join("\n")
    }

    /// What to do about a class of failure that stands out.
    fn advice(&self) -> Option<String> {
        let failures = self.counts.iter().filter(|(reason, _)| **reason != Reason::Ok);
        let (reason, rows) = failures.max_by_key(|(_, rows)| **rows)?;
        advice::of(*reason, *rows, self.rows)
    }
}

/// Counts, rows and bytes of the committed shards, and how many there are.
fn totals(store: &Store) -> Result<(Counts, u64, u64, usize)> {
    let commits = unit::committed(store)?;
    let mut counts = Counts::new();
    for (code, rows) in commits.iter().flat_map(|commit| &commit.counts) {
        if let Ok(reason) = code.parse::<Reason>() {
            *counts.entry(reason).or_default() += rows;
        }
    }
    let rows = commits.iter().map(|commit| commit.rows).sum();
    let bytes = commits.iter().map(Commit::bytes).sum();
    Ok((counts, rows, bytes, commits.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(before: usize, done: usize) -> CrawlSummary {
        CrawlSummary {
            output: "data/pairs".into(),
            plan_id: "ab".into(),
            units: 3,
            units_before: before,
            units_done: done,
            units_missing: 3 - before - done,
            rows_done: 50,
            rows: 100,
            counts: [(Reason::Ok, 60), (Reason::Dns, 40)].into(),
            shard_bytes: 3 << 20,
            downloaded_bytes: 5 << 20,
            seconds: 10.0,
            good_enough: true,
        }
    }

    #[test]
    fn a_loud_failure_gets_its_advice() {
        let text = summary(0, 3).text();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "3 units in 10s: 5.0 MiB downloaded, 5 rows/s");
        assert_eq!(lines[1], "100 rows: ok 60.0 %, dns 40.0 %");
        assert!(lines[3].starts_with("hint: 40 % dns: your resolver"), "{}", lines[3]);
    }

    #[test]
    fn a_second_run_says_that_there_is_nothing_to_do() {
        assert!(summary(3, 0).text().starts_with("all 3 units already done\n"));
        assert!(summary(1, 0).text().starts_with("this unit is already done\n"));
    }
}
