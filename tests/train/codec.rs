//! `train vqgan.toml` and `train export` on pair shards made by hand: kill and resume, what comes out, and bad input.

use std::time::Duration;

use pipeline::pairs::{Layout, PairWriter, Row};
use pipeline::picture::{EncodeFormat, Picture};
use pipeline::reason::Reason;

use super::{Bench, sha256};

/// A codec of a few thousand weights whose discriminator begins to count at step 9.
const CONFIG: &str = "kind = 'vqgan'
[run]
out = 'run'
steps = 120
log_every = 7
validate_every = 60
sample_every = 60
checkpoint_every = 3
keep = 99
[data]
pairs = 'pairs'
image_size = 8
batch_size = 2
holdout = 4
augment = { flip = true, shift = 1, permute_channels = true }
[model]
ch = 8
ch_mult = [1, 2]
num_res_blocks = 1
attn_resolutions = []
resolution = 8
z_channels = 4
embed_dim = 4
n_embed = 16
groups = 4
[adversary]
weight = 0.5
start = 9
warmup = 6
discriminator = { channels = 4, layers = 1 }
[restart]
after = 5
[schedule]
lr = 0.002
warmup = 2
";

fn row(index: u8) -> Row {
    let index_of = |pixel: u32| pixel * (u32::from(index) + 3) + 37 * u32::from(index);
    let pixels = (0..8 * 8 * 3).map(|pixel| (index_of(pixel) % 256) as u8).collect();
    let png = train::run::png(&Picture::new(8, 8, pixels).unwrap()).unwrap();
    Row {
        caption: Some(format!("picture {index}")),
        size: Some((8, 8)),
        original_size: Some((8, 8)),
        image: Some(png.into()),
        ..Row::new(format!("{index:09}"), Reason::Ok)
    }
}

/// A shard of twelve pictures.
fn shard() -> Vec<u8> {
    let layout = Layout { caption: true, format: EncodeFormat::Png, ..Layout::default() };
    let mut writer = PairWriter::new(Vec::new(), &layout, "pairs").unwrap();
    writer.write(&[], &(0..12).map(row).collect::<Vec<_>>()).unwrap();
    writer.close().unwrap().0
}

/// A bench with `vqgan.toml` and its pictures.
fn bench(shard: &[u8]) -> Bench {
    let bench = Bench::new();
    pipeline::atomic::write(bench.path("vqgan.toml"), CONFIG).unwrap();
    pipeline::atomic::write(bench.path("pairs/00000.parquet"), shard).unwrap();
    bench
}

/// Kills a run with these changes at each of these checkpoints, resumes it, and compares it with one that never stopped.
fn killed_and_resumed(sets: &[&str], kills: &[(&str, u64)], files: &[&str]) -> Bench {
    let shard = shard();
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let args = |first: &[&'static str]| first.iter().copied().chain(sets.iter().copied()).collect::<Vec<_>>();
    let straight = bench(&shard);
    straight.ok(&args(&["vqgan.toml", "-q"]));
    let killed = bench(&shard);
    for (checkpoint, delay) in kills {
        let mut child = killed.spawn(&args(&["vqgan.toml"]));
        killed.wait_for(&format!("run/checkpoints/{checkpoint}"));
        std::thread::sleep(Duration::from_millis(*delay));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!killed.path("run/model").exists(), "killed before its end");
    }
    killed.ok(&["resume", "run", "-q"]);
    for file in files {
        let of = |bench: &Bench| sha256(&bench.path("run").join(file));
        assert_eq!(of(&killed), of(&straight), "{file}");
    }
    assert_eq!(killed.metrics(), straight.metrics());
    straight
}

#[test]
fn a_codec_killed_and_resumed_equals_one_that_never_stopped() {
    // Before the discriminator counts, while its weight rises, and when all of it counts.
    let kills = [("step-0000003", 0), ("step-0000012", 5), ("step-0000060", 2)];
    let straight = killed_and_resumed(
        &[],
        &kills,
        &[
            "checkpoints/step-0000120/model.safetensors",
            "checkpoints/step-0000120/optim.safetensors",
            "checkpoints/step-0000120/discriminator.safetensors",
            "checkpoints/step-0000120/discriminator_optim.safetensors",
            "checkpoints/step-0000120/idle.txt",
            "model/vqgan.safetensors",
            "samples/step-0000060.png",
        ],
    );
    let metrics = straight.metrics();
    for name in ["discriminator", "adversarial_weight", "logits_real", "logits_drawn", "perplexity", "psnr"] {
        assert!(metrics.contains(name), "{name} was never told: {metrics}");
    }
}

#[test]
fn running_means_micro_batches_and_actnorm_resume_exactly() {
    killed_and_resumed(
        &[
            "run.steps=40",
            "run.validate_every=20",
            "run.sample_every=0",
            "codebook.kind=ema",
            "data.accumulate=2",
            "average.decay=0.9",
            "adversary.discriminator.norm=actnorm",
            "adversary.rate=2.0",
        ],
        &[("step-0000006", 1), ("step-0000015", 3)],
        &[
            "checkpoints/step-0000039/codebook.safetensors",
            "checkpoints/step-0000039/mean.safetensors",
            "checkpoints/step-0000039/discriminator.safetensors",
            "model/vqgan.safetensors",
        ],
    );
}

