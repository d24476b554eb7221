//! Parity cases: stored inputs and outputs of a reference implementation against what this one computes.
//!
//! A case is a folder with `case.json` (model, configuration, tolerance, checkpoint file), `io.safetensors` (inputs
//! and expected outputs; for texts `expected.jsonl`) and the checkpoint. A model computes outputs by name ([`Outputs`]); [`compare`] applies the
//! rule `|a − b| ≤ abs + rel·|b|` (integers exactly) and [`report`] prints one line per output.

mod case;
mod clusters;
mod compare;
mod dvae;
mod report;
mod tensors;
mod text;
mod vqgan;

use std::collections::BTreeMap;

use burn::tensor::Device;

pub use case::{Array, Case, Tolerance, Values};
pub use compare::{Comparison, Verdict, compare};
pub use report::{all_pass, report};

/// Outputs that a model computed, under the names of `io.safetensors`.
pub type Outputs = BTreeMap<String, Array>;

/// Computes the outputs of a codec's case through the ordinary loaders.
///
/// # Errors
/// A model that is no codec of this crate, or a checkpoint that does not fit.
pub fn compute(case: &Case, device: &Device) -> crate::Result<Outputs> {
    match case.model.as_str() {
        "vqgan" | "llamagen" => vqgan::compute(case, device),
        "dvae" => dvae::compute(case, device),
        "clusters" | "imagegpt" => clusters::compute(case, device),
        other => Err(case.fault(&format!("no codec {other:?} here to compare with"))),
    }
}

/// Runs the case in `dir`, of a codec or a text tokenizer: a line for every output.
///
/// # Errors
/// A malformed case, or as for [`compute`] and [`compare()`].
pub fn run(dir: &std::path::Path, device: &Device) -> crate::Result<Vec<Comparison>> {
    let case = Case::open(dir)?;
    if text::MODELS.contains(&case.model.as_str()) {
        return text::compare(&case);
    }
    compare(&case, &compute(&case, device)?)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Every case of the folder is run, and every stored tensor that is no input is compared.
    #[test]
    fn all_codecs_are_the_published_ones() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let mut compared = BTreeMap::new();
        for entry in std::fs::read_dir(golden).unwrap() {
            let dir = entry.unwrap().path();
            if !dir.join("io.safetensors").is_file() {
                continue;
            }
            let case = Case::open(dir).unwrap();
            let outputs = compute(&case, &Device::flex()).unwrap();
            let lines = compare(&case, &outputs).unwrap();
            assert!(all_pass(&lines), "{lines:#?}");
            let given = |name: &&String| name.contains("random_codes_") || name.as_str() == "decode_codes";
            let left_out = case.tensors().keys().filter(|name| !outputs.contains_key(*name));
            let left_out: Vec<&String> = left_out.filter(|name| !given(name)).collect();
            assert!(left_out.is_empty(), "{}: {left_out:?}", case.name);
            compared.insert(case.name, outputs.len());
        }
        insta::assert_debug_snapshot!(compared, @r#"
        {
            "dvae-openai": 14,
            "imagegpt-clusters": 4,
            "llamagen-vq16": 8,
            "vqgan-f16": 28,
            "vqgan-gumbel-f8": 26,
            "vqgan-ldm-f8": 8,
            "vqgan-sber-dwt": 27,
        }
        "#);
    }
}
