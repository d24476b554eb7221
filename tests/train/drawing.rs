//! `train sample` and `train continue` as a user sees them: folders, tables, ranking, memory, and bad input.

use pipeline::picture::Picture;
use serde_json::Value;
use tokenize::codec::Codec;
use tokenize::tokens::TokenReader;

use super::{Bench, sha256, stderr, world};

fn trained() -> Bench {
    let bench = Bench::new();
    bench.ok(&["tiny.toml", "-q"]);
    bench
}

fn records(text: &str) -> Vec<Value> {
    let all = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|record| record["type"] == "drawing").collect()
}

/// Writes a picture whose left half is dark.
fn picture(bench: &Bench, name: &str) {
    let mut picture = Picture::filled(40, 30, [200, 120, 40]);
    picture.paste(&Picture::filled(20, 30, [20, 40, 60]), 0, 0);
    pipeline::atomic::write(bench.path(name), train::run::png(&picture).unwrap()).unwrap();
}

#[test]
fn a_folder_gets_a_picture_each_and_a_token_shard() {
    let bench = trained();
    let prompts = ["--prompt", "red cat", "--prompt", "blue dog"];
    let args =
        [&["sample", "run"][..], &prompts, &["--candidates", "5", "--keep", "2", "--json", "--out", "d/"]];
    let records = records(&bench.ok(&args.concat()));
    assert_eq!(records.len(), 4);
    assert_eq!(records[3]["file"], "d/00003.png");
    let scores: Vec<_> = records.iter().map(|record| record["score"].as_f64().unwrap()).collect();
    assert!(scores[0] <= scores[1] && scores[2] <= scores[3], "the best first: {scores:?}");
    assert!(records.iter().all(|record| record["text_perplexity"].as_f64().unwrap() > 1.0));
    let reader = TokenReader::open(bench.path("d/drawings.parquet")).unwrap();
    let rows = reader.map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!(
        rows.iter().map(|row| row.caption.as_deref().unwrap()).collect::<Vec<_>>(),
        ["red cat", "red cat", "blue dog", "blue dog"]
    );
    assert!(rows.iter().zip(&records).all(|(row, record)| {
        let (score, stream) = (&row.extra["score"], &row.extra["stream"]);
        serde_json::to_value(stream).unwrap() == record["stream"]
            && (serde_json::to_value(score).unwrap().as_f64().unwrap() - record["score"].as_f64().unwrap())
                .abs()
                < 1e-6
    }));
    // The codes of the table are the pictures.
    let codec = Codec::load(&world().join("codec.safetensors"), &burn::tensor::Device::flex()).unwrap();
    let codes = rows.iter().map(|row| row.codes.clone().unwrap()).collect::<Vec<_>>();
    let decoded = train::run::png(&codec.decode(&codes, 4).unwrap()[2]).unwrap();
    assert_eq!(decoded, std::fs::read(bench.path("d/00002.png")).unwrap());
    // A drawing is its seed and its stream: the best of five is one of five.
    let args = [&["sample", "run"][..], &prompts[..2], &["--n", "5", "--out", "all/", "-q", "--batch", "2"]];
    assert_eq!(bench.ok(&args.concat()).lines().count(), 5);
    let best = records[0]["stream"].as_u64().unwrap();
    assert_eq!(sha256(&bench.path("d/00000.png")), sha256(&bench.path(&format!("all/{best:05}.png"))));
}

