//! The parts of the page about data: the crawl with its pictures, and the codec.

use pipeline::page::{percent, thousands};
use pipeline::reason::Reason;

use super::super::figures::Figures;
use super::super::gallery::{Gallery, Language, spread};
use super::super::measure::Measured;
use super::html::{card, escape, image, line, paragraph, picture, table};
use crate::Result;

/// Pictures shown with their captions.
const THUMBNAILS: usize = 64;

/// From links to rows, why some fell out, and what the pictures look like.
pub(super) fn crawl(figures: &Figures, gallery: &Gallery) -> String {
    let crawl = &figures.crawl;
    let steps = [
        ("links", crawl.rows),
        ("pictures", crawl.pictures as u64),
        ("for training", crawl.training_pictures as u64),
        ("held out", crawl.held_out_pictures as u64),
    ];
    let bar = |(name, count): (&str, u64)| {
        let share = 100.0 * count as f64 / crawl.rows.max(1) as f64;
        format!(
            "<span>{} {}</span><div><i style=\"width:{share:.2}%\"></i></div>\n",
            thousands(count),
            escape(name)
        )
    };
    let told = |code: &String| {
        code.parse::<Reason>().map_or_else(|_| code.clone(), |reason| format!("{code}: {}", reason.text()))
    };
    let reasons: Vec<_> = crawl.reasons.iter().map(|(code, count)| (told(code), thousands(*count))).collect();
    let shown = spread(&gallery.items.iter().collect::<Vec<_>>(), THUMBNAILS);
    let cards: String = shown
        .into_iter()
        .map(|item| {
            let names = Language::ALL.map(|language| line(language.code(), item.caption(language)));
            card(&[("", image(&item.png, item.caption(Language::English)))], &names.concat())
        })
        .collect();
    format!(
        "{}<div class=\"funnel\">\n{}</div>\n{}{}{}<div class=\"cards\">\n{cards}</div>",
        paragraph(
            "Every row of the link list is in the shards, with its picture or with the reason why there is none."
        ),
        steps.map(bar).concat(),
        table(&reasons),
        paragraph(&format!(
            "Each picture has a name in both languages, so the {} pictures make {} rows of tokens.",
            thousands(crawl.pictures as u64),
            thousands(crawl.token_rows)
        )),
        paragraph(&format!("{} of them, evenly spread over the list:", THUMBNAILS.min(gallery.items.len())))
    )
}

/// Figures and pictures of the codec, on held-out pictures alone.
pub(super) fn codec(figures: &Figures, measured: &Measured) -> Result<String> {
    let codec = &figures.codec;
    let rows = [
        ("pictures (held out)", thousands(codec.pictures)),
        ("mean PSNR", format!("{:.2} dB", codec.psnr)),
        ("PSNR of the mean squared error", format!("{:.2} dB", codec.psnr_of_mean_error)),
        ("codebook", format!("{} codes", thousands(codec.codes.codebook_size as u64))),
        ("codes in use", format!("{} ({})", thousands(codec.codes.used as u64), percent(codec.codes.usage))),
        ("perplexity of the codes", format!("{:.0}", codec.codes.perplexity)),
        ("weights", codec.file.clone()),
        ("sha256", codec.sha256.clone()),
    ];
    let mut cards = String::new();
    for (original, decoded) in &measured.codec.samples {
        let pair = [("original", picture(original, "original")?), ("decoded", picture(decoded, "decoded")?)];
        cards += &card(&pair, "");
    }
    let origin = match codec.from_scratch {
        true => "The codec was trained in this run.",
        false => "The codec comes with the demo; it was trained on the training pictures.",
    };
    Ok(format!(
        "{}{}<div class=\"cards pairs\">\n{cards}</div>",
        paragraph(&format!("{origin} None of the pictures below was among those.")),
        table(&rows.map(|(name, value)| (name.to_owned(), value)))
    ))
}

/// Where pictures and names come from.
pub(super) fn licences() -> String {
    paragraph(
        "Pictures: Noto Emoji by Google, Apache License 2.0 (flags: public domain). Names: Unicode CLDR, \
         Unicode-DFS-2016. The texts of the licences are in configs/demo/data/LICENSES.md.",
    )
}
