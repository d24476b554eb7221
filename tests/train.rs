//! The `train` command as a user sees it: exit codes, stdout, stderr, files; kill and resume; bad input.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail loudly")]

#[path = "train/board.rs"]
mod board;
#[path = "train/codec.rs"]
mod codec;
#[path = "train/convert.rs"]
mod convert;
#[path = "train/curves.rs"]
mod curves;
#[path = "train/dalle.rs"]
mod dalle;
#[path = "train/drawing.rs"]
mod drawing;
#[path = "train/imagegpt.rs"]
mod imagegpt;
#[path = "train/score.rs"]
mod score;
#[path = "train/trust.rs"]
mod trust;
#[path = "train/words.rs"]
mod words;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use burn::tensor::Device;
use sha2::{Digest, Sha256};
use tokenize::bpe::Bpe;
use tokenize::codec::Codec;
use tokenize::tokens::{Column, TokenMeta, TokenRow, TokenWriter};
use tokenize::vqgan::{Precision, VqGanConfig};

/// Words of the tiny world that the tests train on; the caption's place decides its image.
const CAPTIONS: [&str; 8] =
    ["red cat", "red dog", "blue cat", "blue dog", "green cat", "green dog", "black cat", "black dog"];

/// Files that every test starts from, made once: codec, vocabulary, token shards.
fn world() -> &'static Path {
    static WORLD: OnceLock<tempfile::TempDir> = OnceLock::new();
    WORLD
        .get_or_init(|| {
            let dir = tempfile::tempdir().unwrap();
            make_codec(&dir.path().join("codec.safetensors"), 1);
            make_codec(&dir.path().join("other.safetensors"), 2);
            let bpe = Bpe::train(CAPTIONS.iter(), 40).unwrap();
            bpe.save(dir.path().join("bpe.json")).unwrap();
            make_tokens(dir.path(), &bpe);
            dir
        })
        .path()
}

fn make_codec(path: &Path, seed: u64) {
    let config = VqGanConfig {
        ch: 8,
        ch_mult: vec![1, 2],
        num_res_blocks: 1,
        attn_resolutions: vec![],
        resolution: 8,
        z_channels: 4,
        embed_dim: 4,
        n_embed: 16,
        groups: 4,
        ..VqGanConfig::default()
    };
    let device = Device::flex();
    device.seed(seed);
    config.init(&device).unwrap().save(path, Precision::Half).unwrap();
    let text = pipeline::settings::to_toml(&config).unwrap();
    pipeline::atomic::write(path.with_extension("toml"), text).unwrap();
}

fn make_tokens(dir: &Path, bpe: &Bpe) {
    let codec = Codec::load(&dir.join("codec.safetensors"), &Device::flex()).unwrap();
    let meta = TokenMeta {
        codec_name: codec.name.clone(),
        codec_sha256: codec.sha256.clone(),
        codebook_size: codec.codebook_size(),
        grid: 4,
        downsampling: codec.downsampling(),
        bpe_kind: "hf-bpe".into(),
        bpe_sha256: bpe.sha256().into(),
        vocab_size: bpe.vocab_size(),
        lowercase: bpe.lowercase(),
        ..TokenMeta::default()
    };
    let path = dir.join("tokens/00000.parquet");
    let extra = [Column::text("split")];
    let file = pipeline::atomic::AtomicFile::create(&path).unwrap();
    let mut writer = TokenWriter::new(file, &path, &meta, &extra).unwrap();
    for (row, caption) in CAPTIONS.iter().enumerate() {
        let split = if row < 6 { "train" } else { "test" };
        let row = TokenRow {
            key: row.to_string(),
            caption: Some((*caption).into()),
            text_ids: Some(bpe.encode(caption)),
            codes: Some((0..16).map(|i| ((i * (row + 1) + row) % 16) as u16).collect()),
            extra: BTreeMap::from([("split".into(), split.into())]),
        };
        writer.push(row).unwrap();
    }
    writer.finish().unwrap().commit().unwrap();
}