#[test]
fn a_short_memory_splits_the_batch_and_changes_nothing() {
    let bench = trained();
    let draw = |memory: &[&str], out: &str| {
        let args = ["sample", "run", "--prompt", "red cat", "--n", "6", "--out", out];
        let output = bench.run(&[&args[..], memory].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        (sha256(&bench.path(out)), stderr(&output))
    };
    let (whole, talk) = draw(&[], "a.png");
    assert!(talk.contains("memory: ") && talk.contains(" for 6 at a time: keys and values "), "{talk}");
    let (split, talk) = draw(&["--memory", "0.00004"], "b.png");
    assert!(talk.contains("at a time and not 6, to fit into memory"), "{talk}");
    assert_eq!(whole, split);
}

#[test]
fn the_rest_of_a_picture_is_drawn() {
    let bench = trained();
    picture(&bench, "cat.png");
    let args = ["continue", "run", "cat.png", "--prompt", "red cat", "--out", "c/", "--json", "-n", "2"];
    let found = records(&bench.ok(&args));
    assert_eq!(found.len(), 2);
    assert_eq!(
        (found[0]["picture"].as_str(), found[0]["prompt"].as_str()),
        (Some("cat.png"), Some("red cat"))
    );
    assert!(found[0]["pixel_error"].as_f64().unwrap() > 0.0);
    // The upper half is what the codec makes of the picture, in every continuation.
    let rows = |dir: &str| {
        let reader = TokenReader::open(bench.path(&format!("{dir}/drawings.parquet"))).unwrap();
        reader.map(|row| row.unwrap().codes.unwrap()).collect::<Vec<_>>()
    };
    let codec = Codec::load(&world().join("codec.safetensors"), &burn::tensor::Device::flex()).unwrap();
    let bytes = std::fs::read(bench.path("cat.png")).unwrap();
    let whole = codec.encode(&[codec.preprocess().bytes(&bytes, 8).unwrap()]).unwrap().remove(0);
    assert!(rows("c").iter().all(|codes| codes[..8] == whole[..8]));
    let borders = ["--down", "1", "--left", "1", "--crop-first"];
    bench.ok(&[&["continue", "run", "cat.png", "--out", "e/", "-q"][..], &borders].concat());
    assert_eq!(rows("e")[0].len(), 16);
    bench.ok(&["continue", "run", "cat.png", "--keep", "5", "--out", "f/", "-q"]);
    assert_eq!(rows("f")[0][..5], whole[..5]);
}

#[test]
fn what_cannot_be_drawn_says_why() {
    let bench = trained();
    picture(&bench, "cat.png");
    pipeline::atomic::write(bench.path("text.png"), "no picture").unwrap();
    let fault = |args: &[&str]| bench.fault(&[args, &["-q"]].concat());
    let continued = |more: &[&str]| fault(&[&["continue", "run", "cat.png"][..], more].concat());
    insta::assert_snapshot!(continued(&["--up", "5"]), @"
    exit 2
    error: --up: a border of 5 codes is larger than the grid of 4 x 4
    hint: at most 4; 2 is half of it
    ");
    insta::assert_snapshot!(continued(&["--up", "0"]), @"
    exit 2
    error: nothing of the picture is given: the prompt is empty
    hint: 8 codes are half of the grid of 4 x 4: `--up 2`
    ");
    insta::assert_snapshot!(continued(&["--up", "4"]), @"
    exit 2
    error: all of the picture is given: there is nothing left to draw
    hint: 8 codes are half of the grid of 4 x 4: `--up 2`
    ");
    insta::assert_snapshot!(continued(&["--keep", "17"]), @"
    exit 2
    error: --keep: 17 codes are more than the 16 of a picture
    hint: below 16; 8 is half of it
    ");
    assert!(fault(&["continue", "run", "text.png"]).starts_with("exit 2\nerror: text.png: "));
    insta::assert_snapshot!(fault(&["sample", "run"]), @"
    exit 2
    error: --prompt is missing: a model of kind rudolph draws what a text says
    hint: give it with `--prompt TEXT`; an empty one is allowed
    ");
    insta::assert_snapshot!(fault(&["sample", "run", "--prompt", "x", "--candidates", "2", "--n", "3"]), @"
    exit 2
    error: --candidates: 2 are fewer than the 3 to keep
    hint: at least 3, or a lower `--n`
    ");
    let guided = ["sample", "run", "--prompt", "x", "--guidance-form", "mix", "--guidance", "2"];
    insta::assert_snapshot!(fault(&guided), @"
    exit 2
    error: guidance: 2 is no share of probabilities, not in 0..=1
    hint: the form `logits` takes any number
    ");
}

#[test]
fn prompts_that_are_cut_or_empty_are_counted() {
    let bench = trained();
    let long = "red cat ".repeat(20);
    let prompts = ["--prompt", &long, "--prompt", "red cat", "--prompt", ""];
    let output = bench.run(&[&["sample", "run", "--out", "a.png", "--json"][..], &prompts].concat());
    let talk = stderr(&output);
    assert!(
        talk.contains(" of 3 prompts do not fit into the model's text of 8 positions and are cut"),
        "{talk}"
    );
    assert!(talk.contains("1 of 3 prompts are empty"), "{talk}");
    let found = records(&String::from_utf8(output.stdout).unwrap());
    assert!(found[0]["truncated"].as_u64() >= Some(1));
    assert_eq!(found[0]["drawings"][0]["truncated"], true);
}

#[test]
fn published_settings_are_chosen_by_name() {
    let bench = trained();
    let draw = |more: &[&str]| {
        let args = ["sample", "run", "--prompt", "red cat", "--out", "p.png", "-q"];
        bench.ok(&[&args[..], more].concat());
        sha256(&bench.path("p.png"))
    };
    assert_eq!(draw(&["--preset", "rudalle-8"]), draw(&["--top-k", "128", "--top-p", "0.95"]));
    assert_eq!(draw(&["--preset", "rudalle-8", "--top-k", "1"]), draw(&["--top-k", "1"]));
    draw(&["--guidance-form", "late-softmax"]);
    let fault = bench.fault(&["sample", "run", "--prompt", "x", "--preset", "rudale-8"]);
    assert!(fault.contains("rudalle-8"), "{fault}");
}
