//! `train dalle.toml`, the mix of tasks and fine-tuning, as a user meets them.

use std::collections::BTreeMap;

use tokenize::bpe::Bpe;
use tokenize::tokens::{Column, TokenMeta, TokenRow, TokenWriter};

use super::{Bench, sha256, stderr, world};

/// A DALL·E of a few thousand weights on the world of `train.rs`.
fn dalle() -> Bench {
    let bench = Bench::new();
    let text = std::fs::read_to_string(bench.path("tiny.toml")).unwrap();
    let text = text
        .replace("kind = 'rudolph'", "kind = 'dalle'")
        .replace("left = 8\n", "text = 8\n")
        .replace("right = 8\n", "")
        .replace("last_kernel = 3\n", "")
        .replace("text_special = 6\n", "")
        .replace("image_special = 0\n", "")
        + "[tasks.text_to_image]\ntext_dropout = 0.25\n";
    pipeline::atomic::write(bench.path("tiny.toml"), text).unwrap();
    bench
}

#[test]
fn dalle_is_trained_resumed_bit_for_bit_and_draws() {
    is_resumed_and_draws(&[]);
}

#[test]
fn the_same_with_a_mean_of_the_weights_and_another_optimizer() {
    is_resumed_and_draws(&["--set", "average.decay=0.9", "--set", "optim.kind=adafactor"]);
}

fn is_resumed_and_draws(sets: &[&str]) {
    let (straight, killed) = (dalle(), dalle());
    let command = [&["tiny.toml", "--set", "run.steps=60"], sets].concat();
    let output = straight.run(&command);
    let talk = stderr(&output);
    assert!(output.status.success() && talk.contains("training dalle in run"), "{talk}");
    let mut child = killed.spawn(&command);
    killed.wait_for("run/checkpoints/step-0000030");
    child.kill().unwrap();
    child.wait().unwrap();
    killed.ok(&["resume", "run", "-q"]);
    assert_eq!((straight.weights(), straight.metrics()), (killed.weights(), killed.metrics()));
    let model = std::fs::read_to_string(straight.path("run/model/model.toml")).unwrap();
    assert!(model.starts_with("kind = \"dalle\"\n"), "{model}");
    assert!(straight.path("run/samples/step-0000060.png").is_file());
    let draw = |from: &str, out: &str| {
        straight.ok(&["sample", from, "--prompt", "red cat", "--seed", "3", "--out", out, "-q"]);
        sha256(&straight.path(out))
    };
    let finished = draw("run/model", "a.png");
    std::fs::rename(straight.path("run/model"), straight.path("moved")).unwrap();
    assert_eq!(finished, draw("run", "b.png"), "the newest checkpoint is the finished model");
    let error = straight.fault(&["caption", "moved", "a.png", "-q"]);
    assert!(error.contains("kind dalle cannot"), "{error}");
}

