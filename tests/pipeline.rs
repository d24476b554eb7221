//! The program `pipeline` against a server on loopback: what it writes, what it says, and what a kill does to it.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

#[path = "pipeline/bucket.rs"]
mod bucket;
#[path = "pipeline/card.rs"]
mod card;
#[path = "pipeline/dedup.rs"]
mod dedup;
#[path = "pipeline/desk.rs"]
mod desk;
#[path = "pipeline/extract.rs"]
mod extract;
#[path = "pipeline/filter.rs"]
mod filter;
#[path = "pipeline/hosts.rs"]
mod hosts;
#[path = "pipeline/images.rs"]
mod images;
#[path = "pipeline/inputs.rs"]
mod inputs;
#[path = "pipeline/manners.rs"]
mod manners;
#[path = "pipeline/name_server.rs"]
mod name_server;
#[path = "pipeline/network.rs"]
mod network;
#[path = "pipeline/outputs.rs"]
mod outputs;
#[path = "pipeline/pictures.rs"]
mod pictures;
#[path = "pipeline/python.rs"]
mod python;
#[path = "pipeline/reshard.rs"]
mod reshard;
#[path = "pipeline/road.rs"]
mod road;
#[path = "pipeline/score.rs"]
mod score;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use desk::{Desk, good_rows, lifetime, text, told};
use parquet::arrow::ArrowWriter;
use pipeline::reason::{Reason, Status};
use serde_json::Value;

/// Every way in which a row can go, with what is to become of it.
fn mixed() -> Vec<(&'static str, Reason)> {
    vec![
        ("http://pictures.test/img/1", Reason::Ok),
        ("http://pictures.test/html.jpg", Reason::NotImage),
        ("http://pictures.test/truncated.jpg", Reason::Truncated),
        ("http://pictures.test/huge.png", Reason::TooManyPixels),
        ("http://pictures.test/pixel.png", Reason::Ok),
        ("http://pictures.test/empty", Reason::Empty),
        ("http://pictures.test/absent", Reason::HttpNotFound),
        ("http://pictures.test/gone", Reason::HttpNotFound),
        ("http://pictures.test/busy", Reason::HttpTooMany),
        ("http://pictures.test/broken", Reason::HttpServer),
        ("http://pictures.test/metadata", Reason::AddressRefused),
        ("http://pictures.test/file", Reason::UrlScheme),
        ("http://pictures.test/loop", Reason::Redirects),
        ("http://pictures.test/moved", Reason::Ok),
        ("http://pictures.test/drip", Reason::Timeout),
        ("http://pictures.test/flood", Reason::TooLarge),
        ("http://127.0.0.1:1/a.jpg", Reason::AddressRefused),
        ("http://localhost/a.jpg", Reason::AddressRefused),
        ("ftp://pictures.test/a.jpg", Reason::UrlScheme),
        ("data:image/png;base64,AAAA", Reason::UrlScheme),
        ("http://", Reason::UrlInvalid),
        ("", Reason::UrlMissing),
    ]
}

#[test]
fn every_row_is_accounted_for_in_input_order() {
    let desk = Desk::new();
    let long = "слово ".repeat(2000);
    let mut list = "id,url,caption\n".to_owned();
    for (i, (url, _)) in mixed().iter().enumerate() {
        let caption = if i == 0 { long.as_str() } else { "short" };
        writeln!(list, "{i},\"{url}\",{caption}").unwrap();
    }
    desk.write("links.csv", list);
    let started = Instant::now();
    // So that a busy machine, too, reads a flood to its limit in time.
    let flags = ["--timeout", "2", "--columns", "id", "--set", "net.max_bytes=\"4 MiB\""];
    let output = desk.crawl("links.csv", "out", &flags).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(started.elapsed() < Duration::from_secs(8), "a body without an end holds nobody up");

    let pairs = desk.pairs("out");
    let found: Vec<_> = pairs.iter().map(|pair| (pair.url.as_str(), pair.reason.unwrap())).collect();
    assert_eq!(found, mixed());
    for (i, pair) in pairs.iter().enumerate() {
        assert_eq!(
            (pair.key.as_str(), pair.text("id")),
            (format!("{i:09}").as_str(), Some(i.to_string().as_str()))
        );
        assert_eq!(pair.image.is_some(), pair.status == Status::Success);
        assert_eq!(pair.size, pair.image.is_some().then_some((64, 64)));
    }
    assert_eq!(pairs[0].caption.as_deref().map(str::len), Some(long.len()), "10,000 characters are kept");

    let stats = desk.json("out/00000_stats.json");
    assert_eq!((&stats["count"], &stats["successes"]), (&22.into(), &3.into()));
    assert_eq!(stats["status_dict"]["HTTP Error 404: Not Found"], 1);
    assert_eq!(stats["reasons"]["address_refused"], 3);
    let manifest = desk.json("out/manifest.json");
    assert_eq!((&manifest["rows"], &manifest["counts"]["ok"]), (&22.into(), &3.into()));
}

