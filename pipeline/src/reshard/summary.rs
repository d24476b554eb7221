//! What a reshard tells at its end.

use serde::Serialize;

use crate::crawl::ByteSize;
use crate::progress::clock;
use crate::unit::StageSummary;

/// The result of a reshard.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReshardSummary {
    /// Rows of the inputs.
    pub rows_read: u64,
    /// Rows of the output, all sides together.
    pub rows: u64,
    /// Column that the split went by; `None` without a split.
    pub split_by: Option<String>,
    /// The sides of the split in their order; without a split the one folder.
    pub sides: Vec<SideSummary>,
    /// Seconds of this run.
    pub seconds: f64,
}

/// A side of a split.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SideSummary {
    /// Its name; empty without a split.
    pub name: String,
    /// The share that was asked for.
    pub share_asked: f64,
    /// The share of the rows that it has.
    pub share: f64,
    /// Its folder.
    #[serde(flatten)]
    pub stage: StageSummary,
}

impl ReshardSummary {
    /// Units that are missing on any side.
    pub fn units_missing(&self) -> usize {
        self.sides.iter().map(|side| side.stage.units_missing).sum()
    }

    /// The lines for people.
    pub fn text(&self) -> String {
        let (done, before): (usize, usize) = self.sides.iter().fold((0, 0), |(done, before), side| {
            (done + side.stage.units_done, before + side.stage.units_before)
        });
        let mut lines = vec![match (done, before) {
            (0, 1..) => "nothing to do: all of this is done".to_owned(),
            _ => format!(
                "{} of {} rows in {done} shards, {}",
                self.rows,
                self.rows_read,
                clock(self.seconds.round() as u64)
            ),
        }];
        if let Some(column) = &self.split_by {
            lines.push(format!("split by `{column}`"));
        }
        lines.extend(self.sides.iter().map(SideSummary::line));
        lines.join("\n")
    }
}

impl SideSummary {
    fn line(&self) -> String {
        let StageSummary { rows, bytes, units, units_missing, output, .. } = &self.stage;
        let name = match self.name.as_str() {
            "" => String::new(),
            name => format!("{name}: {:.2} % for {} %, ", 100.0 * self.share, percent(self.share_asked)),
        };
        let shards = units - units_missing;
        format!("{name}{rows} rows, {shards} shards, {} in {output}", ByteSize(*bytes).human())
    }
}

/// `98`, `2.5`: without the digits that a binary fraction adds.
fn percent(share: f64) -> f64 {
    (share * 1e8).round() / 1e6
}
