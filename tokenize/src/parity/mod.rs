//! Parity cases: stored inputs and outputs of a reference implementation against what this one computes.
//!
//! A case is a folder with `case.json` (model, configuration, tolerance, checkpoint file), `io.safetensors` (inputs
//! and expected outputs; for texts `expected.jsonl`) and the checkpoint. A model computes outputs by name ([`Outputs`]); [`compare`] applies the
//! rule `|a − b| ≤ abs + rel·|b|` (integers exactly) and [`report`] prints one line per output.

mod case;
mod compare;
mod report;
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
        "vqgan" => vqgan::compute(case, device),
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

    fn check(name: &str, expected: &[&str]) {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
        let case = Case::open(dir).unwrap();
        let outputs = compute(&case, &Device::flex()).unwrap();
        let names: Vec<&str> = outputs.keys().map(String::as_str).collect();
        assert_eq!(names, expected);
        let lines = compare(&case, &outputs).unwrap();
        assert!(all_pass(&lines), "{lines:#?}");
    }

    #[test]
    fn vqgan_f16_is_tamings() {
        let outputs = [
            "act.encoder",
            "act.quant_conv",
            "codes",
            "decoded_01",
            "decoded_raw",
            "quantized",
            "random_decoded_raw",
        ];
        check("vqgan-f16", &outputs);
    }

    #[test]
    fn vqgan_gumbel_f8_is_sbers() {
        let outputs =
            ["act.encoder", "act.quant_conv", "codes", "decoded_01", "decoded_raw", "random_decoded_01"];
        check("vqgan-gumbel-f8", &outputs);
    }
}