#[test]
fn a_second_run_does_nothing_and_says_so() {
    let desk = Desk::new();
    desk.write("links.csv", good_rows(12));
    let first = desk.crawl("links.csv", "out", &["--rows-per-unit", "5"]).output().unwrap();
    let last = text(&first.stderr).lines().last().unwrap().to_owned();
    assert_eq!(last, "next: tokenize shards out --codec vqgan.safetensors --bpe bpe.model --out data/tokens");
    let before = (desk.names("out"), desk.shards("out"));
    let second = desk.crawl("links.csv", "out", &["--rows-per-unit", "5"]).output().unwrap();
    assert_eq!(second.status.code(), Some(0));
    assert!(text(&second.stderr).contains("all 3 units already done\n"), "{}", told(&second));
    assert_eq!((desk.names("out"), desk.shards("out")), before);
    assert_eq!(before.1.len(), 3);
}

#[test]
fn killed_at_any_moment_and_run_again_gives_the_same_bytes() {
    let desk = Desk::new();
    desk.write("links.csv", good_rows(150));
    let flags = ["--rows-per-unit", "10", "--concurrency", "4", "--threads", "1"];
    let began = Instant::now();
    let whole = desk.crawl("links.csv", "whole", &flags).output().unwrap();
    assert!(whole.status.success(), "{}", told(&whole));
    let undisturbed = began.elapsed();
    let mut kills = 0;
    for round in 0..12_u64 {
        let mut child = desk.crawl("links.csv", "killed", &flags).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(lifetime(undisturbed, round));
        if child.try_wait().unwrap().is_none() {
            // SIGKILL: nothing can be tidied up.
            child.kill().unwrap();
            kills += 1;
        }
        child.wait().unwrap();
    }
    assert!(kills >= 3, "the run is too short for this test: {kills} kills");
    let last = desk.crawl("links.csv", "killed", &flags).output().unwrap();
    assert!(last.status.success(), "{}", told(&last));
    assert_eq!(desk.shards("whole").len(), 15);
    assert!(desk.shards("whole") == desk.shards("killed"), "the shards differ");
    let parquet = |out| desk.names(out).iter().filter(|name| name.contains("parquet")).count();
    assert_eq!(parquet("killed"), 15, "nothing of the killed attempts stays: {:?}", desk.names("killed"));
}

#[test]
fn the_bytes_do_not_depend_on_threads_or_order_of_arrival() {
    let desk = Desk::new();
    desk.write("links.csv", good_rows(40));
    desk.crawl("links.csv", "one", &["--concurrency", "1", "--threads", "1"]).output().unwrap();
    desk.crawl("links.csv", "many", &["--concurrency", "40", "--threads", "4"]).output().unwrap();
    assert_eq!(desk.commits("one").len(), 1);
    assert!(desk.shards("one") == desk.shards("many"), "the shards differ");
}

