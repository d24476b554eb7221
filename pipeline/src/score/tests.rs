//! Models of a few bytes over pictures of one colour: `tests/pipeline/models/make.py` says what they compute.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, RecordBatch, StringArray};
use arrow::datatypes::Float32Type;

use super::*;
use crate::pairs::TableWriter;
use crate::picture::{EncodeOptions, Picture, encode};

fn model(name: &str) -> String {
    format!("{}/../tests/pipeline/models/{name}", env!("CARGO_MANIFEST_DIR"))
}

struct Desk(tempfile::TempDir);

/// A picture of one colour, stored without loss.
fn colour(red: u8, green: u8, blue: u8) -> Option<Vec<u8>> {
    Some(encode(&Picture::filled(20, 9, [red, green, blue]), &EncodeOptions::png()).unwrap())
}

impl Desk {
    /// Shards of red, green and blue pictures, one damaged, one missing.
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        let red = [
            ("red", colour(255, 0, 0)),
            ("a blue", colour(0, 0, 255).map(|bytes| bytes[..40].to_vec())),
            ("green", None),
        ];
        let blue = [("Blue", colour(0, 0, 255)), ("red", colour(0, 255, 0))];
        for (index, rows) in [red.as_slice(), blue.as_slice()].into_iter().enumerate() {
            let keys: StringArray = (0..rows.len()).map(|row| Some(format!("{index}{row}"))).collect();
            let captions: StringArray = rows.iter().map(|row| Some(row.0)).collect();
            let pictures: BinaryArray = rows.iter().map(|row| row.1.clone()).collect();
            let columns: [(&str, ArrayRef); 3] =
                [("key", Arc::new(keys)), ("caption", Arc::new(captions)), ("png", Arc::new(pictures))];
            let rows = RecordBatch::try_from_iter(columns).unwrap();
            let mut writer = TableWriter::new(Vec::new(), rows.schema(), "pairs/1", &[], "x").unwrap();
            writer.write(&rows).unwrap();
            let path = desk.0.path().join(format!("in/{index:05}.parquet"));
            crate::atomic::write(path, writer.close().unwrap().0).unwrap();
        }
        desk
    }

    fn place(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn score(&self, out: &str, sets: &[&str]) -> Result<StageSummary> {
        let places = [format!("input.path={}", self.place("in")), format!("output.path={}", self.place(out))];
        let sets: Vec<String> = places.into_iter().chain(sets.iter().map(|set| (*set).to_owned())).collect();
        run(&crate::settings::load(None, &sets)?, &RunOptions::default())
    }

    /// With the model of pictures and these columns.
    fn pictures(&self, out: &str, columns: &str, more: &[&str]) -> Result<StageSummary> {
        let path = format!("models.m.path={}", model("picture.onnx"));
        let columns = format!("models.m.columns={columns}");
        let plain = [
            "models.m.image.size=8",
            "models.m.image.resize_to=8",
            "models.m.image.mean=[0.0,0.0,0.0]",
            "models.m.image.std=[1.0,1.0,1.0]",
        ];
        self.score(out, &[plain.as_slice(), &[&path, &columns], more].concat())
    }

    fn batches(&self, out: &str) -> Vec<RecordBatch> {
        let table = Table::open(&self.place(out)).unwrap();
        (0..table.shards().len()).flat_map(|shard| table.scan(shard).unwrap()).map(Result::unwrap).collect()
    }

    fn numbers(&self, out: &str, column: &str) -> Vec<Option<f32>> {
        let column = |batch: &RecordBatch| -> Vec<Option<f32>> {
            batch.column_by_name(column).unwrap().as_primitive::<Float32Type>().iter().collect()
        };
        self.batches(out).iter().flat_map(column).collect()
    }
}

const COLUMNS: &str = r#"[{name="redder",output="logits",take=1},{name="p",output="probability",take=0},
    {name="softmax",output="logits",take=0,activation="softmax"},{name="vector",take="vector"}]"#;

