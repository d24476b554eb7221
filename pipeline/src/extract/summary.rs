//! What an extraction tells at its end.

use std::time::Duration;

use serde::Serialize;

use super::config::{Compat, ExtractConfig};
use super::counts::ExtractCounts;
use crate::Result;
use crate::crawl::ByteSize;
use crate::progress::clock;
use crate::store::Store;
use crate::unit::{self, Commit, Manifest, Outcome, Plan, Selection, Todo};

/// The result of an extraction: the counts are those of the whole output folder, the time that of this run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExtractSummary {
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
    /// Rows in all tables.
    pub rows: u64,
    /// What was read and what came of it, over all units.
    pub counts: ExtractCounts,
    /// Bytes of all tables.
    pub table_bytes: u64,
    /// Seconds of this run.
    pub seconds: f64,
    /// The column of the caption.
    #[serde(skip)]
    pub caption_column: &'static str,
}

impl ExtractSummary {
    pub(super) fn of(
        config: &ExtractConfig,
        store: &Store,
        plan: &Plan,
        todo: &Todo,
        outcome: &Outcome,
        took: Duration,
    ) -> Result<Self> {
        let commits = unit::committed(store)?;
        let mut counts = ExtractCounts::default();
        for commit in &commits {
            // A table of another version may lack some counts, which are zero then.
            counts += &serde_json::from_value(commit.stats.clone()).unwrap_or_default();
        }
        Ok(Self {
            output: config.output.path.clone(),
            plan_id: plan.plan_id.clone(),
            units: plan.units.len(),
            units_before: todo.done(),
            units_done: outcome.done,
            units_missing: plan.units.len().saturating_sub(commits.len()),
            rows: commits.iter().map(|commit| commit.rows).sum(),
            counts,
            table_bytes: commits.iter().map(Commit::bytes).sum(),
            seconds: took.as_secs_f64(),
            caption_column: if config.output.compat == Compat::Cc2dataset { "alt" } else { "caption" },
        })
    }

    /// A run that found everything done; makes up for a manifest that a kill prevented.
    pub(super) fn nothing_to_do(
        config: &ExtractConfig,
        store: &Store,
        plan: &Plan,
        todo: &Todo,
    ) -> Result<Self> {
        let manifest: Option<Manifest> = match todo.selection() {
            Selection::All => Some(unit::finish(store)?),
            Selection::One(_) => None,
        };
        Self::of(config, store, plan, todo, &Outcome { done: 0, lost: 0, manifest }, Duration::ZERO)
    }

    /// Whether this run found nothing to do.
    pub fn already_done(&self) -> bool {
        self.units_done == 0 && self.units_before > 0
    }

    /// The lines for people.
    pub fn text(&self) -> String {
        let first = match (self.already_done(), self.units_missing, self.units_before) {
            (false, ..) => format!("{} units in {}", self.units_done, clock(self.seconds.round() as u64)),
            (true, 0, _) => format!("all {} units already done", self.units),
            (true, _, 1) => "this unit is already done".to_owned(),
            (true, missing, before) => format!("{before} units already done, {missing} missing"),
        };
        let mut lines = vec![first, self.counted()];
        lines.extend(self.left_out());
        lines.push(format!("{} in {}", ByteSize(self.table_bytes).human(), self.output));
        lines.extend(self.advice());
        lines.join("\n")
    }

    fn counted(&self) -> String {
        let counts = &self.counts;
        let share = 100.0 * counts.without_caption as f64 / counts.links.max(1) as f64;
        let records = match counts.records {
            0 => String::new(),
            records => format!("{records} records, "),
        };
        format!(
            "{records}{} pages: {} links, {} of them without a caption ({share:.1} %)",
            counts.pages, counts.links, counts.without_caption
        )
    }

    /// What was counted and gave no row.
    fn left_out(&self) -> Vec<String> {
        let counts = &self.counts;
        let reasons = |name: &str, reasons: Vec<(String, u64)>| {
            let all: u64 = reasons.iter().map(|(_, count)| count).sum();
            let list: Vec<_> = reasons.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
            (all > 0).then(|| format!("{all} {name}: {}", list.join(", ")))
        };
        let malformed = counts.malformed.iter().map(|(reason, count)| (reason.to_string(), *count)).collect();
        let failed = counts.failed.iter().map(|(reason, count)| (reason.to_string(), *count)).collect();
        let single = [
            (counts.opted_out, "pages opt out of collection"),
            (counts.revisits, "revisits of pages that were archived before"),
            (counts.not_links, "images whose references are no links (data:, relative without a base, …)"),
            (counts.over_limit, "links beyond page.max_links"),
            (counts.uncaptioned, "links without a caption left out"),
            (counts.duplicates, "links that were there before"),
        ];
        let single = single.iter().filter(|(count, _)| *count > 0);
        let single = single.map(|(count, what)| format!("{count} {what}"));
        let lists = [reasons("malformed", malformed), reasons("pages did not arrive", failed)];
        lists.into_iter().flatten().chain(single).collect()
    }

    fn advice(&self) -> Option<String> {
        let counts = &self.counts;
        (counts.not_links > counts.links && counts.records == 0).then(|| {
            "hint: most references are relative and their pages do not say where they are from: add --base http://…/"
                .to_owned()
        })
    }

    /// The command that comes after it.
    pub fn next_command(&self) -> String {
        let caption = match self.caption_column {
            "caption" => String::new(),
            column => format!(" --caption-col {column}"),
        };
        format!("pipeline crawl {}{caption} --out data/pairs", self.output)
    }
}

#[cfg(test)]
mod tests {
    use super::super::counts::Malformed;
    use super::*;
    use crate::reason::Reason;

    fn summary(before: usize, done: usize) -> ExtractSummary {
        let mut counts = ExtractCounts {
            records: 40,
            pages: 12,
            links: 200,
            without_caption: 50,
            opted_out: 1,
            ..ExtractCounts::default()
        };
        counts.malformed(Malformed::Checksum);
        counts.malformed(Malformed::Json);
        counts.failed(Reason::Robots);
        ExtractSummary {
            output: "data/links".into(),
            plan_id: "ab".into(),
            units: 3,
            units_before: before,
            units_done: done,
            units_missing: 3 - before - done,
            rows: 200,
            counts,
            table_bytes: 3 << 20,
            seconds: 10.0,
            caption_column: "caption",
        }
    }

    #[test]
    fn everything_that_was_counted_is_told() {
        insta::assert_snapshot!(summary(0, 3).text(), @r"
        3 units in 10s
        40 records, 12 pages: 200 links, 50 of them without a caption (25.0 %)
        2 malformed: checksum 1, json 1
        1 pages did not arrive: robots 1
        1 pages opt out of collection
        3.0 MiB in data/links
        ");
        assert_eq!(summary(0, 3).next_command(), "pipeline crawl data/links --out data/pairs");
    }

    #[test]
    fn a_second_run_says_that_there_is_nothing_to_do() {
        assert!(summary(3, 0).text().starts_with("all 3 units already done\n"));
        assert!(summary(1, 0).text().starts_with("this unit is already done\n"));
    }

    #[test]
    fn relative_references_without_a_base_get_a_hint() {
        let counts = ExtractCounts { not_links: 9, links: 1, ..ExtractCounts::default() };
        let text = ExtractSummary { counts, ..summary(0, 3) }.text();
        assert!(text.ends_with("add --base http://…/"), "{text}");
    }
}