#[test]
fn a_budget_smaller_than_the_pictures_makes_it_slow_not_stuck() {
    let desk = Desk::new();
    desk.write("links.csv", good_rows(120));
    let small = ["net.max_bytes=\"64 KiB\"", "run.memory_budget=\"256 KiB\"", "image.resize_mode=no"];
    let flags = ["--encode-format", "png", "--rows-per-unit", "50"];
    let mut crawl = desk.crawl("links.csv", "small", &flags);
    let output = crawl.args(small.iter().flat_map(|set| ["--set", set])).output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    let pairs = desk.pairs("small");
    let bytes: usize = pairs.iter().flat_map(|pair| &pair.image).map(bytes::Bytes::len).sum();
    assert!(bytes > 256 << 10, "the budget was put to the test: {bytes}");
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_with_a_summary_and_the_next_run_continues() {
    let desk = Desk::new();
    desk.write("links.csv", good_rows(200));
    let flags = ["--rows-per-unit", "10", "--concurrency", "2"];
    let child = desk.crawl("links.csv", "out", &flags).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while desk.names("out/_commits").is_empty() && started.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
    }
    signal(&child, "-INT");
    let output = child.wait_with_output().unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("of 20 units are committed"), "{stderr}");
    assert!(stderr.contains("error: interrupted; what is committed stays"), "{stderr}");
    let done = desk.commits("out").len();
    assert!((1..20).contains(&done), "{done}");
    let output = desk.crawl("links.csv", "out", &flags).output().unwrap();
    assert!(text(&output.stderr).contains(&format!("{done} of 20 units already done")), "{}", told(&output));
    assert_eq!(desk.pairs("out").len(), 200);
}

#[test]
fn units_can_be_run_one_by_one_and_are_the_same_shards() {
    let desk = Desk::new();
    desk.write("links.csv", good_rows(25));
    let flags = ["--rows-per-unit", "10"];
    desk.crawl("links.csv", "whole", &flags).output().unwrap();
    for unit in ["2", "0"] {
        let output =
            desk.crawl("links.csv", "units", &["--rows-per-unit", "10", "--unit", unit]).output().unwrap();
        assert!(output.status.success(), "{}", told(&output));
    }
    let missing = desk.run(&["finish", "units"]);
    insta::assert_snapshot!(told(&missing), @r"
    exit 1
    --- stdout
    --- stderr
    2 of 3 units, 15 rows, ok 100.0 %
    missing: 1
    ");
    let mut last = desk.crawl("links.csv", "units", &["--rows-per-unit", "10", "--unit", "env"]);
    assert!(last.env("SLURM_ARRAY_TASK_ID", "1").output().unwrap().status.success());
    assert_eq!(desk.run(&["finish", "units"]).status.code(), Some(0));
    assert!(desk.shards("whole") == desk.shards("units"), "the shards differ");
    let beyond =
        desk.crawl("links.csv", "units", &["--rows-per-unit", "10", "--unit", "3"]).output().unwrap();
    assert_eq!(beyond.status.code(), Some(2));
    assert!(
        text(&beyond.stderr).contains("error: no unit 3: the plan has units 0 to 2"),
        "{}",
        told(&beyond)
    );
}

/// A file size limit stands in for a full disk: writes fail in the same place.
#[cfg(unix)]
#[test]
fn a_full_disk_is_told_and_leaves_nothing_half_written() {
    let desk = Desk::new();
    desk.write("links.csv", good_rows(60));
    let flags = ["--rows-per-unit", "30", "--encode-format", "png"];
    let crawl = desk.crawl("links.csv", "out", &flags);
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 40; exec \"$@\"", "sh"]).arg(crawl.get_program());
    shell.args(crawl.get_args()).current_dir(desk.0.path());
    let output = shell.output().unwrap();
    assert_eq!(output.status.code(), Some(75), "{}", told(&output));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("File too large"), "{stderr}");
    assert!(stderr.contains("hint: free some space and run the same command again"), "{stderr}");
    assert_eq!(desk.names("out"), ["plan.json"], "no half-written file");
    let output = desk.crawl("links.csv", "out", &flags).output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!(desk.pairs("out").len(), 60);
}

#[test]
fn the_first_progress_line_comes_within_a_second() {
    let desk = Desk::new();
    desk.write("links.txt", "http://pictures.test/drip\n");
    let started = Instant::now();
    let flags = ["--timeout", "3", "--contact", "mailto:me@example.org"];
    let mut child = desk.crawl("links.txt", "out", &flags).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!(line, "reading the link list\n");
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    child.wait().unwrap();
    assert!(rest.contains("100% 1/1 img"), "{rest}");
    assert!(rest.contains("ok 0.0 %, timeout 100.0 %"), "{rest}");
    assert!(rest.contains("hint: 100 % timeout: raise net.timeout"), "{rest}");
}

