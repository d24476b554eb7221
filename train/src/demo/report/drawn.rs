//! The parts of the page about what the model makes: drawings and captions.

use pipeline::page::{percent, thousands};

use super::super::figures::Figures;
use super::super::gallery::{Gallery, Language};
use super::super::measure::{Captioned, Captions, Drawings, Drawn};
use super::html::{card, escape, image, line, paragraph, picture};
use crate::Result;

/// Each drawing beside its own picture and beside the nearest one, with the rank.
pub(super) fn training(figures: &Figures, gallery: &Gallery, drawings: &Drawings) -> Result<String> {
    let retrieval = &figures.retrieval;
    let pictures = gallery.training();
    let found =
        drawings.training.iter().zip(drawings.retrieval.ranks.iter().zip(&drawings.retrieval.nearest));
    let mut cards = String::new();
    for (Drawn { item, language, picture: drawing }, (rank, nearest)) in found {
        let caption = item.caption(*language);
        let mut row = vec![
            ("drawn", picture(drawing, &format!("drawing of {caption}"))?),
            ("real", image(&item.png, caption)),
        ];
        let badge = match pictures.get(*nearest) {
            Some(nearest) if *rank > 1 => {
                row.push(("nearest", image(&nearest.png, nearest.caption(*language))));
                format!("<span class=\"badge\">rank {}</span>", thousands(*rank as u64))
            }
            _ => "<span class=\"badge right\">nearest is the right one</span>".to_owned(),
        };
        cards += &card(&row, &(line(language.code(), caption) + &badge));
    }
    let explanation = format!(
        "For {} training captions, chosen by a fixed seed, the languages taking turns, one picture each was drawn: no picking. \
         Rank 1 means that none of the {} training pictures is nearer in pixels than the right one: so for {} of them \
         ({}), where chance would give {}. Among the five nearest for {}; median rank {}.",
        retrieval.drawings,
        thousands(retrieval.pictures as u64),
        retrieval.right(),
        percent(retrieval.top_1),
        percent(retrieval.chance),
        percent(retrieval.top_5),
        thousands(retrieval.median_rank as u64)
    );
    Ok(format!("{}<div class=\"cards triples\">\n{cards}</div>", paragraph(&explanation)))
}

/// Drawings of held-out captions, both languages beside the real picture.
pub(super) fn held_out(drawings: &Drawings) -> Result<String> {
    let mut cards = String::new();
    for both in drawings.held_out.chunks(Language::ALL.len()) {
        let Some(Drawn { item, .. }) = both.first() else { continue };
        let mut row = vec![("real", image(&item.png, item.caption(Language::English)))];
        for drawn in both {
            let name = match drawn.language {
                Language::English => "from English",
                Language::Russian => "from Russian",
            };
            row.push((
                name,
                picture(&drawn.picture, &format!("drawing of {}", item.caption(drawn.language)))?,
            ));
        }
        cards += &card(&row, &names(item));
    }
    let explanation = "Neither these pictures nor these captions were in the training rows: the model can only combine \
        what it has learned about the words in them.";
    Ok(format!("{}<div class=\"cards triples\">\n{cards}</div>", paragraph(explanation)))
}

/// Captions of held-out pictures, the true ones above.
pub(super) fn captions(figures: &Figures, captions: &Captions) -> String {
    let counts = &figures.captions;
    let explanation = format!(
        "The most probable words, in whichever language the model chose. Exactly right: {} of {} here, and {} of {} \
         pictures that it has learned from.",
        counts.held_out_right, counts.held_out, counts.training_right, counts.training
    );
    let cards: String = captions.held_out.iter().map(captioned).collect();
    format!("{}<div class=\"cards pairs\">\n{cards}</div>", paragraph(&explanation))
}

fn captioned(captioned: &Captioned) -> String {
    let item = &captioned.item;
    let class = if captioned.is_right() { "said right" } else { "said" };
    let said = format!("<p class=\"{class}\">{}</p>", escape(&captioned.caption));
    card(&[("", image(&item.png, item.caption(Language::English)))], &(names(item) + &said))
}

fn names(item: &super::super::gallery::Item) -> String {
    Language::ALL.map(|language| line(language.code(), item.caption(language))).concat()
}
