//! What `pipeline crawl` writes in each output format, and what a kill does to it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use pipeline::pairs::tar::TarReader;
use pipeline::unit::Commit;
use serde_json::Value;

use crate::desk::{Desk, good_rows, lifetime, text, told};

/// Three rows: a picture with a caption, one without, a dead link.
const THREE: &str = "id,url,caption\n1,http://pictures.test/img/1,\"рыжий \"\"кот\"\"\"\n\
    2,http://pictures.test/gone,dead\n3,http://pictures.test/img/2,\n";

fn crawl(desk: &Desk, out: &str, more: &[&str]) {
    let output = desk.crawl("links.csv", out, more).output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
}

fn three(format: &str) -> Desk {
    let desk = Desk::new();
    desk.write("links.csv", THREE);
    crawl(&desk, "out", &["--columns", "id", "--output-format", format]);
    desk
}

fn members(path: &Path) -> Vec<(String, Vec<u8>)> {
    let bytes = std::fs::read(path).unwrap();
    let mut tar = TarReader::new(bytes.as_slice());
    std::iter::from_fn(|| tar.next_file().unwrap()).collect()
}

#[test]
fn webdataset_output_is_a_tar_of_samples_beside_its_table() {
    let desk = three("webdataset");
    let names = ["00000.parquet", "00000.tar", "00000_stats.json", "_commits", "manifest.json", "plan.json"];
    assert_eq!(desk.names("out"), names);
    let members = members(&desk.path("out/00000.tar"));
    let names: Vec<_> = members.iter().map(|(name, _)| name.as_str()).collect();
    let expected = ["jpg", "json", "txt"]
        .map(|e| format!("000000000.{e}"))
        .into_iter()
        .chain(["jpg", "json", "txt"].map(|e| format!("000000002.{e}")));
    assert_eq!(names, expected.collect::<Vec<_>>());
    assert_eq!(
        (members[2].1.as_slice(), members[5].1.as_slice()),
        ("рыжий \"кот\"".as_bytes(), b"".as_slice())
    );
    let padded: usize = members.iter().map(|(_, content)| content.len().next_multiple_of(512)).sum();
    let size = std::fs::metadata(desk.path("out/00000.tar")).unwrap().len() as usize;
    assert_eq!(size - padded, 512 * members.len() + 1024, "a member costs its header and no more");
}

#[test]
fn the_json_of_a_sample_is_its_row_as_python_writes_it() {
    let desk = three("webdataset");
    let members = members(&desk.path("out/00000.tar"));
    let json = text(&members[1].1);
    let start = "{\n    \"id\": \"1\",\n    \"caption\": \"\\u0440\\u044b\\u0436\\u0438\\u0439 \\\"\\u043a\\u043e\\u0442\\\"\",\n    \
        \"url\": \"http://pictures.test/img/1\",\n    \"key\": \"000000000\",\n    \"status\": \"success\",\n    \
        \"error_message\": null,\n    \"width\": 64,\n    \"height\": 64,\n    \"original_width\": 27,\n    \
        \"original_height\": 33,\n    ";
    assert!(json.starts_with(start), "{json}");
    assert!(json.ends_with("\n}"), "{json}");
    let values: Value = serde_json::from_slice(&members[4].1).unwrap();
    assert_eq!((&values["caption"], &values["reason"]), (&Value::Null, &"ok".into()));
    let table = desk.pairs("out");
    let columns: Vec<_> = values.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        (table.len(), columns.first().copied(), values["key"].as_str()),
        (3, Some("id"), Some("000000002"))
    );
}

#[test]
fn every_format_is_read_back_as_the_same_pairs() {
    let parquet = three("parquet").pairs("out");
    assert_eq!(parquet.iter().filter(|pair| pair.image.is_some()).count(), 2);
    for format in ["webdataset", "files"] {
        assert_eq!(three(format).pairs("out"), parquet, "{format}");
    }
}

/// As another program leaves them: no plan, no commit.
#[test]
fn tables_alone_are_read_with_the_pictures_beside_them_from_any_row() {
    for (format, beside) in [("webdataset", "00000.tar"), ("files", "00000")] {
        let desk = three(format);
        std::fs::create_dir(desk.path("other")).unwrap();
        for name in ["00000.parquet", beside] {
            std::fs::rename(desk.path("out").join(name), desk.path("other").join(name)).unwrap();
        }
        let pairs = desk.pairs("other");
        let sizes: Vec<_> = pairs.iter().map(|pair| pair.image.is_some()).collect();
        assert_eq!(sizes, [true, false, true], "{format}");
        let table = desk.path("other/00000.parquet").display().to_string();
        let last: Vec<_> = pipeline::pairs::open(&table).unwrap().range(2, 1).map(Result::unwrap).collect();
        assert_eq!(last, pairs[2..]);
        let silent = pipeline::pairs::open(&table).unwrap().without_images();
        assert!(silent.map(Result::unwrap).all(|pair| pair.image.is_none()));
    }
}