#[test]
fn usage_errors_exit_with_2_and_say_what_is_meant() {
    let desk = Desk::new();
    desk.write("crawl.toml", "[input]\nurls = \"links.csv\"\n\n[net]\ntimout = 3\n");
    desk.write("links.csv", good_rows(3));
    insta::assert_snapshot!(told(&desk.run(&["crawl", "links.csv", "--outt", "x"])), @r"
    exit 2
    --- stdout
    --- stderr
    error: unexpected argument '--outt' found

      tip: a similar argument exists: '--out'

    Usage: pipeline crawl --out <DIR> <INPUT>...

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(told(&desk.run(&["crawl", "crawl.toml", "--out", "out"])), @r"
    exit 2
    --- stdout
    --- stderr
    error: crawl.toml:5:1: unknown key `timout`; known: concurrency, timeout, connect_timeout, first_byte_timeout, min_bytes_per_second, max_bytes, max_redirects, user_agent, allow, resolve, dns, ignore_ssl_certificate, per_host, per_host_rate, max_site_delay, retries, retry_backoff, breaker
    hint: did you mean `timeout`?
    ");
    insta::assert_snapshot!(told(&desk.run(&["crawl", "links.csv", "--out", "out", "--set", "net.timout=3"])), @r"
    exit 2
    --- stdout
    --- stderr
    error: --set net.timout=3: unknown key `timout`; known: concurrency, timeout, connect_timeout, first_byte_timeout, min_bytes_per_second, max_bytes, max_redirects, user_agent, allow, resolve, dns, ignore_ssl_certificate, per_host, per_host_rate, max_site_delay, retries, retry_backoff, breaker
    hint: did you mean `timeout`?
    ");
    insta::assert_snapshot!(told(&desk.run(&["crawl", "links.csv"])), @r"
    exit 2
    --- stdout
    --- stderr
    error: output.path: no output folder given
    hint: add --out data/pairs
    ");
    insta::assert_snapshot!(told(&desk.run(&["crawl", "absent.csv", "--out", "out", "-q"])), @r"
    exit 2
    --- stdout
    --- stderr
    error: absent.csv: No such file or directory (os error 2)
    ");
    assert_eq!(desk.names("out"), [""; 0], "nothing was made");
}

/// A Parquet list with the one column `url`.
fn parquet_list(urls: Vec<String>) -> Vec<u8> {
    let column: ArrayRef = Arc::new(StringArray::from(urls));
    let table = RecordBatch::try_from_iter([("url", column)]).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), table.schema(), None).unwrap();
    writer.write(&table).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn lists_without_a_row_are_errors_that_name_them() {
    let desk = Desk::new();
    desk.write("empty.jsonl", "");
    desk.write("blank.jsonl", "\n\n");
    desk.write("empty.parquet", parquet_list(Vec::new()));
    for list in ["empty.jsonl", "blank.jsonl", "empty.parquet"] {
        let said = told(&desk.run(&["crawl", list, "--out", "out", "-q"]));
        let error = format!("error: {list}: the input is empty: not a single row to work on\n");
        assert_eq!(said, format!("exit 2\n--- stdout\n--- stderr\n{error}"));
    }
    std::fs::create_dir(desk.path("lists")).unwrap();
    insta::assert_snapshot!(told(&desk.run(&["crawl", "lists", "--out", "out", "-q"])), @r"
    exit 2
    --- stdout
    --- stderr
    error: lists: no link lists, tars or images in this folder (parquet, csv, tsv, json, jsonl, txt, tar, jpg, …)
    ");
    assert_eq!(desk.names("out"), [""; 0], "nothing was made");
}

#[test]
fn a_cut_parquet_list_is_an_error_wherever_it_is_cut() {
    let desk = Desk::new();
    let whole = parquet_list((0..500).map(|n| format!("http://pictures.test/img/{n}")).collect());
    for length in [0, 3, whole.len() / 2, whole.len() - 1] {
        desk.write("cut.parquet", &whole[..length]);
        let said = told(&desk.run(&["crawl", "cut.parquet", "--out", "out", "-q"]));
        assert!(said.starts_with("exit 2\n"), "{length}: {said}");
        assert!(said.contains("error: cut.parquet: not a readable Parquet file: "), "{length}: {said}");
        assert!(said.contains("hint: the file may be cut short"), "{length}: {said}");
    }
    assert_eq!(desk.names("out"), [""; 0], "nothing was made");
}

#[test]
fn bad_lists_are_errors_that_name_the_file() {
    let desk = Desk::new();
    desk.write("empty.csv", "url,caption\n");
    desk.write("nothing.txt", "");
    desk.write("columns.csv", "URL,TEXT\nhttp://h/1,a\n");
    desk.write("list.xlsx", "x");
    let said = |list: &str| told(&desk.run(&["crawl", list, "--out", "out", "-q"]));
    insta::assert_snapshot!(said("empty.csv"), @r"
    exit 2
    --- stdout
    --- stderr
    error: empty.csv: the input is empty: not a single row to work on
    ");
    insta::assert_snapshot!(said("nothing.txt"), @r"
    exit 2
    --- stdout
    --- stderr
    error: nothing.txt: the input is empty: not a single row to work on
    ");
    insta::assert_snapshot!(said("columns.csv"), @r#"
    exit 2
    --- stdout
    --- stderr
    error: columns.csv: no column `url`; there are: URL, TEXT
    hint: did you mean input.url_col = "URL"?
    "#);
    insta::assert_snapshot!(said("list.xlsx"), @r"
    exit 2
    --- stdout
    --- stderr
    error: list.xlsx: cannot tell the format of this link list from its name
    hint: set input.format to parquet, csv, tsv, json, jsonl, txt or webdataset
    ");
    assert_eq!(desk.names("out"), [""; 0], "nothing was made");
}

#[test]
fn another_plan_in_the_folder_is_refused_until_fresh() {
    let desk = Desk::new();
    desk.write("links.csv", good_rows(4));
    desk.crawl("links.csv", "out", &[]).output().unwrap();
    let before = desk.shards("out");
    let other = desk.crawl("links.csv", "out", &["--encode-format", "png"]).output().unwrap();
    assert_eq!(other.status.code(), Some(2));
    let stderr = text(&other.stderr);
    assert!(stderr.contains("error: out holds the output of another plan"), "{stderr}");
    assert!(stderr.contains("hint: choose another --out, or start over with --fresh"), "{stderr}");
    assert!(desk.shards("out") == before);
    // What does not decide the output may change.
    let same = desk.crawl("links.csv", "out", &["--timeout", "3", "--threads", "1"]).output().unwrap();
    assert!(text(&same.stderr).contains("all 1 units already done"), "{}", told(&same));
    let fresh = desk.crawl("links.csv", "out", &["--encode-format", "png", "--fresh"]).output().unwrap();
    assert!(fresh.status.success(), "{}", told(&fresh));
    assert!(desk.pairs("out")[0].image.as_ref().unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn a_folder_shows_its_schema_and_counts() {
    let desk = Desk::new();
    desk.write("links.csv", "url,caption\nhttp://pictures.test/img/2,two\nhttp://pictures.test/gone,\n");
    desk.crawl("links.csv", "out", &[]).output().unwrap();
    let plan_id = desk.json("out/plan.json")["plan_id"].as_str().unwrap().to_owned();
    let shown = text(&desk.run(&["show", "out"]).stdout).replace(&plan_id, "PLAN");
    let (first, rest) = shown.split_once('\n').unwrap();
    assert!(first.starts_with("out: 1 shards, 2 rows, "), "{first}");
    insta::assert_snapshot!(rest, @r"
      troika.format = pairs/1
      troika.plan = PLAN
      troika.version = 0.1.0
    columns
      caption: Utf8
      url: Utf8
      key: Utf8
      status: Utf8
      error_message: Utf8
      width: Int32
      height: Int32
      original_width: Int32
      original_height: Int32
      exif: Utf8
      sha256: Utf8
      reason: Utf8
      rule: Utf8
      jpg: Binary
    status
      failed_to_download: 1
      success: 1
    reason
      http_not_found: 1
      ok: 1
    ");
    let json: Value = serde_json::from_slice(&desk.run(&["show", "out", "--json"]).stdout).unwrap();
    assert_eq!((&json["type"], &json["version"], &json["rows"]), (&"show".into(), &1.into(), &2.into()));
    assert_eq!(text(&desk.run(&["status", "out"]).stdout), "1 of 1 units done, 2 of 2 rows\n");
    let shard = format!("out/{}", desk.commits("out")[0].table().unwrap());
    assert!(text(&desk.run(&["show", &shard]).stdout).contains("http_not_found: 1"));
    assert_eq!(desk.run(&["status", "."]).status.code(), Some(2));
}

#[test]
fn the_effective_config_is_shown_and_runs() {
    let desk = Desk::new();
    desk.write("links.csv", good_rows(2));
    desk.write("crawl.toml", "input.urls = \"links.csv\"\noutput.path = \"out\"\n[image]\nsize = 32\n");
    let shown = desk.run(&["show", "crawl.toml", "--set", "image.resize_mode=center_crop"]);
    let shown = text(&shown.stdout);
    assert!(shown.contains("size = 32\nresize_mode = \"center_crop\"\n"), "{shown}");
    assert!(shown.contains("memory_budget = \"1 GiB\"\n"), "{shown}");
    desk.write("shown.toml", &shown);
    let planned =
        |config: &str| text(&desk.run(&["plan", config, "--set", "image.resize_mode=center_crop"]).stdout);
    assert_eq!(planned("shown.toml"), planned("crawl.toml"));
    assert!(
        planned("crawl.toml").contains(": 2 rows in 1 units, 0 done\n  links.csv: 2 rows, "),
        "{}",
        planned("crawl.toml")
    );
    assert_eq!(desk.names("out"), [""; 0], "a plan has no side effect");
}

#[test]
fn the_shipped_config_is_valid_and_shows_every_key() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let desk = Desk::new();
    let mut command = desk.command(&["plan", "configs/crawl.toml"]);
    let output = command.current_dir(root).output().unwrap();
    assert!(text(&output.stdout).contains("configs/crawl-links.csv: 12 rows"), "{}", told(&output));
}

#[test]
fn a_share_of_successes_can_be_asked_for() {
    let desk = Desk::new();
    desk.write("links.txt", "http://pictures.test/img/1\nhttp://pictures.test/gone\n");
    let asked = |share: &str, out: &str| {
        desk.crawl("links.txt", out, &["--set", &format!("run.min_success={share}")])
            .output()
            .unwrap()
            .status
            .code()
    };
    assert_eq!((asked("0.5", "a"), asked("0.6", "b")), (Some(0), Some(1)));
}

#[test]
fn json_lines_are_data_on_stdout() {
    let desk = Desk::new();
    desk.write("links.csv", good_rows(3));
    let output = desk.crawl("links.csv", "out", &["--json"]).output().unwrap();
    let lines: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<_> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!((kinds[0], *kinds.last().unwrap()), ("progress", "summary"));
    assert!(lines.iter().all(|line| line["version"] == 1));
    assert_eq!(lines.last().unwrap()["counts"]["ok"], 3);
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn codes_are_explained() {
    let desk = Desk::new();
    insta::assert_snapshot!(told(&desk.run(&["explain", "address_refused"])), @r#"
    exit 0
    --- stdout
    address_refused (failed_to_download)
      the host is a private, local or reserved address
      name hosts of your own network in net.allow = ["HOST:PORT"]
    --- stderr
    "#);
    insta::assert_snapshot!(told(&desk.run(&["explain", "time_out"])), @r"
    exit 2
    --- stdout
    --- stderr
    error: explain: unknown reason `time_out`
    hint: did you mean `timeout`?
    ");
    assert_eq!(text(&desk.run(&["explain"]).stdout).lines().count(), 3 * Reason::ALL.len());
}

#[test]
fn help_fits_a_screen_and_completions_are_made() {
    let desk = Desk::new();
    for arguments in [["--help"].as_slice(), &["crawl", "-h"], &["show", "-h"]] {
        let help = text(&desk.run(arguments).stdout);
        assert!(help.lines().count() <= 60, "{arguments:?}: {} lines", help.lines().count());
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(text(&desk.run(&["completions", shell]).stdout).contains("rows-per-unit"), "{shell}");
    }
}

/// `pipeline explain | head -n 0`: the reader is gone before the first line. A reader that takes a line and then goes
/// would prove nothing, as all of the text fits the pipe before it is gone.
#[cfg(unix)]
#[test]
fn a_closed_pipe_is_no_error() {
    let desk = Desk::new();
    for arguments in [["explain"].as_slice(), &["explain", "--json"], &["completions", "bash"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = desk.command(arguments).stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""), "{arguments:?}");
    }
}
