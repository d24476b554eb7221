//! `train caption`, `classify`, `answer` and `write`: what a model says.

use super::*;

#[test]
fn candidates_are_counted_ranked_and_kept_as_a_shard() {
    let bench = Bench::new();
    bench.ok(&["tiny.toml", "-q"]);
    bench.ok(&["sample", "run", "--prompt", "red cat", "--n", "2", "--out", "a.png", "-q"]);
    let args = ["caption", "run", "a.png", "a.png", "--candidates", "24", "--best", "9", "--json"];
    let json = bench.ok(&[&args[..], &["--out", "said.parquet"]].concat());
    let records: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let captions: Vec<_> = records.iter().filter(|record| record["type"] == "caption").collect();
    let scores: Vec<_> = captions.iter().map(|record| record["score"].as_f64().unwrap()).collect();
    assert!(captions.len() >= 2, "{json}");
    // One run of rising scores for each picture.
    assert!(scores.windows(2).filter(|pair| pair[0] > pair[1]).count() <= 1, "{scores:?}");
    let shard = bench.path("said.parquet");
    let reader = tokenize::tokens::TokenReader::open(&shard).unwrap();
    let rows = reader.collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(rows.len(), captions.len());
    assert_eq!(rows[0].caption.as_deref(), captions[0]["caption"].as_str());
    assert_eq!(rows[0].extra["rank"].as_int(), Some(1));
    assert!(rows.iter().all(|row| row.codes.as_ref().is_some_and(|codes| codes.len() == 16)));
    // A template begins every caption; batches decide nothing.
    let said = |batch: &str| {
        let args = ["--candidates", "6", "--best", "6", "--template", "red", "--batch", batch, "-q"];
        bench.ok(&[&["caption", "run", "a.png"][..], &args].concat())
    };
    assert_eq!(said("1"), said("5"));
    assert!(said("4").lines().all(|line| line.starts_with("a.png\tred")), "{}", said("4"));
}

#[test]
fn pictures_are_classified_questions_answered_and_texts_continued() {
    let bench = Bench::new();
    bench.ok(&["tiny.toml", "-q", "--set", "model.text_special=8"]);
    bench.ok(&["sample", "run", "--prompt", "red cat", "--n", "1", "--out", "a.png", "-q"]);
    pipeline::atomic::write(bench.path("classes.txt"), "\u{feff}red cat\r\n\nblue dog\n").unwrap();
    let from_file = bench.ok(&["classify", "run", "a.png", "--classes", "classes.txt", "--scores", "-q"]);
    let named = ["--class", "red cat", "--class", "blue dog", "--scores", "-q"];
    assert_eq!(from_file, bench.ok(&[&["classify", "run", "a.png"][..], &named].concat()));
    assert_eq!(from_file.trim().split('\t').count(), 4, "{from_file}");
    let json = bench.ok(&["classify", "run", "a.png", "--classes", "classes.txt", "--json"]);
    let record: serde_json::Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
    let scores: Vec<_> = (0..2).map(|at| record["scores"][at]["score"].as_f64().unwrap()).collect();
    assert!((scores[0] + scores[1] - 1.0).abs() < 1e-5 && record["type"] == "class", "{record}");
    let label = usize::from(scores[1] < scores[0]);
    assert_eq!(record["label"].as_u64(), Some(label as u64), "the lowest score is the label");
    let ask = |args: &[&str]| bench.ok(&[&["answer", "run", "--question", "red?", "-q"][..], args].concat());
    assert_eq!(ask(&["a.png", "a.png"]).lines().filter(|line| line.starts_with("a.png\t")).count(), 2);
    assert_eq!(ask(&["--context", "a red cat"]).lines().count(), 1);
    let written = bench.ok(&["write", "run", "--prompt", "red", "-n", "5", "--scores", "-q"]);
    let counts: usize =
        written.lines().map(|line| line.rsplit('\t').next().unwrap().parse::<usize>().unwrap()).sum();
    assert!(written.lines().all(|line| line.starts_with("red")) && counts == 5, "{written}");
    assert_eq!(
        written,
        bench.ok(&["write", "run", "--prompt", "red", "-n", "5", "--scores", "-q", "--batch", "2"])
    );
    bench.ok(&["write", "run", "--prompt", "", "-q"]);
}