#[test]
fn files_output_is_a_folder_of_samples_beside_its_table() {
    let desk = three("files");
    let names = ["00000", "00000.parquet", "00000_stats.json", "_commits", "manifest.json", "plan.json"];
    assert_eq!(desk.names("out"), names);
    let tar = three("webdataset");
    let members = members(&tar.path("out/00000.tar"));
    assert_eq!(desk.names("out/00000").len(), 6);
    for (name, content) in members {
        assert!(std::fs::read(desk.path("out/00000").join(&name)).unwrap() == content, "{name}");
    }
}

#[test]
fn dummy_output_is_counts_alone() {
    let desk = three("dummy");
    assert_eq!(desk.names("out"), ["00000_stats.json", "_commits", "manifest.json", "plan.json"]);
    assert_eq!(desk.json("out/00000_stats.json")["successes"], 2);
    let shown = text(&desk.run(&["show", "out"]).stdout);
    assert!(shown.starts_with("out: 1 shards, 3 rows, 0 B\n"), "{shown}");
    assert!(shown.contains("  http_not_found: 1\n"), "{shown}");
}

#[test]
fn stats_are_written_as_python_writes_them() {
    let desk = three("parquet");
    let stats = std::fs::read_to_string(desk.path("out/00000_stats.json")).unwrap();
    let start = "{\n    \"count\": 3,\n    \"successes\": 2,\n    \"failed_to_download\": 1,\n    \
        \"failed_to_resize\": 0,\n    \"duration\": ";
    assert!(stats.starts_with(start), "{stats}");
    assert!(
        stats.contains(
            "\"status_dict\": {\n        \"HTTP Error 410: Gone\": 1,\n        \"success\": 2\n    }"
        ),
        "{stats}"
    );
}

/// Every file below a folder that does not tell times. `plan.json#1` is what a kill leaves of an `object_store` write.
fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let (path, name) = {
            let e = entry.unwrap();
            (e.path(), e.file_name().into_string().unwrap())
        };
        if path.is_dir() && name != "_commits" {
            found.extend(tree(&path).into_iter().map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
        } else if path.is_file() && !name.ends_with("_stats.json") && !name.contains('#') {
            found.insert(name, std::fs::read(&path).unwrap());
        }
    }
    found
}

#[test]
fn killed_at_any_moment_and_run_again_every_format_gives_the_same_bytes() {
    for format in ["webdataset", "files"] {
        let desk = Desk::new();
        desk.write("links.csv", good_rows(60));
        let flags =
            ["--output-format", format, "--rows-per-unit", "4", "--concurrency", "3", "--threads", "1"];
        let began = Instant::now();
        crawl(&desk, "whole", &flags);
        let undisturbed = began.elapsed();
        let mut kills = 0;
        for round in 0..8_u64 {
            let mut child = desk.crawl("links.csv", "killed", &flags).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(lifetime(undisturbed, round));
            if child.try_wait().unwrap().is_none() {
                // SIGKILL: nothing can be tidied up.
                child.kill().unwrap();
                kills += 1;
            }
            child.wait().unwrap();
        }
        assert!(kills >= 2, "the run is too short for this test: {kills} kills");
        crawl(&desk, "killed", &flags);
        let (whole, killed) = (tree(&desk.path("whole")), tree(&desk.path("killed")));
        assert_eq!(whole.keys().collect::<Vec<_>>(), killed.keys().collect::<Vec<_>>(), "{format}");
        assert!(whole == killed, "{format}: the bytes differ");
    }
}

/// The names of a kill between the commit and the final names.
fn unname(desk: &Desk, commit: &Commit) {
    let record = desk.json(&format!("out/_commits/{:05}.json", commit.unit));
    let stored: Commit = serde_json::from_value(record).unwrap();
    for (now, then) in commit.files.iter().zip(&stored.files) {
        assert_ne!(now.name, then.name);
        std::fs::rename(desk.path("out").join(&now.name), desk.path("out").join(&then.name)).unwrap();
    }
}

