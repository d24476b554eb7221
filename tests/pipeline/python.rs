//! The real Python libraries read what a crawl wrote. Where one is missing, its test says so and passes.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::desk::{Desk, told};

/// `PYTHON` or `python3`.
fn python() -> Command {
    Command::new(std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned()))
}

/// Whether a module can be imported; if not, that is printed.
#[expect(clippy::print_stderr, reason = "a test that is passed over says why")]
fn has(module: &str) -> bool {
    let found = python().args(["-c", &format!("import {module}")]).output();
    let found = found.is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("passed over: no Python with the module {module} (set PYTHON to one that has it)");
    }
    found
}

/// The JSON lines that a script prints.
fn script(name: &str, arguments: &[&str]) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("tests/pipeline/python");
    let output = python().arg(folder.join(name)).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Three rows in two shards: with a caption, dead, without a caption.
fn crawled(format: &str) -> Desk {
    let desk = Desk::new();
    desk.write(
        "links.csv",
        "url,caption\nhttp://pictures.test/img/1,кот\nhttp://pictures.test/gone,b\nhttp://pictures.test/img/3,\n",
    );
    let flags = ["--output-format", format, "--rows-per-unit", "2"];
    let output = desk.crawl("links.csv", "out", &flags).output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    desk
}

#[test]
fn webdataset_reads_the_tars() {
    if !has("webdataset") {
        return;
    }
    let desk = crawled("webdataset");
    let paths = ["out/00000.tar", "out/00001.tar"].map(|name| desk.path(name).display().to_string());
    let samples = script("webdataset_samples.py", &[&paths[0], &paths[1]]);
    let pairs = desk.pairs("out");
    let good: Vec<_> = pairs.iter().filter(|pair| pair.image.is_some()).collect();
    assert_eq!(samples.len(), 2);
    for (sample, pair) in samples.iter().zip(good) {
        assert_eq!(
            (&sample["key"], &sample["caption"]),
            (&pair.key.as_str().into(), &pair.caption.clone().into())
        );
        assert_eq!(sample["txt"].as_str(), Some(pair.caption.as_deref().unwrap_or("")));
        assert_eq!(sample["jpg"].as_u64(), pair.image.as_ref().map(|image| image.len() as u64));
        assert_eq!(sample["members"], serde_json::json!(["jpg", "json", "txt"]));
        assert_eq!(sample["same_text"], true, "json.dumps writes the same text");
    }
}

fn table_is_read(library: &str) {
    if !has(library) || (library == "pandas" && !has("pyarrow")) {
        return;
    }
    for format in ["parquet", "files"] {
        let desk = crawled(format);
        let table = script("tables.py", &[library, &desk.path("out/00000.parquet").display().to_string()]);
        let columns: Vec<_> =
            table[0]["columns"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
        assert_eq!(columns[..4], ["caption", "url", "key", "status"]);
        assert_eq!(columns.contains(&"jpg"), format == "parquet");
        assert_eq!(table[0]["keys"], serde_json::json!(["000000", "000001"]));
        assert_eq!(table[0]["widths"], serde_json::json!([64, null]));
    }
}

#[test]
fn pandas_reads_the_tables() {
    table_is_read("pandas");
}

#[test]
fn polars_reads_the_tables() {
    table_is_read("polars");
}

#[test]
fn pyarrow_reads_the_tables() {
    table_is_read("pyarrow");
}

#[test]
fn img2dataset_would_take_the_shards_for_done() {
    if !has("json") {
        return;
    }
    let desk = crawled("webdataset");
    let stats = script("stats.py", &[&desk.path("out").display().to_string()]);
    assert_eq!(stats[0], serde_json::json!({"done": [0, 1], "same_text": true}));
}
