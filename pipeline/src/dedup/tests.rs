use std::collections::BTreeMap;

use arrow::array::{Array, RecordBatch, StringArray};
use bytes::Bytes;

use super::*;
use crate::pairs::{HashKind, Layout, PairWriter, Row, TableWriter};
use crate::picture::{
    EncodeFormat, EncodeOptions, Interpolation, Picture, ResizeMode, ResizeOptions, encode, resize,
};
use crate::reason::Reason;

/// Soft blobs of colour that differ from seed to seed: like photos, they survive being made smaller.
fn picture(seed: u32, side: u32) -> Picture {
    let cell =
        |x: u32, y: u32, c: u32| (seed * 977 + x * 131 + y * 313 + c * 71).wrapping_mul(2_654_435_761) >> 24;
    let pixels = (0..8 * 8 * 3).map(|i| cell(i / 3 % 8, i / 24, i % 3).to_le_bytes()[0]).collect();
    let options = ResizeOptions {
        mode: ResizeMode::KeepRatio,
        size: side,
        upscale: Interpolation::Cubic,
        ..ResizeOptions::default()
    };
    resize(Picture::new(8, 8, pixels).unwrap(), &options).unwrap()
}

fn row(number: usize, url: &str, caption: &str, seed: u32, side: u32) -> Row {
    let stored =
        resize(picture(seed, side), &ResizeOptions { size: 64, ..ResizeOptions::default() }).unwrap();
    Row {
        url: Some(url.to_owned()),
        caption: Some(caption.to_owned()),
        size: Some((64, 64)),
        original_size: Some((side, side)),
        hash: HashKind::Sha256.digest(format!("{seed} {side}").as_bytes()),
        image: Some(Bytes::from(encode(&stored, &EncodeOptions::png()).unwrap())),
        ..Row::new(format!("{number:09}"), Reason::Ok)
    }
}

/// Two shards: a large and a small copy of one picture, an URL twice, a row that failed, and others.
fn shards() -> [Vec<Row>; 2] {
    let failed =
        Row { url: Some("http://a.org/gone.jpg".into()), ..Row::new("000000003", Reason::HttpNotFound) };
    [
        vec![
            row(0, "http://a.org/1.jpg", "small", 1, 90),
            row(1, "http://a.org/2.jpg", "two", 2, 200),
            row(2, "http://a.org/3.jpg", "three", 3, 200),
            failed,
        ],
        vec![
            row(10_000, "http://b.org/1.jpg", "large", 1, 400),
            row(10_001, "HTTP://A.org:80/2.jpg?utm_source=x#top", "two again", 2, 200),
            row(10_002, "http://b.org/4.jpg", "small", 4, 200),
            row(10_003, "http://c.org/1.jpg", "middle", 1, 300),
        ],
    ]
}

fn write(folder: &Path, shards: &[Vec<Row>]) {
    let layout = Layout { caption: true, format: EncodeFormat::Png, ..Layout::default() };
    for (index, rows) in shards.iter().enumerate() {
        let mut writer = PairWriter::new(Vec::new(), &layout, "x").unwrap();
        writer.write(&[], rows).unwrap();
        let path = folder.join(format!("{index:05}.parquet"));
        crate::atomic::write(path, writer.close().unwrap().0).unwrap();
    }
}

/// A folder with `in` and room for outputs.
fn desk() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("in"), &shards());
    folder
}

