//! What the pages about runs have in common: one file that loads nothing, in light and dark, wide and narrow.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::read::{Curves, HELD_OUT, TRAIN, about};
use super::scale::number;
use super::svg::{self, Chart, Line};

/// A titled part of a page.
pub(super) struct Section {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) body: Markup,
}

/// The whole page: its title, what is said first, and its parts with links to them.
pub(super) fn page(title: &str, first: &Markup, sections: &[Section]) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(pipeline::page::STYLE)) (PreEscaped(svg::STYLE)) (PreEscaped(include_str!("page.css"))) }
            }
            body {
                main {
                    h1 { (title) }
                    (first)
                    nav { @for section in sections { a href=(format!("#{}", section.id)) { (section.title) } } }
                    @for section in sections {
                        section id=(section.id) { h2 { (section.title) } (section.body) }
                    }
                }
            }
        }
    };
    page.into_string()
}

/// A table of two columns.
pub(super) fn table(rows: &[(String, String)]) -> Markup {
    html! {
        div.scroll { table { @for (name, value) in rows {
            tr { th.key scope="row" { (name) } td { code { (value) } } }
        } } }
    }
}

/// A chart for each metric of a run: held-out values over those of training batches. The loss is the widest.
pub(super) fn charts(curves: &Curves) -> Markup {
    let line = |kind: &str, metric: &str| {
        let class = if kind == HELD_OUT { "held-out" } else { "train" };
        Line { name: about(kind).to_owned(), class, points: curves.points(kind, metric).to_vec() }
    };
    let kinds = |metric: &str| {
        let of_metric = curves.series().iter().filter(move |series| series.metric == metric);
        let mut kinds: Vec<_> = of_metric.map(|series| series.kind.as_str()).collect();
        // What is drawn last lies on top.
        kinds.sort_by_key(|kind| (*kind != TRAIN, *kind == HELD_OUT));
        kinds
    };
    let chart = |metric: &&str| {
        let lines = kinds(metric).into_iter().map(|kind| line(kind, metric)).collect();
        Chart { title: (*metric).to_owned(), lines, reference: None }
    };
    let charts: Vec<_> = curves.metrics().iter().map(chart).collect();
    grid(&charts)
}

/// Charts beside and below each other, those of the loss over the whole width.
pub(super) fn grid(charts: &[Chart]) -> Markup {
    html! {
        div.charts { @for chart in charts {
            div.wide[chart.title.starts_with("loss")] { (chart.markup()) }
        } }
    }
}

/// The last and the extreme values of every series.
pub(super) fn values(curves: &Curves) -> Markup {
    let extreme = |points: &[(f64, f64)], sign: f64| {
        let found = points.iter().min_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1)));
        found.map(|(step, value)| format!("{} at {step}", number(*value))).unwrap_or_default()
    };
    let end = |point: Option<&(f64, f64)>| point.map(|(_, value)| number(*value)).unwrap_or_default();
    html! {
        div.scroll { table.numbers {
            thead { tr { th { "metric" } th { "of" } th { "first" } th { "last" } th { "lowest, at step" } th { "highest, at step" } } }
            @for series in curves.in_order() {
                tr {
                    th scope="row" { (series.metric) }
                    td { (about(&series.kind)) }
                    td { (end(series.points.first())) }
                    td { (end(series.points.last())) }
                    td { (extreme(&series.points, 1.0)) }
                    td { (extreme(&series.points, -1.0)) }
                }
            }
        } }
    }
}
