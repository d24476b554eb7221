//! `pipeline score` over a crawl's shards, with the model of `models/make.py`.

use crate::desk::{Desk, told};

/// Any command line is answered with what is to be done.
#[cfg(not(feature = "score"))]
#[test]
fn a_build_without_models_says_so() {
    let desk = Desk::new();
    insta::assert_snapshot!(told(&desk.run(&["score", "pairs", "--open-nsfw", "open_nsfw.onnx"])), @r"
    exit 2
    --- stdout
    --- stderr
    error: score pairs --open-nsfw open_nsfw.onnx: this build of pipeline runs no models
    hint: build it with them: cargo build --release --package pipeline --features score
    ");
}

#[cfg(feature = "score")]
mod with_models {
    use serde_json::Value;

    use super::{Desk, told};
    use crate::desk::{good_rows, text};

    const CONFIG: &str = r#"
[input]
path = "pairs"

[models.colour]
path = "MODELS/picture.onnx"
[models.colour.image]
size = 8
resize_to = 8
mean = [0.0, 0.0, 0.0]
std = [1.0, 1.0, 1.0]
[[models.colour.columns]]
name = "redder"
output = "probability"
take = 1

[output]
path = "scored"
"#;

    /// Shards of a crawl of 20 pictures, one of them gone.
    fn crawled() -> Desk {
        let desk = Desk::new();
        desk.write("links.csv", good_rows(20).replace("/img/7,", "/gone,"));
        let output = desk.crawl("links.csv", "pairs", &["--rows-per-unit", "8"]).output().unwrap();
        assert!(output.status.success(), "{}", told(&output));
        let models = format!("{}/../tests/pipeline/models", env!("CARGO_MANIFEST_DIR"));
        desk.write("score.toml", CONFIG.replace("MODELS", &models));
        desk
    }

    #[test]
    fn a_crawl_gets_a_column_and_loses_nothing() {
        let desk = crawled();
        let output = desk.run(&["score", "score.toml"]);
        assert!(output.status.success(), "{}", told(&output));
        let said = text(&output.stderr);
        assert!(said.contains("20 rows: scored 95.0 %, no_picture 5.0 %"), "{said}");
        let (before, after) = (desk.pairs("pairs"), desk.pairs("scored"));
        assert_eq!(after.len(), 20);
        for (before, after) in before.iter().zip(&after) {
            assert_eq!((&before.key, &before.image, before.reason), (&after.key, &after.image, after.reason));
            let redder: Option<f32> = after.text("redder").map(|redder| redder.parse().unwrap());
            assert_eq!(redder.is_some(), after.image.is_some());
            assert!(redder.is_none_or(|redder| (0.0..=1.0).contains(&redder)));
        }
        let again = desk.run(&["score", "score.toml"]);
        assert!(text(&again.stderr).contains("nothing to do: all of this is done"), "{}", told(&again));
    }

    #[test]
    fn units_and_threads_change_no_byte_and_json_tells_the_counts() {
        let desk = crawled();
        let whole = desk.run(&["score", "score.toml", "--threads", "1", "--json"]);
        let last: Value = serde_json::from_str(text(&whole.stdout).lines().last().unwrap()).unwrap();
        assert_eq!((&last["type"], &last["counts"]["scored"]), (&"summary".into(), &19.into()));
        for unit in ["2", "0", "1"] {
            let output = desk.run(&["score", "score.toml", "--out", "units", "--unit", unit]);
            assert!(output.status.success(), "{}", told(&output));
        }
        assert_eq!(desk.run(&["finish", "units"]).status.code(), Some(0));
        assert!(desk.shards("scored") == desk.shards("units"), "the shards differ");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_cure() {
        let desk = crawled();
        desk.write("broken.onnx", "not a model");
        let said = |arguments: &[&str]| told(&desk.run(&[&["score"], arguments, &["-q"]].concat()));
        insta::assert_snapshot!(said(&["pairs", "--out", "out"]), @r"
        exit 2
        --- stdout
        --- stderr
        error: models: no model given
        hint: --open-nsfw open_nsfw.onnx
        ");
        insta::assert_snapshot!(said(&["pairs", "--out", "out", "--open-nsfw", "absent.onnx"]), @r#"
        exit 2
        --- stdout
        --- stderr
        error: absent.onnx: cannot be used as a model: Opening "absent.onnx": No such file or directory (os error 2)
        "#);
        let broken = said(&["pairs", "--out", "out", "--open-nsfw", "broken.onnx"]);
        assert!(broken.contains("error: broken.onnx: cannot be used as a model: "), "{broken}");
        assert_eq!(desk.names("out"), [""; 0], "nothing was made");
    }
}
