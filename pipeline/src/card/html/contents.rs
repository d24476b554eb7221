//! What the rows hold: captions, sizes, where they are from.

use maud::{Markup, html};

use super::super::record::{Captions, Contents, Count, Counted, Language, Languages, Sizes};
use super::chart::chart;
use super::tables::{Line, counts, values};
use super::text::number;
use crate::page::{percent, thousands};

/// Languages that are named: of the others there are a few captions each, and the guess is often wrong.
const LANGUAGES: usize = 8;

/// Lengths, languages and repetitions.
pub(super) fn captions(captions: &Captions, rows: u64) -> Markup {
    let share = captions.rows as f64 / rows.max(1) as f64;
    html! {
        p.text {
            (thousands(captions.rows)) " of " (thousands(rows)) " rows have a caption (" (percent(share)) "). "
            "Words are counted by the spaces between them, so a language that is written without spaces seems to have few."
        }
        div.charts {
            @if let Some(characters) = &captions.characters { (chart("Characters in a caption", characters)) }
            @if let Some(words) = &captions.words { (chart("Words in a caption", words)) }
        }
        div.columns {
            @if captions.languages.sampled > 0 { div { (languages(&captions.languages)) } }
            div { (repeated(captions)) }
        }
    }
}

fn languages(languages: &Languages) -> Markup {
    let line = |language: &Language| Line {
        name: html! { (language.name) " " small { (language.code) } },
        rows: language.rows,
    };
    let (shown, others) = languages.found.split_at(LANGUAGES.min(languages.found.len()));
    let mut lines: Vec<Line<Markup>> = shown.iter().map(line).collect();
    if !others.is_empty() {
        let rows = others.iter().map(|language| language.rows).sum();
        lines.push(Line { name: html! { (number(others.len() as u64, "other", "others")) }, rows });
    }
    let unsure = |count: &Count| Line {
        name: html! { em { "not sure" } span { (letters(&count.value)) } },
        rows: count.rows,
    };
    lines.extend(languages.unsure.iter().map(unsure));
    html! {
        h3 { "Languages of the captions" }
        p.note {
            "Guessed by whatlang from " (thousands(languages.sampled)) " captions; of a few words it is seldom sure."
        }
        (counts(["language", "captions"], &lines, languages.sampled))
    }
}

fn letters(script: &str) -> String {
    match script {
        "none" => "no letters".to_owned(),
        script => format!("{script} letters"),
    }
}

fn repeated(captions: &Captions) -> Markup {
    let repeated = &captions.repeated;
    html! {
        h3 { "Repeated captions" }
        @if repeated.different == 0 {
            p.note { "No two rows have the same caption." }
        } @else {
            p.note {
                (number(repeated.different, "caption occurs", "captions occur")) " more than once, in "
                (thousands(repeated.rows)) " rows (" (percent(repeated.rows as f64 / captions.rows.max(1) as f64)) ")."
            }
            (values("caption", repeated, captions.rows))
        }
    }
}

/// Sizes of pictures and of their files; `None` where nothing is known of either.
pub(super) fn sizes(contents: &Contents) -> Option<Markup> {
    let Contents { stored, original, picture_bytes, .. } = contents;
    if stored.is_none() && original.is_none() && picture_bytes.is_none() {
        return None;
    }
    Some(html! {
        @if let Some(original) = original {
            h3 { "Before resizing" }
            div.charts { (of(original)) }
        }
        @if stored.is_some() || picture_bytes.is_some() {
            h3 { "As they are stored" }
            div.charts {
                @if let Some(stored) = stored { (of(stored)) }
                @if let Some(bytes) = picture_bytes {
                    (chart("File size", bytes))
                }
            }
            @if let Some(bytes) = picture_bytes {
                p.note { "File sizes are those of " (number(bytes.count, "picture", "pictures")) " chosen at random." }
            }
        }
    })
}

fn of(sizes: &Sizes) -> Markup {
    html! {
        (chart("Width", &sizes.width))
        (chart("Height", &sizes.height))
        (chart("Area, in megapixels", &sizes.area))
        (chart("Shape: width over height", &sizes.aspect))
    }
}

/// Domains, licences, languages of the pages; `None` where no column tells.
pub(super) fn origins(contents: &Contents) -> Option<Markup> {
    let tables = [
        ("Domains", "domain", &contents.domains),
        ("Licences", "licence", &contents.licences),
        ("Languages of the pages", "language", &contents.page_languages),
    ];
    let tables: Vec<Markup> = tables
        .into_iter()
        .filter_map(|(title, head, counted)| Some(table(title, head, counted.as_ref()?, contents.rows)))
        .collect();
    (!tables.is_empty()).then(|| html! { div.columns { @for table in &tables { div { (table) } } } })
}

fn table(title: &str, head: &str, counted: &Counted, rows: u64) -> Markup {
    let without = rows.saturating_sub(counted.rows);
    html! {
        h3 { (title) }
        p.note {
            (number(counted.different, head, &format!("{head}s"))) " in " (number(counted.rows, "row", "rows"))
            @if without > 0 { "; " (number(without, "row has", "rows have")) " none" }
        }
        @if counted.rows > 0 { (values(head, counted, rows)) }
    }
}
