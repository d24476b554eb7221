//! `train show RUN` and `train compare`: curves on stdout, pages that load nothing, and runs in every state.

use super::Bench;

/// Without a terminal nothing but characters is written, of at most this many columns.
const WIDTH: usize = 100;

#[test]
fn show_draws_the_curves_and_writes_the_report() {
    let bench = Bench::new();
    bench.ok(&["tiny.toml", "-q"]);
    let output = bench.run(&["show", "run"]);
    let (shown, said) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(shown.contains("\n\nloss   ⠒⠒ train   ● held out\n"), "{shown}");
    assert!(shown.lines().any(|line| line.trim_start().starts_with("grad_norm  ")), "{shown}");
    assert!(!shown.contains('\u{1b}') && shown.lines().all(|line| line.chars().count() <= WIDTH), "{shown}");
    assert_eq!(said, "the whole report is run/report.html\n");
    let page = std::fs::read_to_string(bench.path("run/report.html")).unwrap();
    for part in ["kind <strong>rudolph", "data.tokens", "step 12", "data:image/png;base64,", "<li><bdi>"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("http") && !page.contains("<script"));
    // A page of a run that was started over would tell of another.
    bench.ok(&["tiny.toml", "-q", "--fresh"]);
    assert!(!bench.path("run/report.html").exists());
    let json = bench.run(&["show", "run", "--json"]);
    assert!(json.stderr.is_empty() && !bench.path("run/report.html").exists(), "JSON is for programs");
}

#[test]
fn show_bears_a_run_without_metrics_and_one_that_is_being_written() {
    let bench = Bench::new();
    pipeline::atomic::write(bench.path("run/run.toml"), "kind = 'rudolph'\n").unwrap();
    insta::assert_snapshot!(bench.ok(&["show", "run", "-q"]).trim_end(), @"
    run
       last step  none
        held out  none
            best  none
     checkpoints  none
           model  not written yet
    ");
    let lines = "{\"type\":\"train\",\"version\":1,\"step\":10,\"loss\":5.5,\"lr\":0.0}\n{\"type\":\"tra";
    pipeline::atomic::write(bench.path("run/metrics.jsonl"), lines).unwrap();
    let shown = bench.ok(&["show", "run", "-q"]);
    assert!(
        shown.contains("last step  step 10  loss 5.500") && shown.contains("loss   ⠒⠒ train\n"),
        "{shown}"
    );
}

#[test]
fn compare_lays_runs_over_each_other() {
    let bench = Bench::new();
    bench.ok(&["tiny.toml", "-q"]);
    bench.ok(&["tiny.toml", "-q", "--set", "run.seed=2", "--set", "run.out=other"]);
    let shown = bench.ok(&["compare", "run", "other", "--html", "both.html", "-q"]);
    assert!(shown.starts_with("loss   ⠒⠒ run   ● other\n"), "{shown}");
    assert!(shown.contains("\nkey       run  other\nrun.seed  1    2\n"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "{shown}");
    let page = std::fs::read_to_string(bench.path("both.html")).unwrap();
    assert!(page.contains("curve-1") && page.contains("run.seed") && !page.contains("http"));
    let json = bench.ok(&["compare", "run", "other", "--json"]);
    let records: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), 2);
    let other = &records[1];
    assert_eq!((other["type"].as_str(), other["version"].as_u64()), (Some("comparison"), Some(1)));
    assert_eq!((other["step"].as_u64(), other["differs"]["run.seed"].as_u64()), (Some(12), Some(2)));
    insta::assert_snapshot!(bench.fault(&["compare", "run", "nowhere"]), @"
    exit 2
    error: nowhere: not a run folder, it has no run.toml
    hint: give the folder that a configuration names as `run.out`
    ");
    assert_eq!(bench.run(&["compare", "run"]).status.code(), Some(2));
}