/// A folder with a configuration of its own and links to nothing else.
struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let world = world().display();
        let text = format!(
            "kind = 'rudolph'
[run]
out = 'run'
steps = 12
log_every = 4
validate_every = 6
sample_every = 12
checkpoint_every = 3
[data]
tokens = '{world}/tokens'
codec = '{world}/codec.safetensors'
bpe = '{world}/bpe.json'
train = {{ split = 'train' }}
held_out = {{ split = 'test' }}
batch_size = 4
[model]
layers = 2
dim = 16
heads = 2
left = 8
grid = 4
right = 8
kernel = 3
last_kernel = 3
text_vocab = 40
text_special = 6
image_vocab = 16
image_special = 0
dropout = 0.1
[schedule]
lr = 0.003
warmup = 2
[samples]
columns = 2
"
        );
        pipeline::atomic::write(dir.path().join("tiny.toml"), text).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_train"));
        command.current_dir(self.dir.path()).env("NO_COLOR", "1").args(args);
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs, expects success, and returns stdout.
    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs, expects failure, and returns the exit code and what stderr says, without machine paths.
    fn fault(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.stdout.is_empty(), "{args:?}");
        let text = stderr(&output).replace(&world().display().to_string(), "[world]");
        let text: Vec<_> = text.lines().filter(|line| !line.starts_with("training ")).collect();
        format!("exit {}\n{}", output.status.code().unwrap(), text.join("\n"))
    }

    fn spawn(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn weights(&self) -> String {
        sha256(&self.path("run/model/weights.safetensors"))
    }

    /// `metrics.jsonl` without times.
    fn metrics(&self) -> String {
        let text = std::fs::read_to_string(self.path("run/metrics.jsonl")).unwrap();
        let untimed = |line: &str| {
            let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
            let map = value.as_object_mut().unwrap();
            let timed = ["seconds", "steps_per_second", "tokens_per_second", "pixels_per_second", "stall"];
            for name in timed.into_iter().chain(["checkpoint_stall", "mfu", "memory"]) {
                map.remove(name);
            }
            value.to_string() + "\n"
        };
        text.lines().map(untimed).collect()
    }

    fn checkpoints(&self) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(self.path("run/checkpoints"))
            .map(|entries| entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect())
            .unwrap_or_default();
        names.sort();
        names
    }

    /// Waits until a checkpoint appears.
    fn wait_for(&self, path: &str) {
        let started = Instant::now();
        while !self.path(path).exists() {
            assert!(started.elapsed() < Duration::from_secs(60), "{path} never came");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn sha256(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_run_leaves_what_the_design_promises() {
    let bench = Bench::new();
    let output = bench.run(&["tiny.toml"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let talk = stderr(&output);
    for part in [
        "training rudolph in run",
        "parameters; ",
        "steps per epoch",
        "code-frequency baseline",
        "held out: loss",
    ] {
        assert!(talk.contains(part), "{part}: {talk}");
    }
    for file in [
        "run.toml",
        "samples/step-0000012.png",
        "samples/step-0000012-captions.txt",
        "samples/prompts.txt",
        "model/weights.safetensors",
        "model/model.toml",
        "model/codec.safetensors",
        "model/codec.toml",
        "model/bpe.json",
        "model/bpe.toml",
    ] {
        assert!(bench.path("run").join(file).is_file(), "{file}");
    }
    // Validated at 6 and 12, so the better of both stays beside the newest two.
    let checkpoints = bench.checkpoints();
    assert!(checkpoints.ends_with(&["step-0000009".into(), "step-0000012".into()]), "{checkpoints:?}");
    let metrics = bench.metrics();
    let kinds: Vec<_> = metrics.lines().map(|line| line.split('"').nth(3).unwrap()).collect();
    assert_eq!(kinds, ["train", "valid", "train", "train", "valid"]);
    let again = bench.run(&["tiny.toml"]);
    assert!(again.status.success());
    assert!(stderr(&again).contains("nothing left to do"), "{}", stderr(&again));
}

#[test]
fn a_trained_model_draws_captions_and_moves() {
    let bench = Bench::new();
    bench.ok(&["tiny.toml", "-q"]);
    // The model folder alone is enough, wherever it lies.
    std::fs::rename(bench.path("run/model"), bench.path("moved")).unwrap();
    let draw = |seed, out| {
        let args = [
            "sample", "moved", "--prompt", "red cat", "--prompt", "blue dog", "--n", "3", "--seed", seed,
            "--out", out, "-q",
        ];
        assert_eq!(bench.ok(&args).trim(), out);
        sha256(&bench.path(out))
    };
    let first = draw("1", "a.png");
    assert_eq!(first, draw("1", "b.png"), "the same seed, the same picture");
    assert_ne!(first, draw("2", "c.png"));
    let captions = bench.ok(&["caption", "moved", "a.png", "b.png", "-q"]);
    let lines: Vec<_> = captions.lines().map(|line| line.split_once('\t').unwrap()).collect();
    assert_eq!(lines[0].0, "a.png");
    assert_eq!(lines.len(), 2);
    let json = bench.ok(&["caption", "moved", "a.png", "--json"]);
    let mut records = json.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let record = records.next_back().unwrap();
    assert_eq!((record["type"].as_str(), record["version"].as_u64()), (Some("caption"), Some(1)));
    assert!(records.all(|record| record["type"] == "progress"), "{json}");
    // A run without a model yet is sampled from its newest checkpoint, with the same result.
    bench.ok(&[
        "sample", "run", "--prompt", "red cat", "--prompt", "blue dog", "--n", "3", "--seed", "1", "--out",
        "d.png", "-q",
    ]);
    assert_eq!(first, sha256(&bench.path("d.png")));
}

#[test]
fn killed_and_resumed_equals_never_stopped() {
    let straight = Bench::new();
    straight.ok(&["tiny.toml", "-q", "--set", "run.steps=120"]);
    let killed = Bench::new();
    for (checkpoint, delay) in
        [("step-0000003", 0), ("step-0000030", 7), ("step-0000060", 3), ("step-0000090", 11)]
    {
        let mut child = killed.spawn(&["tiny.toml", "--set", "run.steps=120", "--set", "run.keep=99"]);
        killed.wait_for(&format!("run/checkpoints/{checkpoint}"));
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!killed.path("run/model").exists(), "killed before its end");
    }
    killed.ok(&["resume", "run", "-q"]);
    assert_eq!(killed.weights(), straight.weights());
    assert_eq!(killed.metrics(), straight.metrics());
    let sample = "run/samples/step-0000060.png";
    assert_eq!(sha256(&killed.path(sample)), sha256(&straight.path(sample)));
}

#[cfg(unix)]
#[test]
fn sigterm_ends_at_a_checkpoint_with_143() {
    let bench = Bench::new();
    let mut child =
        bench.spawn(&["tiny.toml", "--set", "run.steps=5000", "--set", "run.checkpoint_every=100000"]);
    bench.wait_for("run/metrics.jsonl");
    let started = Instant::now();
    while std::fs::metadata(bench.path("run/metrics.jsonl")).unwrap().len() == 0 {
        assert!(started.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(bench.checkpoints().len(), 1);
    assert!(!bench.path("run/model").exists());
}

#[test]
fn devices_share_a_step_and_change_no_bit() {
    let one = Bench::new();
    one.ok(&["tiny.toml", "-q", "--set", "data.parts=2"]);
    let two = Bench::new();
    two.ok(&["tiny.toml", "-q", "--set", "data.parts=2", "--devices", "cpu,cpu"]);
    assert_eq!((one.weights(), one.metrics()), (two.weights(), two.metrics()));
    let fault = two.fault(&["tiny.toml", "--fresh", "--devices", "cpu,cpu"]);
    assert!(
        fault.contains("data.parts: 1 part for 2 devices") && fault.contains("a multiple of 2"),
        "{fault}"
    );
}

#[test]
fn a_build_without_mpi_refuses_to_be_one_of_several_processes() {
    if cfg!(feature = "mpi") {
        return;
    }
    let bench = Bench::new();
    let output = bench.command(&["tiny.toml"]).env("OMPI_COMM_WORLD_SIZE", "4").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("build it with `--features mpi`"), "{}", stderr(&output));
    assert!(!bench.path("run").exists());
}

#[test]
fn a_second_process_is_refused() {
    let bench = Bench::new();
    let mut child = bench.spawn(&["tiny.toml", "--set", "run.steps=5000"]);
    bench.wait_for("run/checkpoints/step-0000003");
    let fault = bench.fault(&["tiny.toml", "--set", "run.steps=5000"]);
    child.kill().unwrap();
    child.wait().unwrap();
    insta::assert_snapshot!(fault, @"
    exit 75
    error: run is in use by another process
    hint: wait for it to end, or train into another folder with `--set run.out=DIR`
    ");
}

#[test]
fn a_changed_configuration_is_refused_accepted_or_started_over() {
    let bench = Bench::new();
    bench.ok(&["tiny.toml", "-q"]);
    let changed = ["tiny.toml", "--set", "run.seed=2", "--set", "schedule.lr=0.001"];
    insta::assert_snapshot!(bench.fault(&changed), @"
    exit 2
    error: run was started with another configuration:
      run.seed: 1 -> 2
      schedule.lr: 0.003 -> 0.001
    hint: undo the change, accept a key with `--accept KEY`, train into another folder with `--set run.out=DIR`, or start over with `--fresh`
    ");
    let before = bench.weights();
    bench.ok(&["tiny.toml", "-q", "--set", "run.steps=15", "--accept", "run.steps"]);
    let longer = bench.weights();
    assert_ne!(before, longer);
    bench.ok(&["tiny.toml", "-q", "--fresh"]);
    assert_eq!(bench.weights(), before, "the same configuration, the same weights");
}

#[test]
fn configurations_that_cannot_be_run_say_what_to_change() {
    let bench = Bench::new();
    insta::assert_snapshot!(bench.fault(&["none.toml"]), @"
    exit 2
    error: none.toml: No such file or directory (os error 2)
    ");
    pipeline::atomic::write(bench.path("kind.toml"), "kind = 'rudolf'").unwrap();
    insta::assert_snapshot!(bench.fault(&["kind.toml"]), @r#"
    exit 2
    error: kind.toml: unknown kind "rudolf"; known: rudolph, dalle, imagegpt, vqgan
    hint: did you mean `rudolph`?
    "#);
    pipeline::atomic::write(bench.path("key.toml"), "kind = 'rudolph'\n[run]\nsteps = 3\nlog_evry = 5\n")
        .unwrap();
    let fault = bench.fault(&["key.toml"]);
    assert!(fault.starts_with("exit 2\nerror: key.toml:4:1: unknown key `log_evry`"), "{fault}");
    assert!(fault.ends_with("hint: did you mean `log_every`?"), "{fault}");
    insta::assert_snapshot!(bench.fault(&["tiny.toml", "--set", "run.device=tpu"]), @r#"
    exit 2
    error: device: unknown device "tpu"; known: cpu, cuda:0, cuda:1, ..., wgpu
    "#);
    insta::assert_snapshot!(bench.fault(&["tiny.toml", "--set", "model.heads=3"]), @"
    exit 2
    error: heads: 3 heads do not divide dim 16
    ");
    insta::assert_snapshot!(bench.fault(&["resume", "nowhere"]), @"
    exit 2
    error: nowhere: not a run folder, it has no run.toml
    hint: give the folder that a configuration names as `run.out`
    ");
    assert!(!bench.path("run/run.toml").exists(), "a run that never began leaves no configuration behind");
}

#[test]
fn shards_that_do_not_fit_are_refused_by_name() {
    let bench = Bench::new();
    let other = format!("data.codec={}/other.safetensors", world().display());
    let fault = bench.fault(&["tiny.toml", "--set", &other]);
    assert!(
        fault.starts_with("exit 2\nerror: [world]/tokens/00000.parquet: made with another codec (sha256 "),
        "{fault}"
    );
    assert!(fault.contains("\nhint: name the codec that made the shard in `data.codec`"), "{fault}");
    insta::assert_snapshot!(bench.fault(&["tiny.toml", "--set", "model.grid=8"]), @"
    exit 2
    error: [world]/tokens/00000.parquet: a grid of 4×4 codes, the model has 8×8
    hint: set `model.grid` to the shard's grid, or make the shards again at another image size
    ");
    insta::assert_snapshot!(bench.fault(&["tiny.toml", "--set", "model.image_vocab=32"]), @"
    exit 2
    error: [world]/tokens/00000.parquet: 16 codes, the model has 32
    hint: set `model.image_vocab` to the codec's codebook size
    ");
    insta::assert_snapshot!(bench.fault(&["tiny.toml", "--set", "data.train.split=dev"]), @"
    exit 2
    error: [world]/tokens: no rows that the filter takes
    ");
    insta::assert_snapshot!(bench.fault(&["tiny.toml", "--set", "data.train.part=dev"]), @"
    exit 2
    error: [world]/tokens/00000.parquet: no column `part` to choose rows by; extra columns: split
    ");
    let shard = std::fs::read(world().join("tokens/00000.parquet")).unwrap();
    pipeline::atomic::write(bench.path("cut.parquet"), &shard[..shard.len() / 2]).unwrap();
    let fault = bench.fault(&["tiny.toml", "--set", "data.tokens=cut.parquet"]);
    assert!(fault.starts_with("exit 2\nerror: cut.parquet: "), "{fault}");
    assert!(fault.contains("hint: the file is damaged"), "{fault}");
}

#[test]
fn captions_that_are_cut_are_counted() {
    let bench = Bench::new();
    let talk = |sides: &str| {
        let sets = ["left", "right"].map(|side| format!("model.{side}={sides}"));
        let args = ["tiny.toml", "--fresh", "--set", "run.steps=1", "--set", &sets[0], "--set", &sets[1]];
        let output = bench.run(&args);
        assert!(output.status.success(), "{}", stderr(&output));
        stderr(&output)
    };
    // Two words, BOS, a task token and EOS.
    let cut = talk("4");
    for side in ["left", "right"] {
        let line = format!("6 of 6 training captions do not fit into model.{side} = 4 and are cut");
        assert!(cut.contains(&line), "{cut}");
    }
    assert!(!talk("40").contains("are cut"));
}

#[test]
fn data_that_changed_since_the_run_began_is_refused() {
    let bench = Bench::new();
    bench.ok(&["tiny.toml", "-q"]);
    // Other rows under an accepted key: the fingerprint notices.
    let args = ["tiny.toml", "--set", "data.train.split=test", "--accept", "data.train.split"];
    insta::assert_snapshot!(bench.fault(&args), @"
    exit 2
    error: run: the data is not what this run began with
    hint: bring the data back, or start over with `--fresh`
    ");
}

#[test]
fn show_prints_what_will_be_and_what_was() {
    let bench = Bench::new();
    let shown = bench.ok(&["show", "tiny.toml", "--set", "run.steps=7"]);
    let table: toml::Table = toml::from_str(&shown).unwrap();
    assert_eq!(table["run"]["steps"].as_integer(), Some(7));
    assert_eq!(table["optim"]["epsilon"].as_float(), Some(1e-8), "defaults are written out");
    let json = bench.ok(&["show", "tiny.toml", "--set", "run.steps=7", "--json"]);
    let record: serde_json::Value = serde_json::from_str(json.trim()).unwrap();
    assert_eq!((record["type"].as_str(), record["version"].as_u64()), (Some("config"), Some(1)));
    assert_eq!(record["config"]["run"]["steps"].as_u64(), Some(7));
    bench.ok(&["tiny.toml", "-q"]);
    let shown = bench.ok(&["show", "run"]);
    assert!(shown.contains("last step  step 12  loss ") && shown.contains("model/ (train sample"), "{shown}");
    let record: serde_json::Value =
        serde_json::from_str(bench.ok(&["show", "run", "--json"]).trim()).unwrap();
    assert_eq!((record["finished"].as_bool(), record["train"]["step"].as_u64()), (Some(true), Some(12)));
}

#[test]
fn json_lines_go_to_stdout() {
    let bench = Bench::new();
    let out = bench.ok(&["tiny.toml", "--json"]);
    let records: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(records.iter().all(|record| record["version"] == 1));
    let of = |kind: &str| records.iter().filter(|record| record["type"] == kind).count();
    assert_eq!((of("started"), of("train"), of("valid"), of("finished")), (1, 3, 2, 1));
    let started = &records[0];
    let memory = |part: &str| started["memory"][part].as_u64().unwrap();
    assert_eq!(memory("weights"), 4 * started["parameters"].as_u64().unwrap());
    assert!(memory("peak") > memory("activations") && memory("activations") > 0);
    let line = records.iter().find(|record| record["type"] == "train").unwrap();
    assert!(line["tokens_per_second"].as_f64().unwrap() > 0.0 && line["stall"].as_f64().unwrap() < 1.0);
    assert_eq!(
        line["rows/text_to_image"].as_u64().or(line["rows/text_to_image"].as_f64().map(|x| x as u64)),
        Some(12)
    );
}

#[test]
fn usage_errors_and_help() {
    let bench = Bench::new();
    assert_eq!(bench.run(&[]).status.code(), Some(2));
    assert_eq!(bench.run(&["sample", "run"]).status.code(), Some(2));
    let help = bench.ok(&["--help"]);
    assert!(help.contains("Examples:") && help.contains("Exit codes:"));
    assert!(help.lines().count() <= 50, "help fits on a screen");
    assert!(bench.ok(&["completions", "bash"]).contains("_train"));
    insta::assert_snapshot!(bench.fault(&["sample", "nowhere", "--prompt", "x", "-q"]), @"
    exit 2
    error: nowhere: No such file or directory (os error 2)
    ");
    insta::assert_snapshot!(bench.fault(&["sample", "run", "--prompt", "x", "--set", "top_k=3"]), @"
    exit 2
    error: --set has no meaning for `train sample`, which takes no configuration: --set top_k=3
    hint: `--help` lists the command's own flags
    ");
    for args in [&["caption", "run", "a.png"][..], &["parity", "case"], &["show", "."]] {
        let fault = bench.fault(&[args, &["--set", "a=1"]].concat());
        assert!(
            fault.starts_with(&format!("exit 2\nerror: --set has no meaning for `train {}", args[0])),
            "{fault}"
        );
    }
}