fn path(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

fn config(folder: &tempfile::TempDir, from: &str, to: &str, sets: &[&str]) -> DedupConfig {
    let mut all =
        vec![format!("input.path={}", path(folder, from)), format!("output.path={}", path(folder, to))];
    all.extend(sets.iter().map(|set| (*set).to_owned()));
    crate::settings::load(None, &all).unwrap()
}

fn dedup(folder: &tempfile::TempDir, from: &str, to: &str, sets: &[&str]) -> DedupSummary {
    run(&config(folder, from, to, sets), &RunOptions::default()).unwrap()
}

/// All rows of a table, each a map from column to text.
fn rows(location: &str) -> Vec<BTreeMap<String, Option<String>>> {
    let table = Table::open(location).unwrap();
    let mut rows = Vec::new();
    for batch in (0..table.shards().len()).flat_map(|shard| table.scan(shard).unwrap()) {
        let batch = batch.unwrap();
        for row in 0..batch.num_rows() {
            let cell =
                |(field, column): (&std::sync::Arc<arrow::datatypes::Field>, &arrow::array::ArrayRef)| {
                    let text = arrow::util::display::array_value_to_string(column, row).unwrap();
                    (field.name().clone(), column.is_valid(row).then_some(text))
                };
            rows.push(batch.schema().fields().iter().zip(batch.columns()).map(cell).collect());
        }
    }
    rows
}

fn column(rows: &[BTreeMap<String, Option<String>>], name: &str) -> Vec<String> {
    rows.iter().map(|row| row[name].clone().unwrap_or_default()).collect()
}

#[test]
fn of_copies_the_largest_stays_and_every_row_is_accounted_for() {
    let folder = desk();
    let summary = dedup(&folder, "in", "out", &[]);
    let counts: Vec<_> = summary.stage.counts.iter().map(|(code, rows)| (code.as_str(), *rows)).collect();
    assert_eq!(counts, [("kept", 5), ("near", 2), ("url", 1)]);
    let report = &summary.report;
    assert_eq!((report.clusters, report.largest, report.unreadable), (2, 3, 0));
    assert_eq!(report.sizes, [("2".to_owned(), 1), ("3-5".to_owned(), 1)].into());
    assert_eq!(report.left_out.keys().collect::<Vec<_>>(), [&Stage::Contaminated]);

    let kept = rows(&path(&folder, "out"));
    assert_eq!(column(&kept, "key"), ["000000001", "000000002", "000000003", "000010000", "000010002"]);
    assert_eq!(column(&kept, "cluster"), column(&kept, "key"));
    let schema = Table::open(&path(&folder, "out")).unwrap();
    let names: Vec<_> = schema.schema().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names[names.len() - 4..], ["rule", "phash", "cluster", "png"]);
    let hash = |seed, side| {
        PHash::of(
            &resize(picture(seed, side), &ResizeOptions { size: 64, ..ResizeOptions::default() }).unwrap(),
        )
    };
    assert_eq!(kept[1]["phash"], Some(hash(3, 200).to_string()));
    assert_eq!(kept[2]["phash"], None, "a row without a picture has no hash");

    let dropped = rows(&path(&folder, "out/00001.dropped.parquet"));
    assert_eq!(column(&dropped, "key"), ["000010001", "000010003"]);
    assert_eq!(column(&dropped, "dropped_by"), ["url", "near"]);
    assert_eq!(column(&dropped, "cluster"), ["000000001", "000010000"]);
    assert!(!dropped[0].contains_key("png"));

    let all = rows(&path(&folder, "out/decisions.parquet"));
    assert_eq!(column(&all, "keep"), ["false", "true", "true", "true", "true", "false", "true", "false"]);
    assert_eq!(column(&all, "reason"), ["near", "", "", "", "", "url", "", "near"]);
    assert_eq!(column(&all, "cluster")[0], "000010000");
    let places = |row: usize| (all[row]["shard"].clone().unwrap(), all[row]["row"].clone().unwrap());
    assert_eq!(places(5), ("00001.parquet".to_owned(), "1".to_owned()));
}

#[test]
fn the_output_has_nothing_more_to_drop() {
    let folder = desk();
    dedup(&folder, "in", "once", &["captions.merge=list"]);
    let summary = dedup(&folder, "once", "twice", &["captions.merge=list"]);
    assert_eq!(summary.stage.counts, [("kept".to_owned(), 5)].into());
    assert_eq!(rows(&path(&folder, "twice")), rows(&path(&folder, "once")));
    assert_eq!(
        Table::open(&path(&folder, "twice")).unwrap().schema().fields(),
        Table::open(&path(&folder, "once")).unwrap().schema().fields()
    );
}

/// Names and bytes of all files of an output.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let files = entries.filter(|entry| entry.path().is_file());
    files.map(|file| (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap())).collect()
}