#[test]
fn a_gumbel_codec_resumes_exactly() {
    killed_and_resumed(
        &[
            "run.steps=24",
            "run.sample_every=0",
            "model.quantizer=gumbel",
            "restart.after=0",
            "adversary.weight=0.0",
        ],
        &[("step-0000006", 1)],
        &["checkpoints/step-0000024/optim.safetensors", "model/vqgan.safetensors"],
    );
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_is_named() {
    let fault = bench(&shard()).fault(&[
        "vqgan.toml",
        "-q",
        "--set",
        "schedule.lr=1e30",
        "--set",
        "schedule.warmup=0",
    ]);
    let said = "exit 1\nerror: step 2: reconstruction is NaN, the first gradient that is not finite is that of encoder.";
    assert!(fault.starts_with(said), "{fault}");
    assert!(
        fault.contains("training stopped\nhint: the last checkpoint is intact; try a lower `schedule.lr`")
    );
}

#[test]
fn several_devices_are_refused() {
    let fault = bench(&shard()).fault(&["vqgan.toml", "-q", "--devices", "cpu,cpu"]);
    insta::assert_snapshot!(fault, @"
    exit 2
    error: this kind does not train over several processes or devices yet
    hint: start it without `mpirun`, with one `run.device`
    ");
}

#[test]
fn weights_of_lpips_that_are_missing_are_named_before_the_first_step() {
    let bench = bench(&shard());
    let lpips = "loss.lpips={ weights = 'nowhere.pth' }";
    let fault = bench.fault(&["vqgan.toml", "-q", "--set", "data.image_size=16", "--set", lpips]);
    insta::assert_snapshot!(fault, @"
    exit 2
    error: nowhere.pth: No such file or directory (os error 2)
    ");
}

#[test]
fn a_codec_is_exported_from_any_checkpoint() {
    let bench = bench(&shard());
    bench.ok(&["vqgan.toml", "-q", "--set", "run.steps=6"]);
    assert_eq!(bench.ok(&["export", "run", "--out", "codec.safetensors"]), "codec.safetensors\n");
    let [exported, model] = ["codec", "run/model/vqgan"]
        .map(|name| ["safetensors", "toml"].map(|ending| sha256(&bench.path(&format!("{name}.{ending}")))));
    assert_eq!(exported, model);
    bench.ok(&["export", "run", "--out", "early.safetensors", "--step", "3", "--full"]);
    let early = std::fs::metadata(bench.path("early.safetensors")).unwrap().len();
    let half = std::fs::metadata(bench.path("codec.safetensors")).unwrap().len();
    assert!(early > half + half / 2, "{early} {half}");
    let fault = bench.fault(&["export", "run", "--out", "codec.safetensors", "--step", "4"]);
    insta::assert_snapshot!(fault, @"
    exit 2
    error: run: no checkpoint of step 4; there are 3, 6
    ");
    insta::assert_snapshot!(bench.fault(&["export", "run"]), @"
    exit 2
    error: nothing to export: give --out, --reconstructions or both
    ");
}

/// Names and hashes of the PNG files in a folder.
fn pictures(dir: &std::path::Path) -> Vec<(String, String)> {
    let mut found: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), sha256(&path)))
        .collect();
    found.sort();
    found
}

#[test]
fn reconstructions_are_two_folders_of_equal_names_and_continue() {
    let bench = bench(&shard());
    bench.ok(&["vqgan.toml", "-q", "--set", "run.steps=3"]);
    bench.ok(&["export", "run", "--reconstructions", "held"]);
    let held = pictures(&bench.path("held/original"));
    assert_eq!(held.len(), 4, "the held-out pictures of the run");
    let all = [
        "export",
        "run/model/vqgan.safetensors",
        "--reconstructions",
        "all",
        "--pairs",
        "pairs",
        "--image-size",
        "8",
    ];
    // Lines of progress come before it.
    let told = |bench: &Bench| -> serde_json::Value {
        let lines = bench.ok(&[&all[..], &["--json"]].concat());
        serde_json::from_str(lines.lines().last().unwrap()).unwrap()
    };
    let said = told(&bench);
    assert_eq!((said["pictures"].as_u64(), said["written"].as_u64()), (Some(12), Some(12)));
    let [original, drawn] =
        ["original", "reconstruction"].map(|name| pictures(&bench.path("all").join(name)));
    let names = |files: &[(String, String)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&original), names(&drawn));
    assert_eq!(names(&original)[11], "00000011.png");
    // The run's held-out pictures are the last four.
    let hashes = |files: &[(String, String)]| files.iter().map(|(_, hash)| hash.clone()).collect::<Vec<_>>();
    assert_eq!(hashes(&held), hashes(&original[8..]));
    // As if it had been stopped between two files.
    for name in ["original/00000003.png", "reconstruction/00000003.png", "reconstruction/00000007.png"] {
        std::fs::remove_file(bench.path("all").join(name)).unwrap();
    }
    let again = told(&bench);
    assert_eq!((again["written"].as_u64(), again["psnr"].as_f64()), (Some(2), said["psnr"].as_f64()));
    assert_eq!(pictures(&bench.path("all/reconstruction")), drawn);
    let fault = bench.fault(&["export", "run", "--reconstructions", "all"]);
    insta::assert_snapshot!(fault, @"
    exit 2
    error: all holds reconstructions by another codec or of other pictures
    hint: write into another folder, or remove this one
    ");
}

#[test]
fn a_pair_shard_that_is_cut_short_is_named() {
    let shard = shard();
    let fault = bench(&shard[..shard.len() / 2]).fault(&["vqgan.toml"]);
    let expected = "exit 2\nerror: pairs/00000.parquet: not a readable Parquet file: ";
    assert!(fault.starts_with(expected), "{fault}");
    assert!(fault.contains("\nhint: the file may be cut short"), "{fault}");
}
