//! `train convert` and `train export` of models, as a user types them.

use std::path::Path;

use super::Bench;

fn golden(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name).display().to_string()
}

const RUDOLPH: &str = "kind = 'rudolph'\nlayers = 8\ndim = 48\nheads = 4\nleft = 14\ngrid = 6\nright = 11\nkernel = 3\n\
    last_kernel = 5\ntext_vocab = 420\ntext_special = 8\nimage_vocab = 96\nimage_special = 4\n";

#[test]
fn a_checkpoint_goes_in_and_out() {
    let bench = Bench::new();
    pipeline::atomic::write(bench.path("rudolph.toml"), RUDOLPH).unwrap();
    let (weights, bpe) = (golden("rudolph/pytorch_model.bin"), golden("rudolph/bpe.model"));
    let told =
        bench.ok(&["convert", &weights, "--model", "rudolph.toml", "--bpe", &bpe, "--out", "m", "--json"]);
    insta::assert_snapshot!(told, @r#"{"type":"model","version":1,"folder":"m","kind":"rudolph","found":"as --model rudolph.toml says","parameters":282350,"dtypes":["F16"],"notes":["no codec: to draw, convert again with --codec"]}"#);
    let shown = bench.ok(&["show", "m"]);
    insta::assert_snapshot!(shown.lines().take(7).collect::<Vec<_>>().join("\n"), @r#"
    m
      parameters  282350
           codec  none (train convert --codec)
      vocabulary  bpe.model

    kind = "rudolph"
    layers = 8
    "#);
    let record: serde_json::Value = serde_json::from_str(&bench.ok(&["show", "m", "--json"])).unwrap();
    assert_eq!((record["parameters"].as_u64(), record["config"]["dim"].as_u64()), (Some(282_350), Some(48)));
    insta::assert_snapshot!(bench.fault(&["sample", "m", "--prompt", "кот", "-q"]), @"
    exit 2
    error: m: no file `codec.*`: the codec's weights are missing
    hint: make the folder again with `train convert --codec FILE`
    ");
    let out = bench.ok(&["export", "m", "--out", "out/m.safetensors", "--dtype", "f32"]);
    assert_eq!(out, "out/m.safetensors\n");
    assert!(bench.path("out/m.toml").is_file());
    insta::assert_snapshot!(bench.fault(&["export", "m", "--out", "hf", "--layout", "huggingface"]), @"
    exit 2
    error: --layout huggingface: transformers has no class for a model of kind rudolph
    hint: without --layout the weights have the names of the authors' own programs
    ");
    insta::assert_snapshot!(bench.fault(&["convert", "out/m.safetensors", "--out", "m"]), @"
    exit 2
    error: --out: m holds a model already
    hint: give another folder, or remove that one
    ");
}

#[test]
fn a_run_goes_out_before_and_after_it_is_finished() {
    let bench = Bench::new();
    bench.ok(&["tiny.toml", "-q"]);
    bench.ok(&["export", "run", "--out", "finished", "-q"]);
    std::fs::remove_dir_all(bench.path("run/model")).unwrap();
    bench.ok(&["export", "run", "--out", "newest", "-q"]);
    let read = |name: &str| std::fs::read(bench.path(name)).unwrap();
    for name in ["model.safetensors", "model.toml"] {
        assert_eq!(read(&format!("finished/{name}")), read(&format!("newest/{name}")), "{name}");
    }
    let codec = bench.fault(&["export", "run", "--out", "x.safetensors", "--full"]);
    assert!(codec.starts_with("exit 2\nerror: --full is for codecs"), "{codec}");
}

#[test]
fn what_does_not_fit_is_named_in_full_when_asked() {
    let bench = Bench::new();
    pipeline::atomic::write(bench.path("rudolph.toml"), RUDOLPH).unwrap();
    let other = golden("rudalle-v3/pytorch_model.bin");
    let convert = ["convert", &other, "--model", "rudolph.toml", "--out", "m"];
    let short = bench.fault(&convert);
    assert!(short.contains("keys of ruDALL-E, not of RuDOLPH") && short.contains(" more"), "{short}");
    let all = bench.fault(&[&convert[..], &["-v"]].concat());
    let missing = |text: &str| text.lines().filter(|line| line.starts_with("missing: ")).count();
    assert!(missing(&all) > 8 && missing(&short) == 0, "{all}");
    insta::assert_snapshot!(bench.fault(&["convert", "none.bin", "--model", "rudolph-1.3b", "--out", "m"]), @"
    exit 2
    error: none.bin: No such file or directory (os error 2)
    ");
    let presets = bench.ok(&["show", "--models"]);
    assert!(presets.lines().any(|line| line.starts_with("rudolph-1.3b ") && line.contains("RUDOLPH-1.3B")));
}
