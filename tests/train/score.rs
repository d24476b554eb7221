//! `train score` over shards, single inputs and folders of pictures.

use crate::{Bench, world};

fn record(text: &str) -> serde_json::Value {
    // Progress and a file that was written are records of their own.
    let records = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    records.into_iter().find(|record| record["type"] == "score").unwrap()
}

#[test]
fn a_run_is_scored_over_shards_and_single_inputs() {
    let bench = Bench::new();
    bench.ok(&["tiny.toml", "-q"]);
    let tokens = format!("{}/tokens", world().display());
    let score = |more: &[&str]| {
        let args =
            [&["score", "run", "--tokens", &tokens, "--where", "split=test", "--json", "-q"], more].concat();
        record(&bench.ok(&args))
    };
    let (one, many) = (score(&["--batch", "1"]), score(&["--out", "scores.parquet"]));
    assert_eq!((one["type"].as_str(), one["version"].as_u64()), (Some("score"), Some(1)));
    assert_eq!((one["rows"].as_u64(), many["rows"].as_u64()), (Some(2), Some(2)));
    let loss = |record: &serde_json::Value| record["image"]["nats_per_token"].as_f64().unwrap();
    assert!((loss(&one) - loss(&many)).abs() < 1e-5);
    // 2 × 2 pixels of three channels per code.
    let bits = many["image"]["bits_per_token"].as_f64().unwrap();
    assert!((many["bits_per_dimension"].as_f64().unwrap() - bits / 12.0).abs() < 1e-9);
    assert!(std::fs::read(bench.path("scores.parquet")).unwrap().starts_with(b"PAR1"));
    // What was trained on is known better than nothing: 16 codes are 2.77 nats.
    assert!(loss(&many) < 4.0, "{many}");
    let table = bench.ok(&["score", "run", "--text", "red cat"]);
    assert!(table.starts_with("segment") && table.contains("left"), "{table}");
}

#[test]
fn what_cannot_be_scored_is_refused_by_name() {
    let bench = Bench::new();
    bench.ok(&["tiny.toml", "-q"]);
    let tokens = format!("{}/tokens", world().display());
    let fault = |args: &[&str]| bench.fault(&[&["score"], args].concat());
    assert!(fault(&["run"]).contains("nothing to score"));
    assert!(
        fault(&["run", "--tokens", &tokens, "--where", "spilt=test", "-q"]).contains("no column `spilt`")
    );
    assert!(fault(&["run", "--tokens", &tokens, "--where", "split=none", "-q"]).contains("no rows to score"));
    assert!(fault(&["--pictures", "run"]).contains("how are they to be judged?"));
    assert!(fault(&["--pictures", "run", "--fid-weights", "w.pth"]).contains("compared with what?"));
    pipeline::atomic::write(bench.path("classes.txt"), "red cat\nblue dog\n").unwrap();
    let labels = ["run", "--tokens", &tokens, "--label-column", "split", "--classes", "classes.txt", "-q"];
    let refused = fault(&labels);
    assert!(refused.contains("row 1 ") && refused.contains("is no class of classes.txt"), "{refused}");
}
