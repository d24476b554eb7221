//! Rows that are shown, with their pictures or, of links, as text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};

use super::super::record::{Card, Cluster, Sample, Stop, Thumbnail};
use super::road::meaning;
use super::text::{Foreign, caption, foreign, number, plain};
use crate::page::thousands;

/// Characters of an alternative text.
const ALT: usize = 100;
/// Characters of a URL.
const URL: usize = 120;

/// Rows that are there.
pub(super) fn kept(card: &Card) -> Markup {
    let all = card.contents.as_ref().map_or(0, |contents| contents.rows);
    html! {
        p.text {
            (thousands(card.kept.len() as u64)) " of " (thousands(all)) " rows, chosen at random (seed " (card.seed) ")."
        }
        (cards(&card.kept))
    }
}

/// Rows that were removed, by what removed them.
pub(super) fn dropped(card: &Card) -> Markup {
    let groups = card.dropped.chunk_by(|a, b| (&a.stage, &a.by) == (&b.stage, &b.by));
    html! {
        p.text {
            (number(card.dropped.len() as u64, "row that was", "rows that were")) " removed, chosen at random, every rule in turn."
        }
        @for group in groups {
            @let first = &group[0];
            (heading(&card.road, first.stage.as_deref().unwrap_or_default(), first.by.as_deref().unwrap_or_default()))
            (cards(group))
        }
    }
}

/// What removed rows, where, and how many.
fn heading(road: &[Stop], stage: &str, by: &str) -> Markup {
    let stop = road.iter().find(|stop| stop.name == stage);
    let rule = stop.and_then(|stop| stop.removed.iter().find(|removed| removed.by == by));
    html! {
        h3 { (foreign(by)) }
        p.note {
            @if let Some(meaning) = stop.and_then(|stop| meaning(stop.maker, by)) { (meaning) "; " }
            @if let Some(rule) = rule { (number(rule.rows, "row", "rows")) " removed" } @else { "removed" }
            " on the way to " b { (foreign(stage)) }
        }
    }
}

fn cards(samples: &[Sample]) -> Markup {
    let pictures = samples.iter().any(|sample| sample.thumbnail.is_some());
    let beside = samples.iter().any(|sample| sample.stands_in.is_some());
    html! {
        div.cards.texts[!pictures].beside[beside] {
            @for sample in samples { figure { (shown(sample, pictures)) figcaption { (said(sample, pictures)) } } }
        }
    }
}

/// The picture, and beside that of a duplicate the one that stands for it.
fn shown(sample: &Sample, pictures: bool) -> Markup {
    let alt = sample.caption.as_deref();
    html! {
        @match (&sample.thumbnail, &sample.stands_in) {
            (Some(own), Some(kept)) => {
                div.two {
                    span { (image(own, alt)) small { "removed" } }
                    span { (image(kept, Some("the picture that was kept instead"))) small { "kept" } }
                }
            }
            (Some(own), None) => (image(own, alt)),
            (None, _) if pictures => { p.none { "picture not at hand" } }
            (None, _) => {}
        }
    }
}

fn said(sample: &Sample, pictures: bool) -> Markup {
    html! {
        p { (caption(sample.caption.as_deref())) }
        @if !pictures && let Some(url) = &sample.url { p.url { (Foreign { text: url, most: URL }) } }
        @if let Some(key) = sample.stand_in() { p { "kept instead: " (foreign(&key)) } }
    }
}

/// The largest groups of duplicates.
pub(super) fn groups(groups: &[Cluster]) -> Markup {
    let pictures = groups.iter().any(|group| group.thumbnail.is_some());
    html! {
        div.cards.texts[!pictures] {
            @for group in groups {
                figure {
                    @match &group.thumbnail {
                        Some(own) => (image(own, Some("the picture that stands for the group"))),
                        None if pictures => p.none { "picture not at hand" },
                        None => {}
                    }
                    figcaption { p { b { (thousands(group.rows)) " rows" } } p { "kept: " (foreign(&group.cluster)) } }
                }
            }
        }
    }
}

fn image(thumbnail: &Thumbnail, caption: Option<&str>) -> Markup {
    let data = STANDARD.encode(&thumbnail.jpeg);
    let alt = match caption.map(str::trim) {
        None | Some("") => "a picture without a caption".to_owned(),
        Some(caption) => plain(caption, ALT),
    };
    html! {
        img width=(thumbnail.width) height=(thumbnail.height) alt=(alt) src={ "data:image/jpeg;base64," (data) };
    }
}