#[test]
fn the_bytes_do_not_depend_on_threads() {
    let folder = desk();
    for (out, threads) in [("one", "run.threads=1"), ("many", "run.threads=5")] {
        dedup(&folder, "in", out, &[threads, "captions.merge=join"]);
    }
    let (one, many) = (files(&folder.path().join("one")), files(&folder.path().join("many")));
    assert!(one.len() >= 9, "{:?}", one.keys());
    assert!(one == many, "the files differ");
}

#[test]
fn captions_go_to_the_row_that_stays() {
    let folder = desk();
    dedup(&folder, "in", "list", &["captions.merge=list"]);
    let lists = column(&rows(&path(&folder, "list")), "captions");
    assert_eq!(lists, ["[two, two again]", "[three]", "[]", "[large, small, middle]", "[small]"]);
    dedup(&folder, "in", "join", &["captions.merge=join", "captions.separator=\" | \"", "captions.most=2"]);
    let joined = column(&rows(&path(&folder, "join")), "caption");
    assert_eq!(joined, ["two | two again", "three", "", "large | small", "small"]);
    let dropped = rows(&path(&folder, "list/00000.dropped.parquet"));
    assert_eq!((&dropped[0]["caption"], &dropped[0]["captions"]), (&Some("small".to_owned()), &None));
}

