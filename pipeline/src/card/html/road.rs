//! The road: how many rows each folder had, and what removed the others.

use maud::{Markup, html};

use super::super::record::{Card, Maker, Removed, Stop};
use super::tables::{Line, counts};
use super::text::{foreign, number};
use crate::crawl::ByteSize;
use crate::page::thousands;
use crate::pairs;
use crate::reason::Reason;

/// Reasons of a crawl that are named here: there is a section about all of them.
const REASONS: usize = 5;

/// A step of each folder.
pub(super) fn road(card: &Card) -> Markup {
    let most = card.road.iter().map(|stop| stop.rows_read.unwrap_or(0).max(stop.rows)).max().unwrap_or(0);
    html! {
        (legend(&card.road))
        ol.road { @for stop in &card.road { li { (step(stop, most)) } } }
    }
}

/// What the colours of the bars mean, where there are several.
fn legend(road: &[Stop]) -> Markup {
    let any = |is: fn(&Stop) -> bool| road.iter().any(is);
    let colours = [
        ("links", "links", any(|stop| stop.pictures.is_none())),
        ("with", "rows with a picture", any(|stop| stop.pictures.is_some())),
        ("without", "rows without", any(|stop| stop.pictures.is_some_and(|pictures| pictures < stop.rows))),
    ];
    let shown: Vec<_> = colours.into_iter().filter(|(_, _, is)| *is).collect();
    html! {
        @if shown.len() > 1 {
            p.legend { @for (class, text, _) in shown { span { i class=(class) {} (text) } } }
        }
    }
}

fn step(stop: &Stop, most: u64) -> Markup {
    let width = |rows: u64| format!("width:{:.2}%", 100.0 * rows as f64 / most.max(1) as f64);
    let with = stop.pictures.unwrap_or(0);
    let rest = if stop.pictures.is_none() { "links" } else { "without" };
    html! {
        h3 { (what(stop)) " " small { "folder " (foreign(&stop.name)) } }
        div.track role="img" aria-label=(told(stop)) {
            i.with style=(width(with)) {}
            i class=(rest) style=(width(stop.rows.saturating_sub(with))) {}
        }
        p.note { (told(stop)) (units(stop)) }
        @if !stop.removed.is_empty() { (removed(stop)) }
    }
}

/// What was done, in few words.
fn what(stop: &Stop) -> &'static str {
    match (stop.maker, stop.format.as_deref() == Some(pairs::LINKS)) {
        (Maker::Extract, _) => "Links found in pages",
        (Maker::Crawl, _) => "Pictures downloaded",
        (Maker::Filter, _) => "Rows removed by rules",
        (Maker::Dedup, _) => "Duplicates removed",
        (Maker::Pipeline, _) => "Rows chosen or rewritten",
        (Maker::Other, true) => "Links",
        (Maker::Other, false) => "Pairs of another program",
    }
}

/// The rows, in words.
fn told(stop: &Stop) -> String {
    let noun = if stop.format.as_deref() == Some(pairs::LINKS) { "links" } else { "rows" };
    let mut text = match stop.rows_read.filter(|read| *read != stop.rows) {
        Some(read) => format!("{} of {} {noun} left", thousands(stop.rows), thousands(read)),
        None => format!("{} {noun}", thousands(stop.rows)),
    };
    if let Some(pictures) = stop.pictures.filter(|pictures| *pictures != stop.rows) {
        text += &format!(", {} with a picture", thousands(pictures));
    }
    text
}

fn units(stop: &Stop) -> String {
    let (units, missing) = (stop.units as u64, stop.units_missing as u64);
    let mut text = format!("; {} in {}", ByteSize(stop.bytes).human(), number(units, "shard", "shards"));
    if missing > 0 {
        text += &format!(" ({} missing)", number(missing, "unit is", "units are"));
    }
    text
}

fn removed(stop: &Stop) -> Markup {
    let crawl = stop.maker == Maker::Crawl;
    let shown = if crawl { REASONS.min(stop.removed.len()) } else { stop.removed.len() };
    let line = |removed: &Removed| Line { name: name(stop.maker, removed), rows: removed.rows };
    let lines: Vec<Line<Markup>> = stop.removed[..shown].iter().map(line).collect();
    let head = match stop.maker {
        Maker::Crawl => "no picture because",
        Maker::Filter => "removed by rule",
        Maker::Dedup => "removed because",
        _ => "left out",
    };
    let more = stop.removed.len() - shown;
    html! {
        (counts([head, "rows"], &lines, stop.rows_read.unwrap_or(stop.rows)))
        @if more > 0 { p.note { a href="#failures" { "and " (more) " more reasons" } } }
    }
}

fn name(maker: Maker, removed: &Removed) -> Markup {
    html! {
        code { (foreign(&removed.by)) }
        @if let Some(meaning) = meaning(maker, &removed.by) { span { (meaning) } }
        @if let Some(only) = removed.only { span { (thousands(only)) " of them caught by no other rule" } }
    }
}

/// What is behind the name of something that removes rows; rules are named by whoever wrote them.
pub(super) fn meaning(maker: Maker, by: &str) -> Option<&'static str> {
    match maker {
        Maker::Crawl => by.parse().ok().map(Reason::text),
        Maker::Dedup => Some(match by {
            "url" => "the same URL as another row",
            "url_caption" => "the same URL and caption as another row",
            "placeholder" => "a stand-in such as “image not available”, which many sites serve",
            "contaminated" => "looks like a picture of an evaluation set",
            "sha256" => "the same file, byte for byte, as another row",
            "near" => "looks like a picture that is kept",
            _ => return None,
        }),
        _ => None,
    }
}
