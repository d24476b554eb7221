//! `pipeline dedup`: from a crawl to shards without duplicates, what it says, and what a kill does to it.

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::Instant;

use insta::assert_snapshot;
use pipeline::pairs::Table;
use pipeline::picture::{EncodeOptions, Interpolation, Picture, ResizeMode, ResizeOptions, encode, resize};
use serde_json::Value;

use crate::desk::{Desk, lifetime, text, told};

/// Soft blobs of colour that differ from number to number: like photos, they keep their looks when made smaller.
fn blobs(n: u32, side: u32) -> Picture {
    let value = |i: u32| ((n * 977 + i * 131).wrapping_mul(2_654_435_761) >> 24).to_le_bytes()[0];
    let cells = Picture::new(8, 8, (0..8 * 8 * 3).map(value).collect()).unwrap();
    let options = ResizeOptions {
        mode: ResizeMode::KeepRatio,
        size: side,
        upscale: Interpolation::Cubic,
        ..ResizeOptions::default()
    };
    resize(cells, &options).unwrap()
}

/// A crawl of images that are there: each of `count` pictures twice, the second time smaller and as a JPEG.
fn crawled(desk: &Desk, count: u32, flags: &[&str]) {
    for n in 0..count {
        let [large, small] = [(300, EncodeOptions::png()), (200, EncodeOptions::default())]
            .map(|(side, format)| encode(&blobs(n, side), &format).unwrap());
        desk.write(&format!("photos/{n:04}-large.png"), large);
        desk.write(&format!("photos/{n:04}-small.jpg"), small);
        desk.write(&format!("photos/{n:04}-small.txt"), format!("small {n}"));
    }
    let mut arguments = vec!["crawl", "photos", "--out", "pairs", "--image-size", "128", "-q"];
    arguments.extend(flags);
    let output = desk.run(&arguments);
    assert!(output.status.success(), "{}", told(&output));
}

fn dedup(desk: &Desk, out: &str, flags: &[&str]) -> Command {
    let mut arguments = vec!["dedup", "pairs", "--out", out];
    arguments.extend(flags);
    desk.command(&arguments)
}

/// What was said, without times and sizes.
fn said(stderr: &[u8]) -> String {
    let lines = text(stderr);
    let steady =
        |line: &&str| !line.contains("rows/s") && !line.contains("units in ") && !line.contains(" KiB in ");
    lines.lines().filter(steady).fold(String::new(), |mut all, line| {
        writeln!(all, "{line}").unwrap();
        all
    })
}

