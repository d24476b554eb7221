//! What the program says about the network: names, times, metrics, and failures that stand out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use pipeline::reason::Reason;
use serde_json::Value;

use crate::desk::{Desk, good_rows, server, text, told};
use crate::name_server::{A, AAAA, Answer, NameServer};

/// A name server to which every host but two lies on loopback.
fn names() -> NameServer {
    NameServer::start(Duration::ZERO, |name| match name {
        "gone.test" => Answer::NoName(Some(300)),
        "broken.test" => Answer::Failure,
        _ => Answer::Addresses(vec!["127.0.0.1".parse().unwrap()], 300),
    })
}

#[test]
fn a_thousand_links_on_a_hundred_hosts_need_a_hundred_lookups() {
    let (desk, names, port) = (Desk::new(), names(), server());
    let mut list = String::new();
    for n in 0..1000 {
        writeln!(list, "http://host{}.test:{port}/pixel.png", n % 100).unwrap();
    }
    writeln!(list, "http://gone.test/\nhttp://broken.test/\nhttp://evil.test:{port}/pixel.png").unwrap();
    desk.write("links.txt", list);
    let allow: Vec<_> = (0..100).map(|n| format!("\"host{n}.test:{port}\"")).collect();
    let allow = format!("net.allow=[{}]", allow.join(","));
    let flags = ["--dns", &names.address.to_string(), "--set", &allow, "--encode-format", "png"];
    let output = desk.crawl("links.txt", "out", &flags).output().unwrap();
    assert!(output.status.success(), "{}", told(&output));

    let mut counts = BTreeMap::new();
    for pair in desk.pairs("out") {
        *counts.entry(pair.reason.unwrap()).or_insert(0) += 1;
    }
    let refused = [(Reason::AddressRefused, 1), (Reason::Dns, 1), (Reason::DnsFailed, 1)];
    assert_eq!(counts, [(Reason::Ok, 1000)].into_iter().chain(refused).collect());
    assert_eq!(names.names(), 103);
    // A busy machine answers late, and is then asked again.
    assert!((103..309).contains(&names.queries(A)), "{}", names.queries(A));
    assert!(names.queries(AAAA) < 309, "{}", names.queries(AAAA));

    let timings = desk.json("out/00000_stats.json")["timings_ms"].clone();
    assert!(timings["dns"]["count"].as_u64().unwrap() >= 103, "{timings}");
    assert_eq!((&timings["body"]["count"], &timings["decode"]["count"]), (&1000.into(), &1000.into()));
    for phase in ["dns", "connect", "first_byte", "body", "decode"] {
        let (p50, p99) = (timings[phase]["p50"].as_f64().unwrap(), timings[phase]["p99"].as_f64().unwrap());
        assert!(0.0 < p50 && p50 <= p99, "{phase}: {timings}");
    }
}

#[test]
fn json_lines_tell_of_units_and_of_what_stands_out() {
    let desk = Desk::new();
    let mut list = good_rows(60);
    for _ in 0..60 {
        list += "http://pictures.test/html.jpg,page\n";
    }
    desk.write("links.csv", list);
    let output = desk
        .crawl("links.csv", "out", &["--json", "--rows-per-unit", "50", "--contact", "mailto:a@b.example"])
        .output()
        .unwrap();
    let lines: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| lines.iter().filter(|line| line["type"] == kind).collect::<Vec<_>>();
    let mut units: Vec<_> = of("unit").iter().map(|unit| unit["unit"].as_u64().unwrap()).collect();
    units.sort_unstable();
    assert_eq!(units, [0, 1, 2]);
    let first = of("unit").into_iter().find(|unit| unit["unit"] == 0).unwrap();
    assert_eq!((&first["rows"], &first["counts"]["ok"]), (&50.into(), &50.into()));
    assert_eq!(first["files"][0], desk.commits("out")[0].files[0].name);
    let last = *of("progress").last().unwrap();
    assert_eq!((&last["done"], &last["counts"]["not_image"]), (&120.into(), &60.into()));
    assert!(last["downloaded_bytes"].as_u64().unwrap() > 0, "{last}");
    let notes = of("note");
    assert_eq!(notes.len(), 1, "{notes:?}");
    let note = notes[0]["text"].as_str().unwrap();
    assert!(note.starts_with("hint: ") && note.contains(" not_image: a proxy or login page"), "{note}");
    assert!(lines.iter().all(|line| line["version"] == 1));
}

#[test]
fn metrics_are_kept_in_a_file_on_request() {
    let desk = Desk::new();
    desk.write("links.txt", "http://pictures.test/img/1\nhttp://pictures.test/gone\n");
    let output = desk.crawl("links.txt", "out", &["--prometheus", "crawl.prom"]).output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    let metrics = text(&std::fs::read(desk.path("crawl.prom")).unwrap());
    for line in ["pipeline_rows_total{reason=\"ok\"} 1", "pipeline_rows_total{reason=\"http_not_found\"} 1"] {
        assert!(metrics.lines().any(|found| found == line), "{metrics}");
    }
    assert!(metrics.contains("pipeline_phase_seconds{phase=\"first_byte\",quantile=\"0.99\"} "), "{metrics}");
    let output =
        desk.crawl("links.txt", "other", &["--prometheus", "links.txt/crawl.prom"]).output().unwrap();
    assert!(!output.status.success(), "{}", told(&output));
    assert!(text(&output.stderr).contains("error: links.txt: "), "{}", told(&output));
}

#[test]
fn a_name_server_that_is_none_is_a_usage_error() {
    let desk = Desk::new();
    desk.write("links.txt", "http://pictures.test/img/1\n");
    insta::assert_snapshot!(told(&desk.crawl("links.txt", "out", &["--dns", "sytem"]).output().unwrap()), @r#"
    exit 2
    --- stdout
    --- stderr
    error: --set net.dns="sytem": `sytem` is neither system nor built-in nor the ADDRESS:PORT of a name server
    "#);
}