#[test]
fn a_finished_model_is_tuned_and_gives_its_own_shape() {
    let bench = dalle();
    bench.ok(&["tiny.toml", "-q"]);
    let text = std::fs::read_to_string(bench.path("tiny.toml")).unwrap();
    let (head, rest) = text.split_once("[model]").unwrap();
    let (_, tail) = rest.split_once("dropout = 0.1\n").unwrap();
    let tuned = head.replace("out = 'run'", "out = 'tuned'").replace("[run]", "from = 'run'\n[run]") + tail;
    pipeline::atomic::write(bench.path("tune.toml"), &tuned).unwrap();
    bench.ok(&["tune.toml", "-q", "--set", "schedule.lr=0.0"]);
    let weights = |run: &str| sha256(&bench.path(&format!("{run}/model/weights.safetensors")));
    assert_eq!(weights("run"), weights("tuned"), "a rate of 0 changes nothing");
    let shown = bench.ok(&["show", "tune.toml"]);
    assert!(shown.contains("dim = 16"), "{shown}");
    insta::assert_snapshot!(bench.fault(&["tune.toml", "--set", "model.dim=32", "--set", "model.layers=3"]), @"
    exit 2
    error: run is another model than the configuration says:
      model.dim: 32 here, 16 there
      model.layers: 3 here, 2 there
    hint: leave these keys out, or start from weights of that shape
    ");
    let rudolph = tuned.replace("kind = 'dalle'", "kind = 'rudolph'");
    pipeline::atomic::write(bench.path("rudolph.toml"), rudolph).unwrap();
    insta::assert_snapshot!(bench.fault(&["rudolph.toml"]), @"
    exit 2
    error: from: run: a model of kind dalle, not rudolph
    ");
}

/// Shards of texts alone, with questions: `texts/` beside the configuration.
fn texts(bench: &Bench) {
    let bpe = Bpe::load(world().join("bpe.json")).unwrap();
    let meta = TokenMeta {
        bpe_kind: "hf-bpe".into(),
        bpe_sha256: bpe.sha256().into(),
        vocab_size: bpe.vocab_size(),
        // As the world's shards were made; the vocabulary's file does not say.
        lowercase: true,
        ..TokenMeta::default()
    };
    let path = bench.path("texts/00000.parquet");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let extra = ["split", "question", "answer"].map(Column::text);
    let file = pipeline::atomic::AtomicFile::create(&path).unwrap();
    let mut writer = TokenWriter::new(file, &path, &meta, &extra).unwrap();
    for row in 0..4 {
        let mut columns = BTreeMap::from([("split".to_owned(), "train".into())]);
        let question = row >= 2;
        if question {
            columns.insert("question".into(), "a red cat or a blue dog or a green one".into());
            columns.insert("answer".into(), "red".into());
        }
        let row = TokenRow {
            key: row.to_string(),
            text_ids: (!question).then(|| bpe.encode("a black dog")),
            extra: columns,
            ..TokenRow::default()
        };
        writer.push(row).unwrap();
    }
    writer.finish().unwrap().commit().unwrap();
}

#[test]
fn a_mix_of_tasks_takes_images_texts_and_questions() {
    let bench = Bench::new();
    texts(&bench);
    let world = world().display();
    let text = std::fs::read_to_string(bench.path("tiny.toml")).unwrap();
    // The world's shard has no questions, so the folder of texts stands alone.
    let alone = text
        .replace(&format!("{world}/tokens"), "texts")
        .replace("held_out = { split = 'test' }\n", "")
        .replace("text_special = 6", "text_special = 8")
        + "[tasks]\ntext_to_text = 1\ntext_question = { weight = 1, left = '{question}' }\n";
    pipeline::atomic::write(bench.path("alone.toml"), alone).unwrap();
    let output = bench.run(&["alone.toml", "--set", "samples.prompts=['red cat']"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let cut = "2 of 2 left texts of the task text_question do not fit into model.left = 8 and are cut";
    assert!(stderr(&output).contains(cut), "{}", stderr(&output));
    let metrics = bench.metrics();
    assert!(metrics.contains("text_to_text/left") && metrics.contains("text_question/right"), "{metrics}");
    // Images and paragraphs together.
    let both = text + "[tasks]\ntext_to_image = 0.5\nimage_to_text = 0.25\ntext_to_text = 0.25\n";
    pipeline::atomic::write(bench.path("both.toml"), both).unwrap();
    let sets = ["--set", "data.texts=texts", "--set", "run.out=both", "--set", "data.held_out={}"];
    let output = bench.run(&[&["both.toml"][..], &sets].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("10 training rows, 6 images"), "{}", stderr(&output));
    let fault = |sets: &[&str]| bench.fault(&[&["tiny.toml", "--set", "run.out=none"], sets].concat());
    insta::assert_snapshot!(fault(&["--set", "tasks.text_to_text=1"]), @"
    exit 2
    error: [world]/tokens: no row with {caption}, without an image
    hint: leave the task text_to_text out of `[tasks]`, or name other shards
    ");
    insta::assert_snapshot!(fault(&["--set", "tasks.visual_question=1"]), @"
    exit 2
    error: tasks.visual_question.left_token: 6 is not below model.text_special 6
    hint: name one of the model's special tokens, counted from the first
    ");
    let sets = ["--set", "tasks.visual_question=1", "--set", "model.text_special=8"];
    insta::assert_snapshot!(fault(&sets), @"
    exit 2
    error: [world]/tokens/00000.parquet: no column `question` for a text; extra columns: split
    hint: pass it through with `tokenize shards --columns question`
    ");
}
