//! Folders that are almost cases, with one fault each: every fault is an error that names the folder.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use pipeline::atomic;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

use super::run;

/// `io.safetensors`: type, shape and bytes by name.
type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

/// What is said of a stored case after a change, without the folder.
fn fault(name: &str, change: impl FnOnce(&mut Value, &mut Tensors)) -> String {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = "pytorch_model.bin";
    if golden.join(checkpoint).exists() {
        std::fs::copy(golden.join(checkpoint), dir.path().join(checkpoint)).unwrap();
    }
    let mut json: Value = serde_json::from_slice(&std::fs::read(golden.join("case.json")).unwrap()).unwrap();
    let bytes = std::fs::read(golden.join("io.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let owned = |view: TensorView<'_>| (view.dtype(), view.shape().to_vec(), view.data().to_vec());
    let mut tensors: Tensors = file.iter().map(|(name, view)| (name.to_owned(), owned(view))).collect();
    change(&mut json, &mut tensors);
    let views = tensors
        .iter()
        .map(|(name, (dtype, shape, data))| (name, TensorView::new(*dtype, shape.clone(), data).unwrap()));
    let bytes = safetensors::serialize(views, None).unwrap();
    atomic::write(dir.path().join("io.safetensors"), bytes).unwrap();
    atomic::write(dir.path().join("case.json"), json.to_string()).unwrap();
    let said = run(dir.path(), &Device::flex()).unwrap_err().to_string();
    let folder = format!("{}: ", dir.path().display());
    said.strip_prefix(&folder).unwrap_or_else(|| panic!("{said}")).to_owned()
}

/// The same after another tensor of one integer was put in a tensor's place.
fn filled(case: &str, name: &str, shape: &[usize], id: i64) -> String {
    fault(case, |_, tensors| {
        let data = id.to_le_bytes().repeat(shape.iter().product());
        tensors.insert(name.to_owned(), (Dtype::I64, shape.to_vec(), data));
    })
}

/// The same after another value was put into `case.json`.
fn changed(case: &str, pointer: &str, value: Value) -> String {
    fault(case, |json, _| *json.pointer_mut(pointer).unwrap() = value)
}

#[test]
fn sequences_that_the_model_cannot_have() {
    let said = |shape: [usize; 2], id| filled("rudolph", "input_ids", &shape, id);
    assert_eq!(said([1, 61], 5), "\"input_ids\" has 1 rows, at least 2 are needed");
    assert_eq!(said([3, 60], 5), "\"input_ids\" has 60 ids in a row, the model 61");
    assert_eq!(said([0, 61], 5), "\"input_ids\" is empty");
    assert_eq!(said([3, 61], 442), "\"input_ids\" holds 442, which is not in 0..442");
    assert_eq!(said([3, 61], 441), "\"input_ids\" holds 441, which is not in 0..100");
    assert!(said([3, 61], -1).starts_with("\"input_ids\" holds -1, which is not in 0.."));
    assert!(filled("rudalle-v2", "input_ids", &[1, 52], 5).contains("at least 2"));
    assert!(filled("imagegpt", "pixel_ids", &[2, 63], 5).contains("63 ids in a row, the model 64"));
}

#[test]
fn inputs_of_rudolph_that_do_not_fit() {
    let places = filled("rudolph", "forced_positions", &[2], 36);
    assert_eq!(places, "\"forced_positions\" holds 36, which is not in 0..36");
    assert_eq!(filled("rudolph", "caption_ids", &[20], 5), "\"caption_ids\" holds 20 ids, not 59");
    let rows = filled("rudolph", "zero_shot.codes", &[2, 36], 1);
    assert_eq!(rows, "\"zero_shot.codes\" has 2 rows, one is compared");
    let rows = filled("rudolph", "rerank_by_text.left_ids", &[2, 14], 5);
    assert_eq!(rows, "rerank_by_text has a part of 2 rows beside one of 4");
    assert!(filled("rudolph", "zero_shot.right_ids", &[3, 4], 1).contains("4 ids in a row, the model 11"));
    assert!(filled("rudolph", "rerank_by_text.codes", &[4, 36], 96).contains("not in 0..96"));
    for cuts in [json!([5, 3]), json!([0, 3]), json!([3, 62]), json!([])] {
        assert!(
            changed("rudolph", "/expected/cache_cuts", cuts).ends_with("do not cut 61 positions into parts")
        );
    }
    let size = changed("rudolph", "/expected/caption_template_size", json!(12));
    assert_eq!(size, "/expected/caption_template_size is 12, more than 11");
}

#[test]
fn inputs_of_rudalle_that_do_not_fit() {
    assert!(filled("rudalle-v3", "forced_positions", &[1], -1).contains("holds -1, which is not in 0..64"));
    let prefix = changed("rudalle-v3", "/inputs/prefix_image_tokens", json!(65));
    assert_eq!(prefix, "/inputs/prefix_image_tokens is 65, more than 64");
    for chunk in [0, 64] {
        let said = changed("rudalle-v3", "/inputs/chunk", json!(chunk));
        assert!(said.ends_with("do not cut 80 positions into parts"), "{said}");
    }
    let heads = changed("rudalle-v3", "/config/num_attention_heads", json!(0));
    assert_eq!(heads, "config: heads: must be at least 1");
}

#[test]
fn configurations_and_outputs_of_image_gpt_that_do_not_fit() {
    assert!(changed("imagegpt", "/config/vocab_size", json!(0)).starts_with("config: 64 positions of 0 ids"));
    assert!(changed("imagegpt", "/config/n_positions", json!(63)).starts_with("config: 63 positions"));
    let said = filled("imagegpt", "greedy_completion_ids", &[65], 1);
    assert_eq!(said, "\"greedy_completion_ids\" holds 65 ids, an image fewer");
}

#[test]
fn tables_of_sampling_and_masks_that_do_not_fit() {
    let flat = fault("top-k-top-p", |_, tensors| tensors.get_mut("logits").unwrap().1 = vec![320]);
    assert_eq!(flat, "\"logits\" is not [rows, vocabulary], or is empty");
    for (pointer, value) in [("/settings/0/id", json!(42)), ("/settings/0/kept_count", json!([40]))] {
        let said = changed("top-k-top-p", pointer, value);
        assert!(said.ends_with("has not one result for each row"), "{said}");
    }
    let wide = changed("masks-published", "/masks/0/left", json!(1u64 << 40));
    assert!(wide.contains("positions, the counts have 1152"), "{wide}");
}
