//! `train imagegpt.toml` and `train probe` on small pictures of two classes: what a run leaves, every objective killed and
//! resumed, and bad input.

use std::collections::BTreeMap;
use std::time::Duration;

use burn::tensor::Device;
use tokenize::clusters::Clusters;
use tokenize::codec::Codec;
use tokenize::tokens::{Column, TokenMeta, TokenRow, TokenWriter};

use super::{Bench, sha256, stderr};

const CONFIG: &str = "kind = 'imagegpt'
[run]
out = 'run'
steps = 60
log_every = 7
validate_every = 30
sample_every = 30
checkpoint_every = 3
keep = 99
[data]
tokens = 'tokens'
codec = 'palette.safetensors'
train = { split = 'train' }
held_out = { split = 'test' }
batch_size = 6
parts = 2
[model]
layers = 2
dim = 16
heads = 2
grid = 4
colours = 4
[pace]
lr = 0.02
warmup_epochs = 0.2
[samples]
rows = 2
columns = 2
";

/// Stripes, flat for class 0 and upright for class 1, with a little noise.
fn codes(row: usize) -> Vec<u16> {
    let stripe = |pixel: usize| if row.is_multiple_of(2) { pixel / 4 } else { pixel % 4 };
    let noisy = |pixel: usize| usize::from((row * 7 + pixel * 5).is_multiple_of(11));
    (0..16).map(|pixel| ((stripe(pixel) % 2 * 2 + noisy(pixel) + row / 2 % 2) % 4) as u16).collect()
}

fn bench() -> Bench {
    let bench = Bench::new();
    pipeline::atomic::write(bench.path("imagegpt.toml"), CONFIG).unwrap();
    let greys = [-1.0, -0.3, 0.3, 1.0].map(|grey| [grey; 3]);
    let palette = bench.path("palette.safetensors");
    Clusters::new(&greys, 4).unwrap().save(&palette, serde_json::json!({})).unwrap();
    let codec = Codec::load(&palette, &Device::flex()).unwrap();
    let meta = TokenMeta {
        codec_name: codec.name.clone(),
        codec_sha256: codec.sha256.clone(),
        codebook_size: 4,
        grid: 4,
        downsampling: 1,
        ..TokenMeta::default()
    };
    let path = bench.path("tokens/00000.parquet");
    let file = pipeline::atomic::AtomicFile::create(&path).unwrap();
    let columns = [Column::text("label"), Column::text("split")];
    let mut writer = TokenWriter::new(file, &path, &meta, &columns).unwrap();
    for row in 0..40 {
        let split = if row < 30 { "train" } else { "test" };
        let label = if row % 2 == 0 { "flat" } else { "upright" };
        let extra = [("split", split), ("label", label)].map(|(name, value)| (name.to_owned(), value.into()));
        writer
            .push(TokenRow {
                key: row.to_string(),
                codes: Some(codes(row)),
                extra: BTreeMap::from(extra),
                ..TokenRow::default()
            })
            .unwrap();
    }
    writer.finish().unwrap().commit().unwrap();
    bench
}

#[test]
fn a_run_leaves_a_model_that_a_probe_reads() {
    let bench = bench();
    let output = bench.run(&["imagegpt.toml"]);
    let talk = stderr(&output);
    assert!(output.status.success(), "{talk}");
    for part in ["training imagegpt in run", "30 training pictures", "before and above", "bits", "accuracy"] {
        assert!(talk.contains(part), "{part}: {talk}");
    }
    for file in [
        "samples/step-0000060.png",
        "model/weights.safetensors",
        "model/model.toml",
        "model/codec.safetensors",
    ] {
        assert!(bench.path("run").join(file).is_file(), "{file}");
    }
    let losses: Vec<f64> = bench
        .metrics()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|line| line["type"] == "valid")
        .map(|line| line["loss"].as_f64().unwrap())
        .collect();
    assert!(losses[1] < 0.9 * 4f64.ln(), "{losses:?}");
    let probe =
        ["probe", "run", "--tokens", "tokens", "--train", "split=train", "--held-out", "split=test", "-q"];
    let lines = bench.ok(&probe);
    let accuracy = |line: &str| line.rsplit('\t').next()?.trim_end_matches(" %").parse::<f64>().ok();
    let best = lines.lines().filter_map(accuracy).fold(0.0, f64::max);
    assert!(lines.lines().count() == 3 && best >= 90.0, "{lines}");
}

#[test]
fn every_objective_killed_and_resumed_equals_one_that_never_stopped() {
    for sets in [
        &["--set", "model.dropout=0.1"][..],
        &["--set", "model.bidirectional=true", "--set", "hidden=0.3"],
        &["--set", "classify.label=label"],
        &["--set", "average.decay=0.9", "--set", "optim.kind=lion", "--set", "classify.label=label"],
    ] {
        let with = |first: &[&'static str]| first.iter().chain(sets).copied().collect::<Vec<_>>();
        let straight = bench();
        straight.ok(&with(&["imagegpt.toml", "-q"]));
        let killed = bench();
        let mut child = killed.spawn(&with(&["imagegpt.toml"]));
        killed.wait_for("run/checkpoints/step-0000012");
        std::thread::sleep(Duration::from_millis(3));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!killed.path("run/model").exists(), "killed before its end");
        killed.ok(&["resume", "run", "-q"]);
        assert_eq!(killed.weights(), straight.weights(), "{sets:?}");
        assert_eq!(killed.metrics(), straight.metrics(), "{sets:?}");
        let sheet = "run/samples/step-0000060.png";
        assert_eq!(sha256(&killed.path(sheet)), sha256(&straight.path(sheet)), "{sets:?}");
        let classifier = straight.path("run/model/classifier.safetensors");
        assert_eq!(classifier.exists(), sets.contains(&"classify.label=label"));
        if classifier.exists() {
            assert_eq!(sha256(&classifier), sha256(&killed.path("run/model/classifier.safetensors")));
        }
    }
}

#[test]
fn bad_input_is_named_with_its_cure() {
    let bench = bench();
    let fault = |set: &str| bench.fault(&["imagegpt.toml", "--set", set]);
    assert!(fault("model.colours=5").contains("4 codes, the model has 5"));
    let fault = fault("classify.label=kind");
    assert!(fault.starts_with("exit 2") && fault.contains("no column `kind`"), "{fault}");
    assert!(fault.contains("tokenize shards --columns kind"), "{fault}");
    bench.ok(&["imagegpt.toml", "-q", "--set", "run.steps=3"]);
    let fault = bench.fault(&["probe", "run", "--tokens", "tokens"]);
    assert!(fault.contains("--held-out or --test"), "{fault}");
}
