//! The page with made-up figures: self-contained, complete, safe with any text.

use pipeline::picture::Picture;
use tokenize::metrics::CodeUsageSummary;
use tokenize::verify::{Exact, Quality};

use super::super::figures::{
    CaptionFigures, CodecFigures, CrawlFigures, Figures, ModelFigures, Seeds, Vocabulary,
};
use super::super::gallery::tests::item;
use super::super::gallery::{Gallery, Language};
use super::super::ledger::Entry;
use super::super::machine::Machine;
use super::super::measure::{
    Captioned, Captions, CodecCheck, Drawings, Drawn, Measured, ModelFacts, Retrieval,
};
use super::*;
use crate::curves::Curves;

const CODES: CodeUsageSummary =
    CodeUsageSummary { codebook_size: 1024, used: 700, usage: 0.6836, perplexity: 412.0 };

fn gallery() -> Gallery {
    let items = vec![
        item("red <square>", true, [200, 30, 30]),
        item("blue \"square\"", true, [30, 30, 200]),
        item("green & held out", false, [30, 160, 60]),
    ];
    Gallery { items, reasons: [("ok".to_owned(), 3), ("http_not_found".to_owned(), 1)].into() }
}

fn retrieval() -> Retrieval {
    Retrieval {
        drawings: 2,
        pictures: 1312,
        top_1: 0.5,
        top_5: 1.0,
        median_rank: 1,
        chance: 1.0 / 1312.0,
        ranks: vec![1, 2],
        nearest: vec![0, 0],
    }
}

fn measured(gallery: &Gallery) -> Measured {
    let drawn = |index: usize, language| Drawn {
        item: gallery.items[index].clone(),
        language,
        picture: Picture::filled(8, 8, [90; 3]),
    };
    let lines: String = (1..=30)
        .map(|i| {
            let loss = 4.0 + 3.0 * (-f64::from(i) / 8.0).exp();
            format!(
                "{{\"type\":\"train\",\"step\":{0},\"image\":{loss},\"left\":{1},\"right\":{1}}}\n\
                 {{\"type\":\"valid\",\"step\":{0},\"image\":{2},\"left\":{1},\"right\":{1}}}\n",
                i * 50,
                loss - 2.0,
                loss + 0.4
            )
        })
        .collect();
    let quality = Quality {
        images: 57,
        missing: 0,
        psnr: 24.5,
        psnr_of_mean_error: 23.75,
        mse: 0.004_2,
        ssim: Some(0.75),
        exact: Exact::default(),
    };
    let pictures = (gallery.items[2].picture.clone(), Picture::filled(8, 8, [40, 150, 70]));
    Measured {
        codec: CodecCheck {
            name: "vqgan.safetensors".into(),
            sha256: "ab".into(),
            quality,
            codes: CODES,
            samples: vec![pictures],
        },
        model: ModelFacts { parameters: 2_500_000, training_rows: 2624, held_out_rows: 114, baseline: 5.75 },
        curves: Curves::parse(lines.as_bytes()),
        codec_curves: Some(Curves::parse(b"{\"type\":\"valid\",\"step\":10,\"psnr\":20.5}\n")),
        drawings: Drawings {
            training: vec![drawn(0, Language::English), drawn(1, Language::Russian)],
            held_out: Language::ALL.map(|language| drawn(2, language)).to_vec(),
            retrieval: retrieval(),
        },
        captions: Captions {
            training: Vec::new(),
            held_out: vec![Captioned {
                item: gallery.items[2].clone(), caption: "зелёный <квадрат>".into()
            }],
        },
    }
}

fn figures() -> Figures {
    Figures {
        version: 1,
        crawl: CrawlFigures {
            rows: 1370,
            pictures: 1369,
            training_pictures: 1312,
            held_out_pictures: 57,
            reasons: gallery().reasons,
            token_rows: 2738,
        },
        vocabulary: Vocabulary { size: 2048, sha256: "cd".into(), texts: 2624 },
        codec: CodecFigures {
            file: "configs/demo/codec/vqgan.safetensors".into(),
            sha256: "ab".into(),
            from_scratch: false,
            pictures: 57,
            psnr: 24.5,
            psnr_of_mean_error: 23.75,
            codes: CODES,
        },
        model: ModelFigures {
            parameters: 2_500_000,
            steps: 1500,
            batch_size: 8,
            held_out_image: Some(4.5),
            code_frequency_baseline: 5.75,
            ..ModelFigures::default()
        },
        retrieval: retrieval(),
        captions: CaptionFigures { training: 64, training_right: 9, held_out: 57, held_out_right: 1 },
        stages: vec![
            Entry { stage: "crawl".into(), seconds: 2.5 },
            Entry { stage: "train".into(), seconds: 500.0 },
        ],
        seconds: 502.5,
        peak_memory_bytes: Some(900 << 20),
        machine: Machine { processor: "A processor".into(), cores: 2, ..Machine::default() },
        seeds: Seeds::default(),
        next: vec!["cargo run --package train -- rudolph.toml --set 'data.train={}'".into()],
    }
}

#[test]
fn the_page_loads_nothing_and_shows_everything() {
    let gallery = gallery();
    let page = page(&figures(), &gallery, &measured(&gallery)).unwrap();
    for outside in ["src=\"http", "href=\"http", "url(", "@import", "<script", "<link"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert_eq!(page.matches("<section").count(), 8);
    // 3 thumbnails, 2 of the codec, 2 + 3 drawings of training captions, 3 of held-out ones, 1 captioned.
    assert_eq!(page.matches("<img ").count(), 14);
    assert_eq!(page.matches("<svg ").count(), 4);
    assert!(page.contains("red &lt;square&gt;") && !page.contains("<square>"));
    assert!(page.contains("зелёный &lt;квадрат&gt;") && page.contains("code frequency 5.750"));
    assert!(page.contains("rank 2") && page.contains("http_not_found"));
}

#[test]
fn the_summary_names_every_figure() {
    let summary = figures().summary();
    let lines: Vec<&str> = summary.lines().map(str::trim).collect();
    let expected = [
        "crawl  1,369 of 1,370 links gave a picture",
        "codec  24.50 dB PSNR on 57 held-out pictures, 68.4% of 1,024 codes in use there",
        "model  held-out image loss 4.500 nats per code; guessing by code frequency: 5.750",
        "drawing  nearest of 1,312 training pictures is the right one for 1 of 2 captions: 50.0% \
         (top 5 100.0%, median rank 1, chance 0.08%)",
        "captions  exactly right for 9 of 64 training and 1 of 57 held-out pictures",
        "time  8 min 23 s; peak memory 900 MiB",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn the_figures_are_json() {
    let json: serde_json::Value = serde_json::from_str(&figures().json().unwrap()).unwrap();
    assert_eq!(json["retrieval"]["top_1"], 0.5);
    assert_eq!(json["codec"]["codes"]["used"], 700);
    assert_eq!(json["crawl"]["reasons"]["ok"], 3);
    assert_eq!(json["stages"][1]["stage"], "train");
}
