//! `cargo demo` as a user sees it, on a handful of pictures with tiny models: the whole road, a second run, a kill.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Pictures used; three of them are held out.
const PICTURES: &str = "40";

/// The demo with a tiny codec and a tiny model. Without `vqgan` keys it would use the codec that comes with it.
fn demo(out: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command.args(["--limit", PICTURES, "--from-scratch", "--out"]).arg(out);
    let sets = [
        "vqgan.run.steps=6",
        "vqgan.run.validate_every=6",
        "vqgan.run.sample_every=0",
        "vqgan.run.log_every=2",
        "vqgan.data.batch_size=2",
        "vqgan.model.tiles=false",
        "vqgan.model.ch=8",
        "vqgan.model.ch_mult=[1, 1, 1, 2]",
        "vqgan.model.groups=4",
        "vqgan.model.z_channels=4",
        "vqgan.model.embed_dim=4",
        "vqgan.model.n_embed=32",
        "run.steps=30",
        "run.log_every=5",
        "run.validate_every=15",
        "run.sample_every=0",
        "run.checkpoint_every=5",
        "run.keep=9",
        "data.batch_size=2",
        "model.layers=2",
        "model.dim=32",
        "model.heads=2",
        "model.grid=8",
        "model.left=8",
        "model.right=8",
        "model.kernel=3",
        "model.last_kernel=3",
        "model.text_vocab=256",
        "model.image_vocab=32",
    ];
    command.args(sets.iter().flat_map(|set| ["--set", set]));
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn finish(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    output
}

fn figures(out: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(out.join("demo.json")).unwrap()).unwrap()
}

/// Waits until the file is there and holds something, or the demo has ended.
fn wait_for(child: &mut Child, file: &Path) {
    let started = Instant::now();
    while !file.exists() {
        assert!(child.try_wait().unwrap().is_none(), "ended before {} was there", file.display());
        assert!(started.elapsed() < Duration::from_secs(120), "no {}", file.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_whole_road_and_nothing_to_do_the_second_time() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("demo");
    let first = finish(demo(&out));
    let report = std::fs::read_to_string(out.join("report.html")).unwrap();
    for outside in ["src=\"http", "href=\"http", "<script", "@import"] {
        assert!(!report.contains(outside), "{outside}");
    }
    assert!(report.contains("data:image/png;base64,") && report.contains("флаг: ОАЭ"));
    let found = figures(&out);
    assert_eq!(found["crawl"]["rows"], 40);
    assert_eq!(found["crawl"]["reasons"]["ok"], 40);
    assert_eq!(found["crawl"]["token_rows"], 80);
    assert_eq!(found["crawl"]["held_out_pictures"], 3);
    assert_eq!(found["retrieval"]["drawings"], 37);
    assert!(found["model"]["held_out_image"].as_f64().is_some_and(f64::is_finite));
    let said = text(&first.stdout);
    assert!(said.contains("40 of 40 links gave a picture") && said.contains("report.html"), "{said}");
    let last: Vec<&str> = said.lines().rev().take(3).collect();
    assert!(
        last[2].contains("--package pipeline -- crawl") && last[0].contains("--package train -- "),
        "{said}"
    );

    let second = finish(demo(&out));
    // Crawl, codec, vocabulary, tokens, model.
    assert_eq!(text(&second.stderr).matches("nothing to do").count(), 5, "{}", text(&second.stderr));
    let again = figures(&out);
    for same in ["crawl", "codec", "model", "retrieval", "captions"] {
        assert_eq!(found[same], again[same], "{same}");
    }
}

#[test]
fn the_codec_in_the_repository_fits_the_demo() {
    let codec = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/demo/codec/vqgan.safetensors");
    assert!(codec.is_file(), "{} is missing: the demo needs it", codec.display());
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command.args(["--limit", "9", "--steps", "3", "--out"]).arg(folder.path().join("demo"));
    let sets = ["model.layers=1", "model.dim=32", "model.heads=2", "run.sample_every=0", "data.batch_size=2"];
    finish({
        command.args(sets.iter().flat_map(|set| ["--set", set]));
        command
    });
    let found = figures(&folder.path().join("demo"));
    assert_eq!(found["codec"]["from_scratch"], false);
    assert!(found["codec"]["psnr"].as_f64().is_some_and(|psnr| psnr > 20.0), "{}", found["codec"]);
}

#[test]
fn a_killed_demo_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("demo");
    let mut child = demo(&out).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for(&mut child, &out.join("rudolph/checkpoints/step-0000005"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!out.join("report.html").exists(), "it was over before the kill");
    let rest = finish(demo(&out));
    assert_eq!(text(&rest.stderr).matches("nothing to do").count(), 4, "{}", text(&rest.stderr));
    assert_eq!(figures(&out)["crawl"]["token_rows"], 80);
    assert_eq!(
        std::fs::read_to_string(out.join("rudolph/metrics.jsonl")).unwrap().matches("\"train\"").count(),
        6
    );
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_at_a_safe_point() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("demo");
    let run = || {
        let mut command = demo(&out);
        // So many that the signal comes long before the last one.
        command.args(["--set", "run.steps=3000", "--set", "run.checkpoint_every=3000"]);
        command
    };
    let mut child = run().stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let metrics = out.join("rudolph/metrics.jsonl");
    wait_for(&mut child, &metrics);
    // Past the first lines, so that there is something to continue.
    while std::fs::metadata(&metrics).unwrap().len() == 0 {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(sent.success());
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("the same command continues"));
    let rest = finish(run());
    assert!(text(&rest.stderr).contains("steps already done"), "{}", text(&rest.stderr));
}

#[test]
fn mistakes_are_told_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("demo");
    let mut wrong = demo(&out);
    let output = wrong.args(["--set", "model.layerz=3"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("did you mean `layers`"), "{}", text(&output.stderr));
    assert!(!out.exists());
}
