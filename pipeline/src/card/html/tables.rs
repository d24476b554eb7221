//! Tables of counts, with a bar behind each number.

use maud::{Markup, Render, html};

use super::super::record::{Count, Counted};
use super::text::Foreign;
use crate::page::{percent, thousands};

/// Characters of a value.
const VALUE: usize = 120;

/// A line: what it is about, and how many rows of how many.
pub(super) struct Line<T> {
    pub(super) name: T,
    pub(super) rows: u64,
}

/// A table of rows and their shares of `all`; the heads say what the lines are, and what is counted.
pub(super) fn counts<T: Render>([head, counted]: [&str; 2], lines: &[Line<T>], all: u64) -> Markup {
    let most = lines.iter().map(|line| line.rows).max().unwrap_or(0).max(1);
    html! {
        table {
            thead { tr { th scope="col" { (head) } th.number scope="col" { (counted) } th.number scope="col" { "share" } } }
            tbody {
                @for line in lines {
                    tr {
                        th scope="row" { (line.name) (bar(line.rows, most)) }
                        td.number { (thousands(line.rows)) }
                        td.number { (percent(line.rows as f64 / all.max(1) as f64)) }
                    }
                }
            }
        }
    }
}

/// How long `rows` is beside `most`.
pub(super) fn bar(rows: u64, most: u64) -> Markup {
    let share = 100.0 * rows as f64 / most.max(1) as f64;
    html! { i.bar style={ "width:" (format!("{share:.1}")) "%" } {} }
}

/// A table of values that nobody has vetted, with their shares of `all` rows.
pub(super) fn values(head: &str, counted: &Counted, all: u64) -> Markup {
    let line =
        |count: &Count| Line { name: Foreign { text: &count.value, most: VALUE }.render(), rows: count.rows };
    let lines: Vec<Line<Markup>> = counted.top.iter().map(line).collect();
    let more = counted.different.saturating_sub(counted.top.len() as u64);
    html! {
        (counts([head, "rows"], &lines, all))
        @if more > 0 { p.note { "and " (thousands(more)) " more" } }
    }
}
