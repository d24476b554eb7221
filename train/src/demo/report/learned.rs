//! The parts of the page about figures: headline, losses, machine, what to do next.

use pipeline::page::{percent, thousands};

use super::super::figures::Figures;
use super::super::measure::Measured;
use super::format::{bytes, duration, loss};
use super::html::{escape, paragraph, table};
use crate::curves::{Chart, Curves, HELD_OUT, Line, TRAIN};

/// What the reader is looking at.
pub(super) fn introduction(figures: &Figures) -> String {
    paragraph(&format!(
        "A model of {:.1} million parameters that drew these pictures from words after {} of work on this machine, all of it \
         included: {} pictures crawled over loopback, made into codes and ids, and learned from.",
        figures.model.parameters as f64 / 1e6,
        duration(figures.seconds),
        thousands(figures.crawl.pictures as u64)
    ))
}

/// The headline figures.
pub(super) fn tiles(figures: &Figures) -> String {
    let (model, retrieval) = (&figures.model, &figures.retrieval);
    let tiles = [
        (
            thousands(figures.crawl.pictures as u64),
            format!("of {} links gave a picture", thousands(figures.crawl.rows)),
        ),
        (
            format!("{:.1} dB", figures.codec.psnr),
            format!(
                "PSNR of the codec on held-out pictures, {} of its codes in use there",
                percent(figures.codec.codes.usage)
            ),
        ),
        (
            loss(model.held_out_image),
            format!(
                "held-out image loss, nats per code; guessing by frequency gives {:.3}",
                model.code_frequency_baseline
            ),
        ),
        (
            percent(retrieval.top_1),
            format!(
                "of {} drawings are nearest to their own picture among {}; chance {}",
                retrieval.drawings,
                thousands(retrieval.pictures as u64),
                percent(retrieval.chance)
            ),
        ),
        (duration(figures.seconds), "all stages together".to_owned()),
        (figures.peak_memory_bytes.map_or_else(|| "–".to_owned(), bytes), "peak memory".to_owned()),
    ];
    let tile = |(value, what): (String, String)| {
        format!("<div class=\"tile\"><b>{}</b><span>{}</span></div>\n", escape(&value), escape(&what))
    };
    format!("<div class=\"tiles\">\n{}</div>\n", tiles.map(tile).concat())
}

/// One chart for each part of the sequence, and the figures at the end.
pub(super) fn losses(figures: &Figures, measured: &Measured) -> String {
    let model = &figures.model;
    let baseline = ("code frequency".to_owned(), model.code_frequency_baseline);
    let charts = [
        chart(&measured.curves, "image", "Image: nats per code", Some(baseline)),
        chart(&measured.curves, "left", "Left text: nats per id, pads included", None),
        chart(&measured.curves, "right", "Right text: nats per id", None),
    ];
    let codec =
        measured.codec_curves.iter().map(|curves| chart(curves, "psnr", "Codec: PSNR in dB, held out", None));
    let rows = [
        ("held-out image loss after the last step", loss(model.held_out_image)),
        ("lowest held-out image loss", loss(model.best_held_out_image)),
        ("guessing each code by its frequency in training", format!("{:.3}", model.code_frequency_baseline)),
        ("training image loss at the end", loss(model.train_image)),
        (
            "held-out left-text and right-text loss",
            format!("{} and {}", loss(model.held_out_left), loss(model.held_out_right)),
        ),
        ("steps × rows per step", format!("{} × {}", thousands(model.steps), model.batch_size)),
        (
            "training and held-out rows",
            format!(
                "{} and {}",
                thousands(model.training_rows as u64),
                thousands(model.held_out_rows as u64)
            ),
        ),
    ];
    let charts: String = charts.into_iter().chain(codec).map(|chart| chart.markup().into_string()).collect();
    format!(
        "{}<div class=\"charts\">\n{charts}</div>\n{}",
        paragraph("One sequence holds a caption, a picture and another caption; each part has its own loss."),
        table(&rows.map(|(name, value)| (name.to_owned(), value)))
    )
}

fn chart(curves: &Curves, metric: &str, title: &str, reference: Option<(String, f64)>) -> Chart {
    let lines = [
        ("training batches", "train", curves.points(TRAIN, metric)),
        ("held out", "held-out", curves.points(HELD_OUT, metric)),
    ];
    let lines = lines.into_iter().filter(|(_, _, points)| !points.is_empty());
    Chart {
        title: title.to_owned(),
        lines: lines
            .map(|(name, class, points)| Line { name: name.to_owned(), class, points: points.to_vec() })
            .collect(),
        reference,
    }
}

/// Times, machine, versions and seeds.
pub(super) fn machine(figures: &Figures) -> String {
    let stages: Vec<_> =
        figures.stages.iter().map(|entry| (entry.stage.clone(), duration(entry.seconds))).collect();
    let (machine, seeds) = (&figures.machine, &figures.seeds);
    let known = |text: &str| if text.is_empty() { "unknown".to_owned() } else { text.to_owned() };
    let memory = if machine.memory_bytes == 0 { "unknown".to_owned() } else { bytes(machine.memory_bytes) };
    let rows = [
        ("processor", format!("{}, {} cores in use", known(&machine.processor), machine.cores)),
        ("memory", memory),
        ("system", machine.system.clone()),
        ("versions", format!("troika {}, burn {}", machine.troika, known(&machine.burn))),
        (
            "vocabulary",
            format!(
                "{} entries, sha256 {}",
                thousands(figures.vocabulary.size as u64),
                figures.vocabulary.sha256
            ),
        ),
        (
            "seeds",
            format!(
                "training {}, sampling {}, choice of captions {}",
                seeds.training, seeds.sampling, seeds.choice_of_captions
            ),
        ),
    ];
    format!(
        "{}{}{}",
        paragraph("Seconds of each stage, over all runs in this folder:"),
        table(&stages),
        table(&rows.map(|(name, value)| (name.to_owned(), value)))
    )
}

/// The three commands.
pub(super) fn next(figures: &Figures) -> String {
    format!(
        "{}<pre>{}</pre>",
        paragraph(
            "links.csv is a table with the columns url and caption. The codec and the vocabulary are those of this demo."
        ),
        escape(&figures.next.join("\n"))
    )
}
