//! A run that goes wrong: shards that vanish, losses that are no numbers, memory that does not suffice; and what runs are
//! trusted with: several sets, layers computed anew.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Bench, stderr, world};

#[test]
fn a_shard_that_vanishes_while_training_leaves_a_checkpoint_of_the_last_step() {
    let bench = Bench::new();
    // Two shards of which one is held in memory at a time, and each is read anew in every epoch.
    let shards = bench.path("shards");
    std::fs::create_dir(&shards).unwrap();
    for name in ["0.parquet", "1.parquet"] {
        std::fs::copy(world().join("tokens/00000.parquet"), shards.join(name)).unwrap();
    }
    let sets = ["data.tokens=shards", "data.buffer_rows=1", "run.steps=1500", "run.checkpoint_every=0"];
    let args: Vec<&str> =
        ["tiny.toml"].into_iter().chain(sets.iter().flat_map(|set| ["--set", set])).collect();
    let child = bench.command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    bench.wait_for("run/metrics.jsonl");
    std::thread::sleep(Duration::from_millis(150));
    let (gone, away) = (shards.join("1.parquet"), bench.path("away.parquet"));
    std::fs::rename(&gone, &away).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("shards/1.parquet: No such file"), "{}", stderr(&output));
    let [kept] = bench.checkpoints().try_into().unwrap();
    std::fs::rename(&away, &gone).unwrap();
    let output = bench.run(&args);
    assert!(output.status.success(), "{}", stderr(&output));
    let step: u64 = kept.strip_prefix("step-").unwrap().parse().unwrap();
    assert!(stderr(&output).contains(&format!("{step} of 1500 steps already done")), "{}", stderr(&output));
}

#[test]
fn steps_that_are_not_finite_can_be_let_pass() {
    let bench = Bench::new();
    let sets = ["schedule.lr=1e30", "schedule.end=1.0", "schedule.warmup=0", "run.skip_nonfinite=3"];
    let args: Vec<&str> =
        ["tiny.toml"].into_iter().chain(sets.iter().flat_map(|set| ["--set", set])).collect();
    let fault = bench.fault(&args);
    assert!(fault.starts_with("exit 1\n"), "{fault}");
    assert_eq!(fault.matches("skipped: ").count(), 3, "{fault}");
    assert!(fault.contains(", the first gradient that is not finite is that of "), "{fault}");
}

#[test]
fn a_run_that_cannot_fit_is_refused_before_it_starts() {
    let bench = Bench::new();
    let fault = bench.fault(&["tiny.toml", "--set", "data.batch_size=4000000000"]);
    assert!(fault.starts_with("exit 2\nerror: memory: about "), "{fault}");
    assert!(fault.contains("hint: make `data.batch_size` smaller"), "{fault}");
    assert!(!bench.path("run/metrics.jsonl").exists());
}

#[test]
fn layers_that_are_computed_anew_learn_the_same() {
    let [plain, anew] = ["false", "true"].map(|recompute| {
        let bench = Bench::new();
        let recompute = format!("run.recompute={recompute}");
        bench.ok(&["tiny.toml", "-q", "--set", "model.dropout=0.0", "--set", &recompute]);
        bench.weights()
    });
    assert_eq!(plain, anew);
}

#[test]
fn several_sets_are_mixed_by_weights_that_follow_the_step() {
    let bench = Bench::new();
    let text = std::fs::read_to_string(bench.path("tiny.toml")).unwrap();
    let more = format!(
        "[data.sets.again]\ntokens = '{}/tokens'\ntrain = {{ split = 'test' }}\n\
         [tasks]\ntext_to_image = 1.0\n\
         [tasks.later]\nkind = 'text_to_image'\nset = 'again'\nweight = [[0, 0.0], [6, 1.0]]\n",
        world().display()
    );
    pipeline::atomic::write(bench.path("mixed.toml"), text + &more).unwrap();
    bench.ok(&["mixed.toml", "-q"]);
    let last = bench.metrics();
    let last: serde_json::Value =
        serde_json::from_str(last.lines().rfind(|line| line.contains("\"train\"")).unwrap()).unwrap();
    let rows = ["text_to_image", "later"].map(|task| last[format!("rows/{task}")].as_f64().unwrap());
    assert_eq!(rows.iter().sum::<f64>(), 48.0);
    assert!(rows[1] > 10.0 && rows[1] < 24.0, "{rows:?}");
    let fault = bench.fault(&["mixed.toml", "--fresh", "--set", "tasks.later.set=agian"]);
    assert!(fault.contains("tasks.later.set: no table `[data.sets.agian]`"), "{fault}");
    assert!(fault.ends_with("hint: did you mean `again`?"), "{fault}");
}

#[cfg(unix)]
#[test]
fn a_disk_that_fills_leaves_the_last_checkpoint_whole() {
    let bench = Bench::new();
    bench.ok(&["tiny.toml", "-q"]);
    let before = bench.checkpoints();
    let script = format!(
        "trap '' XFSZ; ulimit -f 8; exec {} tiny.toml -q --set run.steps=20 --accept run.steps",
        env!("CARGO_BIN_EXE_train")
    );
    let output = Command::new("sh").args(["-c", &script]).current_dir(bench.dir.path()).output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(75), "{text}");
    assert!(text.contains("File too large") && text.contains("hint: free some space"), "{text}");
    assert_eq!(bench.checkpoints(), before);
    bench.ok(&["tiny.toml", "-q", "--set", "run.steps=20", "--accept", "run.steps"]);
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint() {
    let bench = Bench::new();
    bench.ok(&["tiny.toml", "-q"]);
    let before = bench.checkpoints();
    let args =
        ["tiny.toml", "--set", "run.steps=40", "--set", "schedule.lr=1e30", "--set", "schedule.end=1.0"];
    let accept = ["--accept", "run.steps", "--accept", "schedule.lr", "--accept", "schedule.end", "-q"];
    let fault = bench.fault(&[&args[..], &accept[..]].concat());
    assert!(fault.starts_with("exit 1\nerror: step 1"), "{fault}");
    assert!(fault.contains("training stopped\nhint: the last checkpoint is intact"), "{fault}");
    assert_eq!(bench.checkpoints(), before);
}

#[test]
fn a_damaged_checkpoint_is_named() {
    let bench = Bench::new();
    bench.ok(&["tiny.toml", "-q", "--set", "run.checkpoint_every=12", "--set", "run.steps=12"]);
    let weights = bench.path("run/checkpoints/step-0000012/weights.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    pipeline::atomic::write(&weights, &bytes[..bytes.len() - 9]).unwrap();
    let fault = bench.fault(&["tiny.toml", "--set", "run.steps=15", "--accept", "run.steps"]);
    assert!(
        fault.starts_with("exit 2\nerror: run/checkpoints/step-0000012/weights.safetensors: damaged"),
        "{fault}"
    );
}
