//! Fine-tuning of the published containers in `train/tests/golden`: the first loss is the published code's.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use serde_json::Value;
use tokenize::bpe::Bpe;
use tokenize::codec::Codec;
use tokenize::tokens::{TokenMeta, TokenRow, TokenWriter};

use super::{DalleTask, ModelTable, RudolphTask, TaskMix};
use crate::dalle::DalleConfig;
use crate::objective::LossLayout;
use crate::rudolph::RudolphConfig;
use crate::run::{Learner, RunConfig, Task};
use crate::schedule::Schedule;
use crate::token_task::{DataConfig, TextImageConfig, TokenTask};

pub(super) struct Golden {
    dir: tempfile::TempDir,
    folder: PathBuf,
    case: Value,
}

impl Golden {
    pub(super) fn open(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
        let case = std::fs::read(folder.join("case.json")).unwrap();
        Self { dir: tempfile::tempdir().unwrap(), folder, case: serde_json::from_slice(&case).unwrap() }
    }

    fn number(&self, key: &str) -> usize {
        self.case["config"][key].as_u64().unwrap() as usize
    }

    fn expected(&self, pointer: &str) -> f64 {
        self.case["expected"].pointer(pointer).unwrap().as_f64().unwrap()
    }

    /// The rows of `input_ids`.
    fn sequences(&self) -> Vec<Vec<i64>> {
        let bytes = std::fs::read(self.folder.join("io.safetensors")).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let ids = file.tensor("input_ids").unwrap();
        let number = |bytes: &[u8]| i64::from_le_bytes(bytes.try_into().unwrap());
        let ids: Vec<_> = ids.data().chunks_exact(8).map(number).collect();
        ids.chunks(ids.len() / 3).map(<[i64]>::to_vec).collect()
    }

    /// A shard of `(text, codes)` rows with a codec and a vocabulary that made it.
    fn data(&self, rows: &[(&[i64], &[i64])]) -> DataConfig {
        let path = |name: &str| self.dir.path().join(name);
        let codes = self.number("image_vocab_size");
        let codec = crate::convert::tests::codec(self.dir.path(), codes);
        let bpe = Bpe::train(["red cat"].iter(), 40).unwrap();
        bpe.save(path("bpe.json")).unwrap();
        let meta = TokenMeta {
            codec_sha256: Codec::load(&codec, &Device::flex()).unwrap().sha256,
            codebook_size: codes,
            grid: self.number("image_tokens_per_dim"),
            downsampling: 2,
            bpe_sha256: bpe.sha256().into(),
            vocab_size: self.number("bpe_vocab_size"),
            ..TokenMeta::default()
        };
        let shard = path("tokens.parquet");
        let file = pipeline::atomic::AtomicFile::create(&shard).unwrap();
        let mut writer = TokenWriter::new(file, &shard, &meta, &[]).unwrap();
        for (row, (text, codes)) in rows.iter().enumerate() {
            let row = TokenRow {
                key: row.to_string(),
                text_ids: Some(text.iter().map(|id| *id as u32).collect()),
                codes: Some(codes.iter().map(|code| *code as u16).collect()),
                ..TokenRow::default()
            };
            writer.push(row).unwrap();
        }
        writer.finish().unwrap().commit().unwrap();
        DataConfig {
            tokens: shard,
            codec,
            bpe: path("bpe.json"),
            batch_size: rows.len(),
            ..DataConfig::default()
        }
    }

    /// Fine-tuning of the published container.
    pub(super) fn task<C: TextImageConfig>(&self, model: C, tasks: &str, data: DataConfig) -> TokenTask<C> {
        TokenTask {
            from: Some(self.folder.join("pytorch_model.bin")),
            run: RunConfig { steps: 2, ..RunConfig::default() },
            data,
            model: ModelTable::from(model),
            tasks: toml::from_str::<TaskMix>(tasks).unwrap(),
            schedule: Schedule { lr: 1e-3, warmup: 0, ..Schedule::default() },
            ..TokenTask::default()
        }
    }

    /// Two steps from the published container: the first loss is the case's, the second lower.
    fn tune<C: TextImageConfig>(&self, model: C, tasks: &str, data: DataConfig, expected: f64) {
        let task = self.task(model, tasks, data);
        let mut learner = task.learner(&Device::flex().autodiff()).unwrap();
        let losses = [0, 1].map(|step| learner.step(step).unwrap().metrics.get("loss").unwrap());
        assert!((losses[0] - expected).abs() <= 1e-4 * (1.0 + expected), "{losses:?} {expected}");
        assert!(losses[1] < losses[0], "{losses:?}");
    }
}

