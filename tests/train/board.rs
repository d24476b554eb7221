//! TensorBoard's files, read back by PyPI's `tensorboard` itself.

use std::collections::BTreeMap;
use std::process::Command;

use super::Bench;

/// Prints every scalar as `[tag, step, value]` and every picture as `[tag, step, bytes]`.
const READ: &str = "
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
board = EventAccumulator(sys.argv[1], size_guidance={'scalars': 0, 'images': 0, 'tensors': 0})
board.Reload()
found = [[tag, one.step, one.value] for tag in board.Tags()['scalars'] for one in board.Scalars(tag)]
found += [[tag, one.step, len(one.encoded_image_string)] for tag in board.Tags()['images'] for one in board.Images(tag)]
found += [['text/' + tag, one.step, len(one.tensor_proto.string_val[0].decode().splitlines())] for tag in board.Tags()['tensors'] for one in board.Tensors(tag)]
print(json.dumps(found))
";

/// A Python that has `tensorboard`: `TROIKA_PYTHON`, or the one on the path.
fn python() -> Option<String> {
    let name = std::env::var("TROIKA_PYTHON").unwrap_or_else(|_| "python3".into());
    let known = Command::new(&name).args(["-c", "import tensorboard"]).output();
    known.is_ok_and(|output| output.status.success()).then_some(name)
}

#[test]
fn tensorboard_reads_what_was_written_also_after_a_resume() {
    let Some(python) = python() else {
        println!("skipped: no Python with `tensorboard`; `pip install tensorboard` or set TROIKA_PYTHON");
        return;
    };
    let bench = Bench::new();
    // Killed past a checkpoint: the numbers of the steps after it must not be there twice.
    let mut child = bench.spawn(&["tiny.toml", "--set", "run.steps=60"]);
    bench.wait_for("run/checkpoints/step-0000030");
    child.kill().unwrap();
    child.wait().unwrap();
    bench.ok(&["tiny.toml", "-q", "--set", "run.steps=60"]);
    let output = Command::new(python).args(["-c", READ]).arg(bench.path("run/tensorboard")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Vec<(String, u64, f64)> = serde_json::from_slice(&output.stdout).unwrap();
    let found: BTreeMap<(String, u64), f64> =
        found.into_iter().map(|(tag, step, value)| ((tag, step), value)).collect();
    let mut compared = 0;
    for line in bench.metrics().lines() {
        let line: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
        let (kind, step) = (line["type"].as_str().unwrap(), line["step"].as_u64().unwrap());
        for (name, value) in
            line.iter().filter(|(name, _)| !["type", "version", "step"].contains(&name.as_str()))
        {
            let written = found.get(&(format!("{kind}/{name}"), step));
            let written = *written.unwrap_or_else(|| panic!("no {kind}/{name} at step {step}"));
            let value = value.as_f64().unwrap();
            assert!(
                (written - value).abs() <= 1e-6 * value.abs(),
                "{kind}/{name} at {step}: {written} {value}"
            );
            compared += 1;
        }
    }
    assert!(compared > 100, "{compared}");
    assert!(found.keys().any(|(tag, step)| tag == "samples" && *step == 60), "pictures as well");
    let captions = std::fs::read_to_string(bench.path("run/samples/step-0000060-captions.txt")).unwrap();
    let lines = captions.lines().count();
    assert!(lines > 0 && found.get(&("text/captions".into(), 60)) == Some(&(lines as f64)), "and words");
}
