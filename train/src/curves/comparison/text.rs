//! A comparison in the terminal.

use pipeline::terminal::Screen;

use super::super::scale::number;
use super::super::text::{Curve, Plot, WIDEST};
use super::{Compared, Comparison, LOSSES};

/// Lines of a plot.
const TALL: usize = 14;
/// For what a run does not have.
pub(super) const NONE: &str = "–";

impl Comparison {
    /// Plots and tables for a screen.
    #[must_use]
    pub fn text(&self, screen: Screen) -> String {
        let plots = LOSSES.map(|(kind, title)| {
            let curves = self.0.iter().map(|run| curve(run, kind)).collect();
            let width = screen.columns.min(WIDEST);
            Plot { title, curves, width, height: TALL, colour: screen.colour }.lines().join("\n")
        });
        let parts = plots.into_iter().chain([self.table()]).filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join("\n\n")
    }

    /// What came out, and the keys that differ.
    pub(super) fn table(&self) -> String {
        let mut rows = vec![HEADINGS.map(str::to_owned).to_vec()];
        rows.extend(self.0.iter().map(|run| row(run).to_vec()));
        let keys = self.differing();
        if keys.is_empty() {
            return format!("{}\n\nno key of run.toml differs", aligned(&rows));
        }
        let names = self.0.iter().map(|run| run.name.clone());
        let mut differences = vec![std::iter::once("key".to_owned()).chain(names).collect::<Vec<_>>()];
        differences.extend(keys.iter().map(|key| {
            let values = self.0.iter().map(|run| run.value(key).to_owned());
            std::iter::once((*key).to_owned()).chain(values).collect()
        }));
        format!("{}\n\n{}", aligned(&rows), aligned(&differences))
    }
}

fn curve<'a>(run: &'a Compared, kind: &str) -> Curve<'a> {
    Curve { name: &run.name, points: run.points(kind), marked: false }
}

pub(super) const HEADINGS: [&str; 5] = ["run", "step", "train loss", "best held-out loss", "speed"];

/// What came out of one run.
pub(super) fn row(run: &Compared) -> [String; 5] {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
    [
        run.name.clone(),
        or_none(run.step().map(|step| step.to_string())),
        or_none(run.curves.last("loss").map(number)),
        or_none(run.best().map(|(step, loss)| format!("{} at step {step}", number(loss)))),
        or_none(run.curves.speed().map(|(speed, what)| format!("{} {what}", number(speed)))),
    ]
}

/// Rows whose columns begin below each other.
fn aligned(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|text| text.chars().count()).max().unwrap_or(0)
    };
    let cell = |(column, text): (usize, &String)| format!("{text:width$}", width = width(column));
    let line = |row: &Vec<String>| {
        let cells: Vec<_> = row.iter().enumerate().map(cell).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
