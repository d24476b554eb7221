//! The page: one file that loads nothing, for any browser, in light and dark, wide and narrow.
//!
//! Text gets into it through `maud`, which escapes it, and foreign text through [`text`] besides. Nothing in it is active,
//! and its policy forbids the browser to load or run anything.

mod chart;
mod contents;
mod failures;
mod gallery;
mod road;
mod tables;
mod text;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::distribution::Bin;
use super::record::{Card, Clusters, Maker, Stop};
use crate::crawl::ByteSize;
use crate::page::{STYLE, percent, thousands};
use crate::pairs;
use tables::{Line, counts};
use text::{foreign, number, plain};

const OWN_STYLE: &str = include_str!("style.css");
/// Neither scripts nor fonts nor pictures from elsewhere, whatever a caption says.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/// A part of the page.
struct Section {
    id: &'static str,
    title: &'static str,
    body: Markup,
}

/// The page of a card; the same card gives the same bytes.
pub fn page(card: &Card) -> String {
    let sections = sections(card);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="generator" content={ "troika pipeline " (card.program) };
                title { (plain(&card.title, 200)) }
                style { (PreEscaped(STYLE)) (PreEscaped(OWN_STYLE)) }
            }
            body {
                main {
                    header {
                        h1 { (foreign(&card.title)) }
                        p.text { (introduction(card)) }
                        (tiles(card))
                        nav aria-label="Sections" { @for section in &sections { a href={ "#" (section.id) } { (section.title) } } }
                    }
                    @for section in &sections {
                        section id=(section.id) { h2 { (section.title) } (section.body) }
                    }
                    footer {
                        p {
                            "Made by " code { "pipeline card" } " of Troika " (card.program) ". Pictures and texts belong to their owners; "
                            "they are shown here small, to tell what the data are."
                        }
                    }
                }
            }
        }
    };
    page.into_string()
}

fn sections(card: &Card) -> Vec<Section> {
    let contents = card.contents.as_ref();
    let failed = card.failures.is_some() || !card.timings.is_empty();
    let downloads = if card.failures.is_some() { "Links without a picture" } else { "Downloads" };
    let parts = [
        ("road", "Step by step", Some(road::road(card))),
        ("rows", "A random sample", (!card.kept.is_empty()).then(|| gallery::kept(card))),
        ("dropped", "What was removed", (!card.dropped.is_empty()).then(|| gallery::dropped(card))),
        (
            "captions",
            "Captions",
            contents
                .and_then(|contents| Some(contents::captions(contents.captions.as_ref()?, contents.rows))),
        ),
        ("sizes", "Picture sizes", contents.and_then(contents::sizes)),
        ("origins", "Where it comes from", contents.and_then(contents::origins)),
        ("duplicates", "Duplicates", card.clusters.as_ref().map(duplicates)),
        ("failures", downloads, failed.then(|| without(card))),
        ("files", "Files", Some(files(card))),
    ];
    let section = |(id, title, body): (_, _, Option<Markup>)| body.map(|body| Section { id, title, body });
    parts.into_iter().filter_map(section).collect()
}

/// One sentence for somebody who has never heard of it.
fn introduction(card: &Card) -> String {
    let Some(last) = card.road.last() else { return String::new() };
    let mut text = match (last.pictures, last.format.as_deref()) {
        (Some(pictures), _) => number(pictures, "picture", "pictures"),
        (None, Some(pairs::LINKS)) => number(last.rows, "link to a picture", "links to pictures"),
        (None, _) => number(last.rows, "row", "rows"),
    };
    if let Some(contents) = &card.contents {
        match &contents.captions {
            Some(captions) if captions.rows == contents.rows => text += ", each with a caption",
            Some(captions) => text += &format!(", {} with a caption", thousands(captions.rows)),
            None => text += " without captions",
        }
        if let Some(domains) = contents.domains.as_ref().filter(|domains| domains.different > 0) {
            text += &format!(", from {}", number(domains.different, "domain", "domains"));
        }
    }
    text.push('.');
    if let Some(first) = card.road.first().filter(|first| first.rows > last.rows) {
        let links = first.pictures.is_none() || first.maker == Maker::Crawl;
        let noun = if links { "links" } else { "rows" };
        text += &format!(" They are what is left of {} {noun}.", thousands(first.rows));
    }
    if last.units_missing > 0 {
        text += " The work is not finished: units are missing.";
    }
    text
}

fn tiles(card: &Card) -> Markup {
    let Some(last) = card.road.last() else { return html! {} };
    let mut tiles = Vec::new();
    if last.pictures != Some(last.rows) {
        tiles.push((thousands(last.rows), "rows"));
    }
    tiles.extend(last.pictures.map(|pictures| (thousands(pictures), "pictures")));
    if let Some(contents) = &card.contents {
        tiles.extend(contents.captions.as_ref().map(|captions| (thousands(captions.rows), "captions")));
        let domains = contents.domains.as_ref().map(|domains| domains.different);
        tiles.extend(domains.map(|n| (thousands(n), if n == 1 { "domain" } else { "domains" })));
    }
    tiles.push((ByteSize(last.bytes).human(), "in shards"));
    tiles.extend(card.failures.as_ref().map(|failures| {
        (percent(failures.pictures as f64 / failures.rows.max(1) as f64), "of the links gave a picture")
    }));
    html! { div.tiles { @for (number, what) in tiles { div.tile { b { (number) } span { (what) } } } } }
}

fn without(card: &Card) -> Markup {
    html! {
        @if let Some(failures) = &card.failures { (failures::failures(failures)) }
        @if !card.timings.is_empty() { (failures::timings(&card.timings)) }
    }
}

fn duplicates(clusters: &Clusters) -> Markup {
    let name = |bin: &Bin| match bin.to {
        Some(to) if to == bin.from + 1 => format!("{} rows", bin.from),
        Some(to) => format!("{} to {} rows", bin.from, to - 1),
        None => format!("{} rows and more", bin.from),
    };
    let lines: Vec<Line<String>> =
        clusters.sizes.iter().map(|bin| Line { name: name(bin), rows: bin.count }).collect();
    html! {
        @if clusters.clusters == 0 {
            p.text { "No row on the way to " b { (foreign(&clusters.folder)) } " has a duplicate." }
        } @else {
            p.text {
                (number(clusters.clusters, "group", "groups")) " of duplicates, " (thousands(clusters.rows))
                " rows in all, found on the way to " b { (foreign(&clusters.folder)) } "."
            }
            (counts(["size of a group", "groups"], &lines, clusters.clusters))
            h3 { "The largest groups" }
            (gallery::groups(&clusters.top))
        }
    }
}

/// What identifies the data, and how to read them.
fn files(card: &Card) -> Markup {
    let line = |stop: &Stop| {
        let told = [("format", &stop.format), ("plan", &stop.plan), ("written by version", &stop.version)];
        let told = told.into_iter().filter_map(|(what, text)| Some((what, text.as_deref()?)));
        html! {
            li {
                b { (foreign(&stop.name)) }
                @for (what, text) in told { " · " (what) " " code { (foreign(text)) } }
            }
        }
    };
    html! {
        ul.folders { @for stop in &card.road { (line(stop)) } }
        @if let Some(contents) = &card.contents {
            h3 { "Columns of the last folder" }
            p.note { "Any reader of Parquet opens them." }
            ul.fields { @for column in &contents.columns { li { code { (foreign(&column.name)) } " " small { (foreign(&column.kind)) } } } }
        }
    }
}
