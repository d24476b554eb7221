//! What the rows hold: captions, sizes, where they are from.

use maud::{Markup, html};

use super::super::record::{Captions, Contents, Counted, Language, Languages, Sizes};
use super::chart::chart;
use super::tables::{Line, counts, values};
use crate::page::{percent, thousands};

/// Lengths, languages and repetitions.
pub(super) fn captions(captions: &Captions, rows: u64) -> Markup {
    let share = captions.rows as f64 / rows.max(1) as f64;
    html! {
        p.text {
            (thousands(captions.rows)) " of " (thousands(rows)) " rows have a caption (" (percent(share)) "). "
            "Words are what white space parts: languages that do not write it seem to have few."
        }
        div.charts {
            @if let Some(characters) = &captions.characters { (chart("Characters", characters)) }
            @if let Some(words) = &captions.words { (chart("Words", words)) }
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
    let mut lines: Vec<Line<Markup>> = languages.found.iter().map(line).collect();
    if languages.unsure > 0 {
        lines.push(Line { name: html! { em { "too short to tell" } }, rows: languages.unsure });
    }
    html! {
        h3 { "Languages" }
        p.note { "guessed by whatlang from " (thousands(languages.sampled)) " captions" }
        (counts("language", &lines, languages.sampled))
    }
}

fn repeated(captions: &Captions) -> Markup {
    let repeated = &captions.repeated;
    html! {
        h3 { "The same caption" }
        @if repeated.texts == 0 {
            p.note { "no caption occurs twice" }
        } @else {
            p.note {
                (thousands(repeated.texts)) " captions occur more than once, in " (thousands(repeated.rows)) " rows ("
                (percent(repeated.rows as f64 / captions.rows.max(1) as f64)) ")"
            }
            (values("caption", &Counted { rows: captions.rows, different: 0, top: repeated.top.clone() }))
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
            h3 { "As they came" }
            (of(original))
        }
        @if stored.is_some() || picture_bytes.is_some() {
            h3 { "As they are stored" }
            @if let Some(stored) = stored { (of(stored)) }
            @if let Some(bytes) = picture_bytes {
                div.charts { (chart("File size", bytes)) }
                p.note { "file sizes of " (thousands(bytes.count)) " pictures, chosen at random" }
            }
        }
    })
}

fn of(sizes: &Sizes) -> Markup {
    html! {
        div.charts {
            (chart("Width", &sizes.width))
            (chart("Height", &sizes.height))
            (chart("Area", &sizes.area))
            (chart("Width over height", &sizes.aspect))
        }
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
            (thousands(counted.different)) " different in " (thousands(counted.rows)) " rows"
            @if without > 0 { "; " (thousands(without)) " rows have none" }
        }
        @if counted.rows > 0 { (values(head, counted)) }
    }
}
