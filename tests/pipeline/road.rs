//! The whole road on a small site: extract, crawl, filter, dedup, card, and a split.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::desk::{Desk, text, told};

/// Eight pages in two languages: an icon on all of them, a picture that each shares with its neighbour, one of its own, and
/// one that is gone.
fn site(desk: &Desk) {
    for n in 0..8 {
        let (language, number) =
            if n % 2 == 0 { ("ru", "Птица в саду, номер") } else { ("en", "Bird no.") };
        let page = format!(
            "<!DOCTYPE html><html lang={language}><body><img src=/pixel.png alt=Next>\
             <img src=/img/{} alt='The bird number {n} on its branch'>\
             <figure><img src=img/{}><figcaption>{number} {n}</figcaption></figure>\
             <img src=/absent alt='A bird that has flown away'></body></html>",
            n / 2,
            20 + n
        );
        desk.write(&format!("site/{n}.html"), page);
    }
}

fn run(desk: &Desk, arguments: &[&str]) -> String {
    let output = desk.run(arguments);
    assert!(output.status.success(), "{}", told(&output));
    text(&output.stdout)
}

/// All steps, with so many threads; the figures of the card.
fn road(desk: &Desk, threads: &str) -> Value {
    site(desk);
    let rules = "input = \"pairs\"\nout = \"clean\"\n[[rules]]\nkind = \"side\"\nmin = 10\n";
    desk.write("filter.toml", rules);
    run(
        desk,
        &["extract", "site", "--base", "http://pictures.test/", "--out", "links", "--threads", threads],
    );
    let crawl = desk.crawl("links", "pairs", &["--threads", threads]).output().unwrap();
    assert!(crawl.status.success(), "{}", told(&crawl));
    run(desk, &["filter", "filter.toml", "--threads", threads]);
    run(desk, &["dedup", "clean", "--stages", "url,sha256", "--out", "unique", "--threads", threads]);
    run(desk, &["card", "unique", "--out", "card.html"]);
    let figures = run(desk, &["card", "unique", "--json"]);
    let mut card: Value = serde_json::from_str(figures.lines().last().unwrap()).unwrap();
    assert_ne!(card["timings"].take(), Value::Null);
    card
}

#[test]
fn a_site_becomes_clean_pairs_and_a_card() {
    let (desk, other) = (Desk::new(), Desk::new());
    let card = road(&desk, "1");
    assert_eq!(road(&other, "4"), card);
    for folder in ["links", "clean", "unique"] {
        assert!(desk.shards(folder) == other.shards(folder), "{folder} depends on threads");
    }

    let rows: Vec<_> = card["road"].as_array().unwrap().iter().map(|stop| stop["rows"].as_u64()).collect();
    // Of 32 links 8 are gone and 8 are icons; of the shared pictures one of two goes.
    assert_eq!(rows, [32, 32, 16, 12].map(Some), "{card}");
    let mut captions: BTreeMap<char, usize> = BTreeMap::new();
    for pair in desk.pairs("unique") {
        assert!(pair.image.is_some());
        *captions.entry(pair.caption.unwrap().chars().next().unwrap()).or_default() += 1;
    }
    assert_eq!(captions, BTreeMap::from([('B', 4), ('T', 4), ('П', 4)]));
    let page = std::fs::read_to_string(desk.path("card.html")).unwrap();
    assert!(page.contains("12 pictures, each with a caption, from 1 domain."));
    assert!(!page.contains("<script src") && !page.contains("<link "), "the page loads something");

    run(&desk, &["reshard", "unique", "--split", "train=0.5,test=0.5", "--out", "split"]);
    let sides = ["split/train", "split/test"].map(|side| desk.pairs(side).len());
    assert_eq!(sides.iter().sum::<usize>(), 12, "{sides:?}");
    assert!(sides.iter().all(|rows| *rows > 0), "{sides:?}");
}
