//! `train vqgan.toml` on pair shards made by hand: kill and resume, and a shard that is cut short.

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

#[test]
fn a_codec_killed_and_resumed_equals_one_that_never_stopped() {
    let shard = shard();
    let straight = bench(&shard);
    straight.ok(&["vqgan.toml", "-q"]);
    let killed = bench(&shard);
    // Before the discriminator counts, while its weight rises, and when all of it counts.
    for (checkpoint, delay) in [("step-0000003", 0), ("step-0000012", 5), ("step-0000060", 2)] {
        let mut child = killed.spawn(&["vqgan.toml"]);
        killed.wait_for(&format!("run/checkpoints/{checkpoint}"));
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!killed.path("run/model").exists(), "killed before its end");
    }
    killed.ok(&["resume", "run", "-q"]);
    for file in [
        "checkpoints/step-0000120/model.safetensors",
        "checkpoints/step-0000120/optim.safetensors",
        "checkpoints/step-0000120/discriminator.safetensors",
        "checkpoints/step-0000120/discriminator_optim.safetensors",
        "checkpoints/step-0000120/idle.txt",
        "model/vqgan.safetensors",
        "samples/step-0000060.png",
    ] {
        let of = |bench: &Bench| sha256(&bench.path("run").join(file));
        assert_eq!(of(&killed), of(&straight), "{file}");
    }
    assert_eq!(killed.metrics(), straight.metrics());
    assert!(straight.metrics().contains("discriminator"), "it never counted: {}", straight.metrics());
}

#[test]
fn a_pair_shard_that_is_cut_short_is_named() {
    let shard = shard();
    let fault = bench(&shard[..shard.len() / 2]).fault(&["vqgan.toml"]);
    let expected = "exit 2\nerror: pairs/00000.parquet: not a readable Parquet file: ";
    assert!(fault.starts_with(expected), "{fault}");
    assert!(fault.contains("\nhint: the file may be cut short"), "{fault}");
}