#[test]
fn scores_stand_before_the_pictures_and_are_null_without_one() {
    let desk = Desk::new();
    let summary = desk.pictures("out", COLUMNS, &[]).unwrap();
    let counts: Vec<_> = summary.counts.iter().map(|(outcome, rows)| (outcome.as_str(), *rows)).collect();
    assert_eq!(counts, [("no_picture", 1), ("scored", 3), ("truncated", 1)]);
    assert_eq!(desk.numbers("out", "redder"), [Some(1.0), None, None, Some(-1.0), Some(0.0)]);
    let p = desk.numbers("out", "p");
    assert!((p[0].unwrap() - 0.268_941_4).abs() < 1e-6 && p[4] == Some(0.5), "{p:?}");
    for (softmax, p) in desk.numbers("out", "softmax").into_iter().zip(p) {
        assert!(softmax.zip(p).is_none_or(|(softmax, p)| (softmax - p).abs() < 1e-6));
    }
    let batches = desk.batches("out");
    let schema = batches[0].schema();
    let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["key", "caption", "redder", "p", "softmax", "vector", "png"]);
    let vectors = batches[1].column_by_name("vector").unwrap().as_fixed_size_list();
    assert_eq!(vectors.value(0).as_primitive::<Float32Type>().values(), &[0.0, 0.0, 1.0, 1.0]);
    assert_eq!((vectors.value_length(), vectors.null_count()), (4, 0));
    let names: Vec<_> =
        std::fs::read_dir(desk.place("out")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("dropped")), "{names:?}");
    assert_eq!(Table::open(&desk.place("out")).unwrap().schema().metadata()["troika.score"], summary.plan_id);
}

#[test]
fn neither_threads_nor_rows_at_a_time_change_a_number() {
    let desk = Desk::new();
    desk.pictures("one", COLUMNS, &["run.threads=1"]).unwrap();
    desk.pictures("four", COLUMNS, &["run.threads=4"]).unwrap();
    let bytes = |out: &str| {
        ["00000.parquet", "00001.parquet"]
            .map(|name| std::fs::read(self::Desk::place(&desk, out) + "/" + name).unwrap())
    };
    assert!(bytes("one") == bytes("four"));
    desk.pictures("three", COLUMNS, &["models.m.batch=3"]).unwrap();
    for (one, three) in desk.batches("one").iter().zip(desk.batches("three")) {
        assert_eq!(one.columns(), three.columns());
    }
}

#[test]
fn a_second_run_is_done_and_another_model_is_another_plan() {
    let desk = Desk::new();
    desk.pictures("out", COLUMNS, &[]).unwrap();
    assert!(desk.pictures("out", COLUMNS, &[]).unwrap().already_done());
    let error = desk.pictures("out", COLUMNS, &["models.m.image.filter=bicubic"]).unwrap_err();
    assert!(matches!(error, Error::OtherPlan { .. }), "{error}");
}