#[test]
fn what_is_committed_and_has_no_final_name_yet_is_read_and_gets_one() {
    for format in ["parquet", "webdataset", "files"] {
        let desk = three(format);
        let (whole, pairs) = (tree(&desk.path("out")), desk.pairs("out"));
        unname(&desk, &desk.commits("out")[0]);
        std::fs::remove_file(desk.path("out/00000_stats.json")).unwrap();
        assert_ne!(tree(&desk.path("out")).keys().collect::<Vec<_>>(), whole.keys().collect::<Vec<_>>());
        assert_eq!(desk.pairs("out"), pairs, "{format}");
        assert!(desk.run(&["finish", "out"]).status.success());
        assert!(tree(&desk.path("out")) == whole, "{format}: {:?}", desk.names("out"));
        assert_eq!(desk.json("out/00000_stats.json")["count"], 3);
    }
}

#[test]
fn starting_over_in_another_format_leaves_nothing_of_the_first() {
    let desk = three("files");
    desk.write("out/notes.txt", "mine");
    for format in ["webdataset", "dummy", "files"] {
        crawl(&desk, "out", &["--columns", "id", "--output-format", format, "--fresh"]);
        let mut names = three(format).names("out");
        names.push("notes.txt".into());
        names.sort();
        assert_eq!(desk.names("out"), names);
    }
}

#[test]
fn an_old_command_line_runs_unchanged() {
    let desk = Desk::new();
    desk.write("links.csv", good_rows(5));
    let flags = "--url-list=links.csv --output-folder=out --output-format=webdataset --processes-count=1 \
        --thread-count=16 --number-sample-per-shard=4 --oom-shard-count=3 --image-size=64 \
        --incremental-mode=incremental --distributor=multiprocessing --subjob-size=5 --max-shard-retry=1 \
        --enable-wandb=False -q";
    let resolve = desk.crawl("x", "x", &[]).get_args().nth(7).unwrap().to_str().unwrap().to_owned();
    let arguments: Vec<_> = flags.split_whitespace().chain(["--set", &resolve]).collect();
    let output = desk.run(&[&["crawl"], arguments.as_slice()].concat());
    assert!(output.status.success(), "{}", told(&output));
    assert!(
        desk.names("out").starts_with(&[
            "000.parquet".into(),
            "000.tar".into(),
            "000_stats.json".into(),
            "001.parquet".into()
        ]),
        "{:?}",
        desk.names("out")
    );
    assert_eq!(desk.pairs("out")[4].key, "0010");
    // Without a word about it, img2dataset writes files into `images`.
    let output =
        desk.run(&["crawl", "--url-list", "links.csv", "--image-size", "64", "-q", "--set", &resolve]);
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!(desk.names("images/00000").len(), 15);
}

#[test]
fn what_img2dataset_does_and_this_program_does_not_is_told() {
    let desk = Desk::new();
    desk.write("links.csv", good_rows(1));
    let said = |more: &[&str]| told(&desk.crawl("links.csv", "out", more).output().unwrap());
    insta::assert_snapshot!(said(&["--output-format", "tfrecord"]), @r"
    exit 2
    --- stdout
    --- stderr
    error: output.format: tfrecord is not written
    hint: choose parquet or webdataset, which hold the same rows
    ");
    insta::assert_snapshot!(said(&["--incremental-mode", "extend"]), @r"
    exit 2
    --- stdout
    --- stderr
    error: --incremental-mode extend: a folder holds the shards of one list
    hint: crawl the new list into a folder of its own; or name old and new lists together and start over
    ");
    insta::assert_snapshot!(said(&["--distributor", "pyspark"]), @r"
    exit 2
    --- stdout
    --- stderr
    error: --distributor pyspark: work is spread by unit numbers, not by a framework
    hint: start `--unit N` or `--unit env` on each machine, for example as an array job
    ");
    let idle = ["--subjob-size", "5", "--max-shard-retry", "2", "--enable-wandb", "True"];
    let notes = said(&idle);
    let notes: Vec<_> = notes.lines().filter(|line| line.contains(" has no effect")).collect();
    assert_eq!(notes.len(), 3, "{notes:?}");
}

#[test]
fn a_folder_of_img2datasets_is_refused() {
    let desk = Desk::new();
    desk.write("links.csv", good_rows(1));
    desk.write("out/00000_stats.json", "{}");
    let said = |more: &[&str]| told(&desk.crawl("links.csv", "out", more).output().unwrap());
    insta::assert_snapshot!(said(&["-q"]), @r"
    exit 2
    --- stdout
    --- stderr
    error: out/00000_stats.json: another program wrote this: img2dataset, by its name
    hint: choose another --out: shards of two programs in one folder could not be told apart by their readers
    ");
    assert_eq!(said(&["-q", "--fresh"]), said(&["-q"]));
    assert_eq!(desk.names("out"), ["00000_stats.json"]);
}