#[test]
fn what_cannot_be_said_has_a_cure() {
    let bench = Bench::new();
    bench.ok(&["tiny.toml", "-q"]);
    bench.ok(&["sample", "run", "--prompt", "red cat", "--out", "a.png", "-q"]);
    insta::assert_snapshot!(bench.fault(&["classify", "run", "a.png", "-q"]), @"
    exit 2
    error: no classes to choose from
    hint: give at least two, with --class or --classes FILE
    ");
    insta::assert_snapshot!(bench.fault(&["classify", "run", "a.png", "--class", "cat", "-q"]), @"
    exit 2
    error: one class is no choice
    hint: give at least two, with --class or --classes FILE
    ");
    let two = ["--class", "cat", "--class", "dog", "-q"];
    let fault = bench.fault(&[&["classify", "run", "a.png", "--template", "a cat"][..], &two].concat());
    insta::assert_snapshot!(fault, @r#"
    exit 2
    error: --template: "a cat" does not say where the class goes
    hint: write {} in its place, as in --template 'на картинке {}'
    "#);
    insta::assert_snapshot!(bench.fault(&["answer", "run", "--question", "who?", "-q"]), @"
    exit 2
    error: tokens.left_question: 6 is not below text_special 6; the model knows no questions
    hint: fine-tune a model with at least 8 special tokens on questions, or name the ids that it was taught with --left-token and --right-token
    ");
    insta::assert_snapshot!(bench.fault(&["answer", "run", "--question", " ", "-q"]), @"
    exit 2
    error: --question: is empty
    hint: ask something
    ");
    insta::assert_snapshot!(bench.fault(&["caption", "run", "a.png", "--candidates", "0", "-q"]), @"
    exit 2
    error: --candidates: must be at least 1
    ");
    insta::assert_snapshot!(bench.fault(&["caption", "run", "tiny.toml", "-q"]), @"
    exit 2
    error: tiny.toml: the body is no image (an HTML page, text, …)
    hint: PNG, JPEG, WebP, GIF, BMP and TIFF are read; leave the file out, or convert it
    ");
    // What does not fit is cut and said.
    let long = "red cat ".repeat(9);
    let output = bench.run(&["classify", "run", "a.png", "--class", &long, "--class", "dog"]);
    assert!(stderr(&output).contains("1 of 2 classes do not fit into model.right = 8 and are cut"));
    let output = bench.run(&["write", "run", "--prompt", &long]);
    assert!(stderr(&output).contains("1 of 1 prompts do not fit into model.left = 8 and are cut"));
    // A model that has no right text.
    let config = train::dalle::DalleConfig {
        layers: 1,
        dim: 16,
        heads: 2,
        text: 8,
        grid: 4,
        kernel: 3,
        text_vocab: 40,
        image_vocab: 16,
        ..train::dalle::DalleConfig::default()
    };
    config.init(&Device::flex()).save(&bench.path("run/model/weights.safetensors")).unwrap();
    let config = train::model::ModelConfig::Dalle(config).to_toml().unwrap();
    pipeline::atomic::write(bench.path("run/model/model.toml"), config).unwrap();
    insta::assert_snapshot!(bench.fault(&["caption", "run", "a.png", "-q"]), @"
    exit 2
    error: a model of kind dalle cannot caption
    hint: it has no text after the image; models of kind rudolph have
    ");
}

#[test]
fn odd_prompts_and_pictures_are_taken_or_refused_but_never_crash() {
    let bench = Bench::new();
    bench.ok(&["tiny.toml", "-q"]);
    let long = "red cat ".repeat(1250);
    for prompt in [long.as_str(), "", "☃ 猫 \u{0}"] {
        let prompt = prompt.replace('\0', "\u{1}");
        bench.ok(&["sample", "run", "--prompt", &prompt, "--out", "odd.png", "-q"]);
    }
    let dot = pipeline::picture::Picture::filled(1, 1, [9, 9, 9]);
    pipeline::atomic::write(bench.path("dot.png"), train::run::png(&dot).unwrap()).unwrap();
    assert!(bench.ok(&["caption", "run", "dot.png", "-q"]).starts_with("dot.png\t"));
    pipeline::atomic::write(bench.path("text.png"), "no picture").unwrap();
    let fault = bench.fault(&["caption", "run", "text.png", "-q"]);
    assert!(fault.starts_with("exit 2\nerror: text.png: "), "{fault}");
    let fault = bench.fault(&["sample", "run", "--prompt", "x", "--temperature", "0", "-q"]);
    insta::assert_snapshot!(fault, @"
    exit 2
    error: temperature: 0 is not above 0
    ");
}
