//! A comparison as a page.

use maud::{Markup, html};
use pipeline::page::thousands;

use super::super::page::{Section, grid, page};
use super::super::read::{HELD_OUT, TRAIN, about};
use super::super::svg::{Chart, Line};
use super::Comparison;
use super::text::{HEADINGS, row};

/// Classes of the lines, which `chart.css` gives their colours; more runs than these share them.
const CLASSES: [&str; 8] =
    ["curve-0", "curve-1", "curve-2", "curve-3", "curve-4", "curve-5", "curve-6", "curve-7"];

impl Comparison {
    /// The whole page, which loads nothing.
    #[must_use]
    pub fn page(&self) -> String {
        let sections = [
            Section { id: "curves", title: "How they went", body: grid(&self.charts()) },
            Section { id: "keys", title: "What differs", body: self.differences() },
        ];
        let first = html! {
            p.text { (thousands(self.0.len() as u64)) " training runs." }
            (self.results())
        };
        page("Comparison", &first, &sections)
    }

    /// A chart for each metric and each kind of lines, with all runs that have it.
    fn charts(&self) -> Vec<Chart> {
        let mut metrics: Vec<&str> = Vec::new();
        for metric in self.0.iter().flat_map(|run| run.curves.metrics()) {
            if !metrics.contains(&metric) {
                metrics.push(metric);
            }
        }
        metrics.sort_by_key(|metric| *metric != "loss");
        let kinds = |metric| [TRAIN, HELD_OUT].map(|kind| (metric, kind));
        metrics.into_iter().flat_map(kinds).filter_map(|(metric, kind)| self.chart(metric, kind)).collect()
    }

    fn chart(&self, metric: &str, kind: &str) -> Option<Chart> {
        let line = |(run, class): (&super::Compared, &&'static str)| Line {
            name: run.name.clone(),
            class,
            points: run.curves.points(kind, metric).to_vec(),
        };
        let lines = self.0.iter().zip(CLASSES.iter().cycle()).map(line);
        let lines: Vec<_> = lines.filter(|line| !line.points.is_empty()).collect();
        let title = if kind == TRAIN { metric.to_owned() } else { format!("{metric}, {}", about(kind)) };
        (!lines.is_empty()).then_some(Chart { title, lines, reference: None })
    }

    fn results(&self) -> Markup {
        html! {
            div.scroll { table.numbers {
                thead { tr { @for heading in HEADINGS { th { (heading) } } } }
                @for (run, class) in self.0.iter().zip(CLASSES.iter().cycle()) {
                    @let [name, rest @ ..] = row(run);
                    tr { th scope="row" { i.curve.(class) {} (name) } @for cell in rest { td { (cell) } } }
                }
            } }
        }
    }

    fn differences(&self) -> Markup {
        let keys = self.differing();
        html! {
            @if keys.is_empty() { p.text { "No key of run.toml." } } @else {
                div.scroll { table {
                    thead { tr { th { "key" } @for run in &self.0 { th { (run.name) } } } }
                    @for key in keys {
                        tr { th.key scope="row" { (key) } @for run in &self.0 { td { code { (run.value(key)) } } } }
                    }
                } }
            }
        }
    }
}