/// The bare ids of a framed text that begins with BOS and `special` tokens.
fn bare(framed: &[i64], special: usize) -> &[i64] {
    let end = framed.iter().rposition(|id| *id != 0).unwrap() + 1;
    let end = if framed[end - 1] == 3 { end - 1 } else { end };
    &framed[1 + special..end]
}

#[test]
fn rudolph_goes_on_where_the_published_code_is() {
    let golden = Golden::open("rudolph");
    let number = |key| golden.number(key);
    let model = RudolphConfig {
        layers: number("num_layers"),
        dim: number("hidden_size"),
        heads: number("num_attention_heads"),
        left: number("l_text_seq_length"),
        grid: number("image_tokens_per_dim"),
        right: number("r_text_seq_length"),
        kernel: number("kernel_size"),
        last_kernel: number("last_kernel_size"),
        text_vocab: number("bpe_vocab_size"),
        text_special: number("text_special_tokens"),
        image_vocab: number("image_vocab_size"),
        image_special: number("image_special_tokens"),
        loss_layout: LossLayout::V3,
        ..RudolphConfig::default()
    };
    let sequences = golden.sequences();
    let image = model.left..model.left + model.grid * model.grid;
    // A drawing with an empty right text, as the published code makes it.
    let drawn = (bare(&sequences[0][..model.left], 1), &sequences[0][image.clone()]);
    let expected = golden.expected("/full.sample_0/loss");
    golden.tune(model.clone(), "text_to_image = { right = '' }", golden.data(&[drawn]), expected);
    // A caption that was cut: one more id is cut again.
    let caption: Vec<i64> = sequences[1][image.end + 2..].iter().copied().chain([5]).collect();
    let captioned = (&caption[..], &sequences[1][image.clone()]);
    let expected = golden.expected("/full.sample_1/loss");
    golden.tune(model.clone(), "image_to_text = 1", golden.data(&[captioned]), expected);
    // The notebook's weights, by the weighted mean of the segments' losses.
    let [left, image, right] = ["l_text_loss", "image_loss", "r_text_loss"]
        .map(|part| golden.expected(&format!("/full.sample_1/{part}")));
    let tasks = "image_to_text = { loss = { left = 0.01, image = 1.0, right = 7.0 } }";
    let expected = (0.01 * left + image + 7.0 * right) / 8.01;
    golden.tune(model, tasks, golden.data(&[captioned]), expected);
}

/// The golden DALL·E's shape, and its sequences as a shard.
pub(super) fn dalle(golden: &Golden, loss_layout: LossLayout) -> (DalleConfig, DataConfig) {
    let number = |key| golden.number(key);
    let model = DalleConfig {
        layers: number("num_layers"),
        dim: number("hidden_size"),
        heads: number("num_attention_heads"),
        text: number("text_seq_length"),
        grid: number("image_tokens_per_dim"),
        kernel: number("conv_kernel"),
        text_vocab: number("bpe_vocab_size"),
        image_vocab: number("image_vocab_size"),
        loss_layout,
        ..DalleConfig::default()
    };
    let sequences = golden.sequences();
    let rows: Vec<_> = sequences.iter().map(|row| row.split_at(model.text)).collect();
    // A text that fills its segment was cut: it has no EOS, and one more id is cut again.
    let texts: Vec<Vec<i64>> = rows
        .iter()
        .map(|(text, _)| match text.last() {
            Some(0) => bare(text, 0).to_vec(),
            _ => text[1..].iter().copied().chain([5]).collect(),
        })
        .collect();
    let rows: Vec<_> = texts.iter().zip(&rows).map(|(text, (_, codes))| (&text[..], *codes)).collect();
    let data = golden.data(&rows);
    (model, data)
}

#[test]
fn dalle_goes_on_where_the_published_code_is() {
    for (name, loss_layout) in [("rudalle-v3", LossLayout::V3), ("rudalle-v2", LossLayout::V2)] {
        let golden = Golden::open(name);
        let (model, data) = dalle(&golden, loss_layout);
        golden.tune(model, "text_to_image = 1", data, golden.expected("/loss"));
    }
}

#[test]
fn tasks_of_both_kinds_have_the_defaults_of_their_models() {
    assert_eq!(RudolphTask::default().run().out, Path::new("runs/rudolph"));
    assert_eq!(DalleTask::default().run().out, Path::new("runs/dalle"));
}
