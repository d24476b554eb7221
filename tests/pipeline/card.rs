//! `pipeline card` over what a crawl left.

use crate::desk::{Desk, good_rows, text, told};

/// A crawl of twelve pictures, a page that is none and a link that leads nowhere.
fn crawled() -> Desk {
    let desk = Desk::new();
    let list = good_rows(12) + "http://pictures.test/html.jpg,<b>a page</b>\nhttp://pictures.test/absent,\n";
    desk.write("links.csv", list);
    let output = desk.crawl("links.csv", "pairs", &["-q", "--rows-per-unit", "9"]).output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    desk
}

#[test]
fn the_page_is_written_whole_and_the_same_again() {
    let desk = crawled();
    let output = desk.run(&["card", "pairs", "--out", "card.html", "--title", "Birds & <b>bees</b>"]);
    assert!(output.status.success() && output.stdout.is_empty(), "{}", told(&output));
    let said = text(&output.stderr);
    assert!(said.lines().last().unwrap().starts_with("14 rows in card.html, "), "{said}");
    let page = std::fs::read_to_string(desk.path("card.html")).unwrap();
    assert!(page.contains("<title>Birds &amp; &lt;b&gt;bees&lt;/b&gt;</title>"));
    assert!(page.contains("12 pictures, each with a caption, from 1 domain."));
    assert_eq!(page.matches("<img ").count(), 12);
    for reason in ["http_not_found", "not_image"] {
        assert!(page.contains(reason), "{reason}");
    }
    let again = ["card", "pairs", "--out", "again.html", "-q", "--set", "title=Birds & <b>bees</b>"];
    let output = desk.command(&again).env("RAYON_NUM_THREADS", "1").output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", told(&output));
    assert_eq!(std::fs::read_to_string(desk.path("again.html")).unwrap(), page);
}

#[test]
fn the_figures_are_a_versioned_record() {
    let desk = crawled();
    let output = desk.run(&["card", "pairs", "--json"]);
    assert!(output.status.success(), "{}", told(&output));
    let lines: Vec<serde_json::Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let card = lines.last().unwrap();
    assert_eq!((&card["type"], &card["version"]), (&"card".into(), &1.into()));
    assert_eq!(card["road"][0]["maker"], "crawl");
    assert_eq!((&card["contents"]["rows"], &card["failures"]["pictures"]), (&12.into(), &12.into()));
    assert_eq!(card["contents"]["stored"]["width"]["max"], 64);
    assert_eq!(card["contents"]["captions"]["words"]["p50"], 2);
    assert_eq!(card["kept"].as_array().unwrap().len(), 12);
    assert_eq!(desk.names(".").iter().filter(|name| name.ends_with("html")).count(), 0);
}

#[test]
fn what_is_wrong_is_named_with_the_cure() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("empty")).unwrap();
    let said = |arguments: &[&str]| told(&desk.run(arguments));
    insta::assert_snapshot!(said(&["card", "empty", "--out", "card.html"]), @r#"
    exit 2
    --- stdout
    --- stderr
    looking at the folders
    error: empty: no shards here
    hint: has the crawl committed a unit yet? output.format = "dummy" writes none
    "#);
    insta::assert_snapshot!(said(&["card", "empty", "--out", "card.html", "--samples", "9999"]), @"
    exit 2
    --- stdout
    --- stderr
    error: samples: lies between 0 and 500: each is a picture in the page
    ");
    insta::assert_snapshot!(said(&["card", "empty", "--json", "--set", "titel=x"]), @"
    exit 2
    --- stdout
    --- stderr
    error: --set titel=x: unknown key `titel`; known: title, seed, samples, top
    hint: did you mean `title`?
    ");
    assert!(said(&["card", "empty"]).starts_with("exit 2\n"));
    assert!(desk.names(".").iter().all(|name| name != "card.html"));
}
