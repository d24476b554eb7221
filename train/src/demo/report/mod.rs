//! `report.html`: one file that loads nothing, for any browser, in light and dark, wide and narrow.

mod drawn;
mod format;
mod html;
mod learned;
mod seen;

use super::figures::Figures;
use super::gallery::Gallery;
use super::measure::Measured;
use crate::Result;

pub(super) use format::{bytes, duration};
use html::{escape, section};
pub(super) use pipeline::page::{percent, thousands};

/// What this page has besides the common style.
const STYLE: &str = include_str!("style.css");

/// The whole page.
///
/// # Errors
/// A picture cannot be encoded.
pub(super) fn page(figures: &Figures, gallery: &Gallery, measured: &Measured) -> Result<String> {
    let sections = [
        (
            "drawings",
            "Drawings of captions it has learned from",
            drawn::training(figures, gallery, &measured.drawings)?,
        ),
        ("new", "Drawings of captions it has never seen", drawn::held_out(&measured.drawings)?),
        ("captions", "Captions of pictures it has never seen", drawn::captions(figures, &measured.captions)),
        ("training", "How the losses fell", learned::losses(figures, measured)),
        ("codec", "Pictures through the codec", seen::codec(figures, measured)?),
        ("crawl", "What was crawled", seen::crawl(figures, gallery)),
        ("how", "Time, machine, versions", learned::machine(figures)),
        ("next", "The same with your own links", learned::next(figures)),
    ];
    let links: String =
        sections.iter().map(|(id, title, _)| format!("<a href=\"#{id}\">{}</a>", escape(title))).collect();
    let body: String = sections.iter().map(|(id, title, body)| section(id, title, body)).collect();
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Troika demo</title>\n<style>\n{}{}{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>Troika demo</h1>\n{}<nav>{links}</nav>\n{}{body}<footer>{}</footer>\n</main>\n</body>\n</html>\n",
        pipeline::page::STYLE,
        crate::curves::STYLE,
        learned::introduction(figures),
        learned::tiles(figures),
        seen::licences()
    ))
}

#[cfg(test)]
mod tests;