#[test]
fn copies_of_a_crawl_are_found_and_told() {
    let desk = Desk::new();
    crawled(&desk, 6, &["--rows-per-unit", "5"]);
    let output = dedup(&desk, "unique", &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert_snapshot!(said(&output.stderr), @r"
    looking at the shards
    12 rows: kept 6 (50.0 %), near 6 (50.0 %)
    6 clusters: 6 of 2 rows; the largest has 2
    ");
    let table = Table::open(desk.path("unique").to_str().unwrap()).unwrap();
    assert_eq!((table.rows(), table.shards().len()), (6, 3));
    let again = dedup(&desk, "unique", &[]).output().unwrap();
    assert_snapshot!(said(&again.stderr), @r"
    looking at the shards
    all 3 units already done
    12 rows: kept 6 (50.0 %), near 6 (50.0 %)
    6 clusters: 6 of 2 rows; the largest has 2
    ");
    assert_eq!(desk.run(&["finish", "unique"]).status.code(), Some(0));
    assert_eq!(desk.pairs("unique").len(), 6, "tokenize reads them");
}

#[test]
fn json_tells_counts_and_clusters() {
    let desk = Desk::new();
    crawled(&desk, 4, &[]);
    let output = dedup(&desk, "unique", &["--json"]).output().unwrap();
    let lines: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = lines.last().unwrap();
    assert_eq!((&summary["type"], &summary["version"]), (&"summary".into(), &1.into()));
    assert_eq!((&summary["counts"]["kept"], &summary["counts"]["near"]), (&4.into(), &4.into()));
    assert_eq!(summary["report"]["sizes"], serde_json::json!({"2": 4}));
    assert_eq!(summary["report"]["left_out"]["contaminated"], "no evaluation sets");
    assert_eq!(desk.json("unique/dedup.json"), summary["report"]);
    assert_eq!(desk.json("unique/00000_stats.json")["reasons"]["near"], 4);
    assert!(lines.iter().any(|line| line["type"] == "unit" && line["counts"]["kept"] == 4), "{lines:?}");
}

#[test]
fn flags_are_settings_and_a_config_file_says_the_same() {
    let desk = Desk::new();
    crawled(&desk, 3, &[]);
    let flags =
        ["--distance", "2", "--link", "single", "--merge-captions", "list", "--stages", "near,sha256"];
    assert!(dedup(&desk, "flags", &flags).output().unwrap().status.success());
    desk.write(
        "dedup.toml",
        "stages = [\"sha256\", \"near\"]\n[input]\npath = \"pairs\"\n[output]\npath = \"file\"\n[near]\n\
         distance = 2\nlink = \"single\"\n[against]\ndistance = 2\n[captions]\nmerge = \"list\"\n",
    );
    let output = desk.run(&["dedup", "dedup.toml"]);
    assert!(output.status.success(), "{}", told(&output));
    assert!(desk.shards("flags") == desk.shards("file"), "the shards differ");
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/dedup.toml");
    let output = desk.run(&["dedup", shipped, "--set", "input.path=pairs", "--out", "shipped"]);
    assert!(output.status.success(), "{}", told(&output));
}

#[test]
fn usage_errors_exit_with_2_and_say_what_is_meant() {
    let desk = Desk::new();
    desk.write("empty/notes.txt", "nothing");
    assert_snapshot!(told(&desk.run(&["dedup", "pairs"])), @r"
    exit 2
    --- stdout
    --- stderr
    error: output.path: no output folder given
    hint: add --out data/unique
    ");
    assert_snapshot!(told(&desk.run(&["dedup", "empty", "--out", "out", "-q"])), @r#"
    exit 2
    --- stdout
    --- stderr
    error: empty: no shards here
    hint: has the crawl committed a unit yet? output.format = "dummy" writes none
    "#);
    assert_snapshot!(told(&desk.run(&["dedup", "empty", "--out", "out", "--set", "near.distanse=3"])), @r"
    exit 2
    --- stdout
    --- stderr
    error: --set near.distanse=3: unknown key `distanse`; known: distance, link
    hint: did you mean `distance`?
    ");
    assert_snapshot!(told(&desk.run(&["dedup", "empty", "--out", "out", "--distance", "12"])), @r"
    exit 2
    --- stdout
    --- stderr
    error: near.distance: lies between 0 and 8
    ");
    crawled(&desk, 1, &[]);
    assert_snapshot!(told(&dedup(&desk, "out", &["--against", "absent", "-q"]).output().unwrap()), @r"
    exit 2
    --- stdout
    --- stderr
    error: absent: No such file or directory (os error 2)
    ");
    assert_eq!(desk.names("out"), [""; 0], "nothing was made");
}

#[test]
fn killed_at_any_moment_and_run_again_gives_the_same_bytes() {
    let desk = Desk::new();
    crawled(&desk, 60, &["--rows-per-unit", "8"]);
    desk.write("eval/one.jpg", std::fs::read(desk.path("photos/0007-small.jpg")).unwrap());
    let flags = ["--against", "eval", "--threads", "1", "--merge-captions", "list", "-q"];
    let began = Instant::now();
    let whole = dedup(&desk, "whole", &flags).output().unwrap();
    assert!(whole.status.success(), "{}", told(&whole));
    let undisturbed = began.elapsed();
    let mut kills = 0;
    for round in 0..14_u64 {
        let mut child = dedup(&desk, "killed", &flags).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(lifetime(undisturbed, round));
        if child.try_wait().unwrap().is_none() {
            // SIGKILL: nothing can be tidied up.
            child.kill().unwrap();
            kills += 1;
        }
        child.wait().unwrap();
    }
    assert!(kills >= 3, "the run is too short for this test: {kills} kills");
    let last = dedup(&desk, "killed", &flags).output().unwrap();
    assert!(last.status.success(), "{}", told(&last));
    assert_eq!(desk.shards("whole").len(), 15);
    assert!(desk.shards("whole") == desk.shards("killed"), "the shards differ");
    let names = desk.names("whole");
    assert_eq!(desk.names("killed"), names, "nothing of the killed attempts stays");
    for name in names.iter().filter(|name| name.ends_with(".parquet") || *name == "dedup.json") {
        let read = |out: &str| std::fs::read(desk.path(out).join(name)).unwrap();
        assert!(read("whole") == read("killed"), "{name} differs");
    }
}