#[test]
fn pictures_of_evaluation_sets_are_dropped_and_named() {
    let folder = desk();
    let png = encode(&picture(3, 120), &EncodeOptions::default()).unwrap();
    crate::atomic::write(folder.path().join("eval/sub/3.jpg"), png).unwrap();
    crate::atomic::write(folder.path().join("eval/broken.jpg"), b"no picture").unwrap();
    write(&folder.path().join("pairs"), &[vec![row(7, "http://eval.org/4", "", 4, 150)]]);
    dedup(&folder, "pairs", "hashed", &[]);
    let paths = ["eval", "pairs", "hashed"].map(|name| path(&folder, name));
    let against = |paths: &[String]| format!("against.paths={}", toml::Value::from(paths.to_vec()));
    let summary = dedup(&folder, "in", "out", &[&against(&paths[..2])]);
    assert_eq!((summary.stage.counts["contaminated"], summary.report.against), (2, 2));
    let dropped = [0, 1].map(|shard| rows(&path(&folder, &format!("out/0000{shard}.dropped.parquet"))));
    let named = |shard: usize| {
        let rows = dropped[shard].iter().filter(|row| row["dropped_by"].as_deref() == Some("contaminated"));
        rows.map(|row| row["cluster"].clone().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(named(0), [format!("{}/sub/3.jpg", paths[0])]);
    assert_eq!(named(1), [format!("{}/http://eval.org/4", paths[1])]);
    // Hashes that are there already are taken.
    let summary = dedup(&folder, "in", "other", &[&against(&paths[2..])]);
    assert_eq!(summary.stage.counts["contaminated"], 1);
    let dropped = rows(&path(&folder, "other/00001.dropped.parquet"));
    assert!(column(&dropped, "cluster").contains(&format!("{}/000000007", paths[2])), "{dropped:?}");
}

#[test]
fn placeholders_go_all_together() {
    let folder = tempfile::tempdir().unwrap();
    let mut all: Vec<Row> =
        (0..8).map(|i| row(i, &format!("http://site{i}.org/{i}.jpg"), "removed", 9, 100)).collect();
    all.extend((8..16).map(|i| row(i, &format!("http://one.org/{i}.jpg"), "shop", 5, 100)));
    all.push(row(16, "http://two.org/x.jpg", "photo", 6, 100));
    write(&folder.path().join("in"), &[all]);
    let summary = dedup(&folder, "in", "out", &["placeholder.rows=8", "placeholder.sites=3"]);
    assert_eq!(
        summary.stage.counts,
        [("kept".into(), 2), ("placeholder".into(), 8), ("sha256".into(), 7)].into()
    );
}

#[test]
fn link_tables_are_compared_by_their_urls() {
    let folder = tempfile::tempdir().unwrap();
    let urls = ["http://h/1", "http://h/1#a", "http://h/2", "http://h/1"];
    let texts = ["a", "b", "a", "a"];
    let batch = RecordBatch::try_from_iter([
        ("URL", std::sync::Arc::new(StringArray::from(urls.to_vec())) as arrow::array::ArrayRef),
        ("TEXT", std::sync::Arc::new(StringArray::from(texts.to_vec()))),
    ])
    .unwrap();
    let mut writer = TableWriter::new(Vec::new(), batch.schema(), "links/1", &[], "x").unwrap();
    writer.write(&batch).unwrap();
    crate::atomic::write(folder.path().join("links.parquet"), writer.close().unwrap().0).unwrap();
    let names = ["input.url_col=URL", "input.caption_col=TEXT"];
    let summary = dedup(&folder, "links.parquet", "urls", &names);
    assert_eq!(summary.stage.counts, [("kept".into(), 2), ("url".into(), 2)].into());
    assert_eq!(summary.report.left_out.len(), 4, "{:?}", summary.report.left_out);
    let output = Table::open(&path(&folder, "urls")).unwrap();
    assert_eq!(output.format(), "links/1");
    let fields: Vec<_> = output.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(fields, ["URL", "TEXT", "cluster"]);
    let pairs = [names[0], names[1], "stages=[\"url_caption\"]"];
    let summary = dedup(&folder, "links.parquet", "pairs", &pairs);
    assert_eq!(summary.stage.counts, [("kept".into(), 3), ("url_caption".into(), 1)].into());
    let error = run(&config(&folder, "links.parquet", "none", &[]), &RunOptions::default()).unwrap_err();
    assert!(error.to_string().contains("nothing here can be compared (url: no column `url`"), "{error}");
}

#[test]
fn another_distance_needs_no_decoding() {
    let folder = desk();
    let hashes = |out: &str| {
        let folders = std::fs::read_dir(folder.path().join(out).join("_hashes")).unwrap();
        folders.map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
    };
    dedup(&folder, "in", "out", &[]);
    let before = hashes("out");
    assert_eq!(before.len(), 1);
    // Only hashes that were never made can be wrong: these are, and are found.
    let commits = std::fs::read_dir(before[0].join("_commits")).unwrap().count();
    let stamp = std::fs::metadata(before[0].join("00000.parquet")).unwrap().modified().unwrap();
    let other = config(&folder, "in", "out", &["near.distance=0"]);
    let refused = run(&other, &RunOptions::default()).unwrap_err();
    assert!(matches!(refused, Error::OtherPlan { .. }), "{refused}");
    let fresh = RunOptions { fresh: true, ..RunOptions::default() };
    let summary = run(&other, &fresh).unwrap();
    assert!(summary.stage.counts["kept"] >= 5);
    assert_eq!((hashes("out"), commits), (before.clone(), 2));
    assert_eq!(std::fs::metadata(before[0].join("00000.parquet")).unwrap().modified().unwrap(), stamp);
    assert!(run(&other, &RunOptions::default()).unwrap().stage.already_done());
}

#[test]
fn units_can_be_hashed_one_by_one() {
    let folder = desk();
    let config = config(&folder, "in", "out", &[]);
    for unit in [1, 0] {
        let options = RunOptions { selection: Selection::One(unit), ..RunOptions::default() };
        assert_eq!(hash_units(&config, &options).unwrap().units_done, 1);
    }
    assert_eq!(run(&config, &RunOptions::default()).unwrap().stage.rows, 5);
}

#[test]
fn pictures_that_cannot_be_decoded_stay_and_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let broken = |number| Row {
        image: Some(Bytes::from_static(b"broken")),
        hash: None,
        ..row(number, &format!("http://h/{number}"), "", 1, 80)
    };
    write(&folder.path().join("in"), &[vec![broken(0), row(1, "http://h/1", "", 1, 80), broken(2)]]);
    let summary = dedup(&folder, "in", "out", &["stages=[\"near\"]"]);
    assert_eq!((summary.stage.rows, summary.report.unreadable), (3, 2));
}

#[test]
fn the_input_is_no_place_for_the_output() {
    let folder = desk();
    for (from, to) in [("in", "in"), ("in/00000.parquet", "in")] {
        let error = run(&config(&folder, from, to, &[]), &RunOptions::default()).unwrap_err();
        assert_eq!(error.to_string(), "output.path: is where the input lies");
    }
}
