//! `pipeline filter` through the program: what it writes, what it says, before and after a crawl.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;
use pipeline::pairs::{Table, TableWriter};
use serde_json::Value;

use crate::desk::{Desk, good_rows, text, told};

/// A URL, a caption and a score.
type Row<'a> = (&'a str, Option<&'a str>, Option<f64>);

/// A link table of one shard per slice.
fn links(desk: &Desk, folder: &str, shards: &[&[Row<'_>]]) {
    for (index, rows) in shards.iter().enumerate() {
        let column = |texts: Vec<Option<&str>>| Arc::new(StringArray::from(texts)) as ArrayRef;
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("url", column(rows.iter().map(|row| Some(row.0)).collect()), true),
            ("caption", column(rows.iter().map(|row| row.1).collect()), true),
            ("clip", Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>()), true),
        ])
        .unwrap();
        let mut writer = TableWriter::new(Vec::new(), batch.schema(), "links/1", &[], "x").unwrap();
        writer.write(&batch).unwrap();
        desk.write(&format!("{folder}/{index:05}.parquet"), writer.close().unwrap().0);
    }
}

fn sample(desk: &Desk) {
    let first: &[_] = &[
        ("http://h.example/1.jpg", Some("A red cat sleeps on the roof"), Some(0.31)),
        ("http://h.example/2.jpg", Some("image"), Some(0.3)),
        ("http://ads.example/3.jpg", Some("Buy  our &quot;cats&quot; now"), Some(0.1)),
        ("http://h.example/4.jpg", None, None),
    ];
    let second: &[_] = &[
        ("http://h.example/5.jpg", Some("Ð\u{9a}Ð¾Ñ‚ Ð½Ð° ÐºÑ€Ñ‹ÑˆÐµ"), Some(0.29)),
        ("http://h.example/6.jpg", Some("A cat and a dog in the garden"), Some(0.2)),
    ];
    links(desk, "links", &[first, second]);
    desk.write(
        "filter.toml",
        "input = \"links\"\nout = \"clean\"\n\
         [[rules]]\nkind = \"mojibake\"\n\
         [[rules]]\nkind = \"unicode\"\n\
         [[rules]]\nkind = \"characters\"\nmin = 5\n\
         [[rules]]\nkind = \"caption-shape\"\n\
         [[rules]]\nkind = \"blocked-domains\"\ndomains = [\"ads.example\"]\n\
         [[rules]]\nname = \"clip\"\nkind = \"column\"\ncolumn = \"clip\"\nmin = 0.28\n\
         [[rules]]\nkind = \"side\"\nmin = 200\nmissing = \"keep\"\n",
    );
}

/// The texts of a column, over all shards.
fn texts(desk: &Desk, location: &str, column: &str) -> Vec<Option<String>> {
    let table = Table::open(desk.path(location).to_str().unwrap()).unwrap();
    let scans = (0..table.shards().len()).map(|shard| table.scan_columns(shard, &[column]).unwrap());
    let batches = scans.flat_map(|scan| scan.map(Result::unwrap));
    let texts = batches.flat_map(|batch| {
        batch.column(0).as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>()
    });
    texts.collect()
}