#[test]
fn columns_that_are_there_are_replaced() {
    let desk = Desk::new();
    desk.pictures("once", COLUMNS, &[]).unwrap();
    let again = format!("input.path={}", desk.place("once"));
    desk.pictures("twice", r#"[{name="redder",output="logits",take=0}]"#, &[&again]).unwrap();
    assert_eq!(desk.numbers("twice", "redder"), [Some(0.0), None, None, Some(0.0), Some(0.0)]);
    assert_eq!(desk.numbers("twice", "p"), desk.numbers("once", "p"));
}

#[test]
fn what_does_not_fit_is_told_before_anything_is_made() {
    let desk = Desk::new();
    crate::atomic::write(desk.place("text.onnx"), "not a model").unwrap();
    let fault = |columns: &str, more: &[&str]| desk.pictures("out", columns, more).unwrap_err().to_string();
    let scalar = r#"[{name="x",output="logits"}]"#;
    assert!(fault(scalar, &[]).ends_with("output `logits` has 2 numbers for a row"));
    let index = r#"[{name="x",output="logits",take=2}]"#;
    assert!(fault(index, &[]).ends_with("has 2 numbers for a row, and none of number 2"));
    let error = desk.pictures("out", r#"[{name="x",output="logit",take=1}]"#, &[]).unwrap_err();
    assert!(
        error.to_string().ends_with("no output `logit`; there are: embedding, probability, logits"),
        "{error}"
    );
    assert_eq!(error.hint().unwrap(), "did you mean output = \"logits\"?");
    let layout = fault(COLUMNS, &["models.m.image.layout=nhwc"]);
    assert!(
        layout.ends_with("its input `pixels` is ? × 3 × 8 × 8, the config makes 1 × 8 × 8 × 3"),
        "{layout}"
    );
    let broken = fault(COLUMNS, &[&format!("models.m.path={}", desk.place("text.onnx"))]);
    assert!(broken.contains("text.onnx: cannot be used as a model: "), "{broken}");
    assert!(fault(COLUMNS, &["models.m.path=absent.onnx"]).starts_with("absent.onnx: "));
    let text = fault(COLUMNS, &[&format!("models.m.path={}", model("text.onnx"))]);
    assert!(
        text.ends_with("has the inputs input_ids, attention_mask: one picture or text is given"),
        "{text}"
    );
    let cosine = fault(COLUMNS, &[r#"cosine.c.of=["vector","caption"]"#]);
    assert!(cosine.starts_with("cosine.c.of: `caption` is no column of vectors"), "{cosine}");
    assert!(!std::path::Path::new(&desk.place("out")).exists());
}

#[test]
fn vectors_are_compared_and_need_not_be_stored() {
    let desk = Desk::new();
    let columns = r#"[{name="a",take="vector",store=false},{name="b",output="logits",take="vector"},
        {name="c",take="vector"}]"#;
    desk.pictures("out", columns, &[r#"cosine.same.of=["a","c"]"#, r#"cosine.other.of=["a","b"]"#]).unwrap();
    let same = desk.numbers("out", "same");
    assert!(same[0].is_some_and(|one| (one - 1.0).abs() < 1e-6), "{same:?}");
    assert_eq!(same[1], None);
    assert_eq!(desk.numbers("out", "other"), [None; 5], "vectors of other lengths have no angle");
    let schema = desk.batches("out")[0].schema();
    assert!(schema.field_with_name("a").is_err() && schema.field_with_name("c").is_ok());
}

#[test]
fn captions_are_compared_with_pictures() {
    let desk = Desk::new();
    let (text, tokenizer) = (model("text.onnx"), model("tokenizer.json"));
    let sets = [
        format!("models.t.path={text}"),
        format!("models.t.text={{tokenizer={tokenizer:?},length=6,pad=7}}"),
        r#"models.t.columns=[{name="words",take="vector"}]"#.to_owned(),
        r#"cosine.clip_score.of=["colours","words"]"#.to_owned(),
    ];
    let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
    desk.pictures("out", r#"[{name="colours",take="vector"}]"#, &sets).unwrap();
    let score = desk.numbers("out", "clip_score");
    // (1, 0, 0, 1) and (1, 0, 0, 0), then (0, 0, 1, 1) and (0, 0, 1, 0), then green pixels under `red`.
    let half = 0.5_f32.sqrt();
    for (found, expected) in score.into_iter().zip([Some(half), None, None, Some(half), Some(0.0)]) {
        assert_eq!(found.is_some(), expected.is_some());
        assert!(found.zip(expected).is_none_or(|(found, expected)| (found - expected).abs() < 1e-6));
    }
    let words = desk.batches("out")[0].column_by_name("words").unwrap().clone();
    let second = words.as_fixed_size_list().value(1);
    assert_eq!(
        second.as_primitive::<Float32Type>().values(),
        &[0.0, 0.0, 1.0, 0.0],
        "padding does not count"
    );
}