fn lines(output: &[u8]) -> Vec<Value> {
    text(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_dry_run_prints_the_funnel_and_writes_nothing() {
    let desk = Desk::new();
    sample(&desk);
    let output = desk.run(&["filter", "filter.toml", "--dry-run", "-q"]);
    insta::assert_snapshot!(told(&output), @r#"
    exit 0
    --- stdout
    all 6 rows of 2 shards

    rule             dropped          only this  left
    mojibake                                        6  1 rewritten
    unicode                                         6  1 rewritten
    characters             1  16.7 %          0     5
    caption-shape          1  16.7 %          1     4
    blocked-domains        1  16.7 %          0     3
    clip                   1  16.7 %          1     2
    side                                            2  no column `width`
    kept                                            2  33.3 %

    mojibake
      "Ð\u{9a}Ð¾Ñ‚ Ð½Ð° ÐºÑ€Ñ‹ÑˆÐµ" → "Кот на крыше"

    unicode
      "Buy  our &quot;cats&quot; now" → "Buy our \"cats\" now"

    characters
      no caption  http://h.example/4.jpg

    caption-shape
      "image"  http://h.example/2.jpg

    blocked-domains
      "Buy our \"cats\" now"  http://ads.example/3.jpg

    clip
      "A cat and a dog in the garden"  http://h.example/6.jpg
    --- stderr
    "#);
    assert_eq!(desk.names("clean"), [""; 0]);
    let sampled = desk.run(&["filter", "filter.toml", "--dry-run", "--sample", "4", "--json"]);
    let funnel = lines(&sampled.stdout).pop().unwrap();
    assert_eq!(
        (&funnel["type"], &funnel["rows"], &funnel["shards"]),
        (&"funnel".into(), &6.into(), &2.into())
    );
    assert_eq!((&funnel["funnel"]["rows"], &funnel["seed"]), (&4.into(), &1.into()));
}

#[test]
fn kept_and_removed_rows_lie_side_by_side_with_the_reason() {
    let desk = Desk::new();
    sample(&desk);
    let output = desk.run(&["filter", "filter.toml", "-q"]);
    assert!(output.status.success(), "{}", told(&output));
    let captions = ["A red cat sleeps on the roof", "Кот на крыше"].map(|text| Some(text.to_owned()));
    assert_eq!(texts(&desk, "clean", "caption"), captions, "rewritten where the rules rewrite");
    let removed = "clean/00000.dropped.parquet";
    let by = ["characters", "caption-shape", "blocked-domains"].map(str::to_owned);
    let mut found = texts(&desk, removed, "dropped_by").into_iter().flatten().collect::<Vec<_>>();
    assert_eq!(found, [&by[1], &by[2], &by[0]].map(String::as_str));
    found = texts(&desk, removed, "caption").into_iter().flatten().collect();
    assert_eq!(found, ["image", "Buy  our &quot;cats&quot; now"], "removed rows are as they came");

    let manifest = desk.json("clean/manifest.json");
    assert_eq!((&manifest["format"], &manifest["rows"]), (&"links/1".into(), &2.into()));
    assert_eq!((&manifest["counts"]["kept"], &manifest["counts"]["clip"]), (&2.into(), &1.into()));
    let stats = desk.json("clean/00001_stats.json");
    assert_eq!((&stats["rows"], &stats["rules"][0]["rewritten"]), (&2.into(), &1.into()));
    assert_eq!(stats["rules"][5]["examples"][0]["url"], "http://h.example/6.jpg");

    let again = desk.run(&["filter", "filter.toml", "--json"]);
    let summary = lines(&again.stdout).pop().unwrap();
    assert_eq!((&summary["type"], &summary["units_done"]), (&"summary".into(), &0.into()));
    let only: Vec<_> =
        summary["funnel"]["rules"].as_array().unwrap().iter().map(|rule| &rule["only"]).collect();
    assert_eq!(only, [0, 0, 0, 1, 0, 1, 0], "a null caption has no score, and the advertisement a bad one");
}

#[test]
fn the_bytes_do_not_depend_on_threads_or_units_and_another_config_is_refused() {
    let desk = Desk::new();
    sample(&desk);
    for (out, threads) in [("one", "1"), ("four", "4")] {
        let set = format!("out={out}");
        let output = desk.run(&["filter", "filter.toml", "-q", "--set", &set, "--threads", threads]);
        assert!(output.status.success(), "{}", told(&output));
    }
    for unit in ["1", "0"] {
        let output = desk.run(&["filter", "filter.toml", "-q", "--out", "units", "--unit", unit]);
        assert!(output.status.success(), "{}", told(&output));
    }
    desk.run(&["finish", "units", "-q"]);
    let file = |out: &str, name: &str| std::fs::read(desk.path(out).join(name)).unwrap();
    for name in
        ["00000.parquet", "00001.parquet", "00000.dropped.parquet", "00001.dropped.parquet", "manifest.json"]
    {
        assert!(file("one", name) == file("four", name), "{name} differs with threads");
        assert!(file("one", name) == file("units", name), "{name} differs with units");
    }
    let other = desk.run(&["filter", "filter.toml", "--out", "one", "-q", "--set", "keep_failed=true"]);
    assert!(other.status.success(), "links have no failed rows: {}", told(&other));
    let other = desk.run(&["filter", "filter.toml", "--out", "one", "-q", "--preset", "laion"]);
    assert_eq!(other.status.code(), Some(2));
    assert!(text(&other.stderr).contains("holds the output of another plan"), "{}", told(&other));
}

#[test]
fn mistakes_name_their_place_and_the_cure() {
    let desk = Desk::new();
    sample(&desk);
    desk.write("typo.toml", "input = \"links\"\n[[rules]]\nkind = \"characters\"\nmni = 5\n");
    desk.write(
        "absent.toml",
        "input = \"links\"\n[[rules]]\nkind = \"column\"\ncolumn = \"clip_score\"\nmin = 1\n",
    );
    insta::assert_snapshot!(told(&desk.run(&["filter", "typo.toml", "--dry-run", "-q"])), @r"
    exit 2
    --- stdout
    --- stderr
    error: typo.toml:4:1: unknown key `mni`; known: min, max, column
    hint: did you mean `min`?
    ");
    insta::assert_snapshot!(told(&desk.run(&["filter", "absent.toml", "--dry-run", "-q"])), @r#"
    exit 2
    --- stdout
    --- stderr
    error: rule `column`: no column `clip_score` in links/00000.parquet; there are: url, caption, clip
    hint: did you mean `clip`? missing = "keep" leaves the rule out where its column is not there
    "#);
    insta::assert_snapshot!(told(&desk.run(&["filter", "links", "-q", "--out", "clean"])), @r#"
    exit 2
    --- stdout
    --- stderr
    error: rules: there is no rule
    hint: add --preset datacomp-basic, or rules to the config: [[rules]] kind = "side" min = 200
    "#);
    insta::assert_snapshot!(told(&desk.run(&["filter", "links", "-q"])), @r"
    exit 2
    --- stdout
    --- stderr
    error: out: no output folder given
    hint: add --out data/clean, or --dry-run to see what the rules would do
    ");
}

#[test]
fn a_crawl_is_filtered_before_and_after_and_read_on() {
    let desk = Desk::new();
    desk.write("links.csv", good_rows(6) + "http://pictures.test/absent,picture without one\n");
    let crawl = desk.crawl("links.csv", "pairs", &["--rows-per-unit", "4"]).output().unwrap();
    assert!(crawl.status.success(), "{}", told(&crawl));
    let rule = "rules=[{kind=\"side\", which=\"longer\", min=60}, {kind=\"bytes\", min=1}]";
    let output = desk.run(&["filter", "pairs", "--out", "clean", "-q", "--set", rule]);
    assert!(output.status.success(), "{}", told(&output));
    let (before, after) = (desk.pairs("pairs"), desk.pairs("clean"));
    let large =
        longer_sides(&desk, "pairs").into_iter().filter(|side| side.is_some_and(|side| side >= 60)).count();
    assert_eq!(after.len(), large);
    assert!(after.len() < 6 && !after.is_empty(), "some stay and some go");
    for pair in &after {
        assert!(before.contains(pair), "pictures and columns pass unchanged");
    }
    assert_eq!(desk.json("clean/manifest.json")["counts"]["status"], 1);
    let shard = Table::open(desk.path("clean/00001.dropped.parquet").to_str().unwrap()).unwrap();
    assert!(shard.image_column().is_none(), "removed rows keep no picture");
    let batch = shard.scan(0).unwrap().next().unwrap().unwrap();
    assert!(
        batch
            .column_by_name("original_width")
            .unwrap()
            .as_primitive::<Int32Type>()
            .is_null(batch.num_rows() - 1)
    );

    let again = desk.crawl("clean", "again", &[]).output().unwrap();
    assert!(again.status.success(), "{}", told(&again));
    assert_eq!(desk.pairs("again").len(), after.len(), "removed rows are not crawled again");
}

/// Of each row the longer side before resizing.
fn longer_sides(desk: &Desk, location: &str) -> Vec<Option<i32>> {
    let table = Table::open(desk.path(location).to_str().unwrap()).unwrap();
    let scan = |shard| table.scan_columns(shard, &["original_width", "original_height"]).unwrap();
    let batches = (0..table.shards().len()).flat_map(scan).map(Result::unwrap);
    let sides = batches.flat_map(|batch| {
        let [width, height] = [0, 1].map(|column| batch.column(column).as_primitive::<Int32Type>().clone());
        width.iter().zip(height.iter()).map(|(width, height)| width.max(height)).collect::<Vec<_>>()
    });
    sides.collect()
}

#[test]
fn the_example_config_works_on_a_crawl() {
    let desk = Desk::new();
    desk.write("links.csv", good_rows(4));
    let crawl = desk.crawl("links.csv", "data/pairs", &[]).output().unwrap();
    assert!(crawl.status.success(), "{}", told(&crawl));
    let config = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/filter.toml")).unwrap();
    desk.write("filter.toml", config);
    let output = desk.run(&["filter", "filter.toml", "--json"]);
    assert!(output.status.success(), "{}", told(&output));
    let summary = lines(&output.stdout).pop().unwrap();
    let rules = summary["funnel"]["rules"].as_array().unwrap();
    assert_eq!((rules.len(), &rules[0]["name"]), (16, &"status".into()));
    assert_eq!(summary["rows_read"], 4);
}

#[test]
fn pictures_beside_their_table_are_refused() {
    let desk = Desk::new();
    desk.write("links.csv", good_rows(2));
    let crawl = desk.crawl("links.csv", "tars", &["--output-format", "webdataset"]).output().unwrap();
    assert!(crawl.status.success(), "{}", told(&crawl));
    let output =
        desk.run(&["filter", "tars", "--out", "clean", "-q", "--set", "rules=[{kind=\"words\", min=1}]"]);
    insta::assert_snapshot!(told(&output), @r"
    exit 2
    --- stdout
    --- stderr
    error: tars/00000.parquet: its pictures lie beside it, in a tar or a folder
    hint: put them into the table first: pipeline crawl FOLDER --resize-mode no --skip-reencode --out OTHER
    ");
}
