//! Models against the stored outputs of their reference implementations, case by case (`tokenize::parity`).

mod checked;
mod clip;
mod core;
mod dalle_pytorch;
mod image_gpt;
mod image_prompts;
#[cfg(test)]
mod malformed;
mod masks;
mod rudalle;
mod rudolph;
mod top_k_top_p;

use std::path::Path;

use burn::tensor::Device;
use tokenize::parity::{Array, Case, Comparison, Verdict};

use crate::{Error, Result};

/// Runs the case in `dir` through the ordinary loaders and compares everything that it expects.
///
/// # Errors
/// The folder is not a case or holds something that does not fit its model, the model is not known here, or its
/// checkpoint cannot be loaded.
pub fn run(dir: &Path, device: &Device) -> Result<Vec<Comparison>> {
    let case = Case::open(dir)?;
    match case.model.as_str() {
        "rudolph" => rudolph::run(&case, device),
        "imagegpt" => image_gpt::run(&case, device),
        "clip" => clip::run(&case, device),
        "rudalle" => rudalle::run(&case, device),
        "image_prompts" => image_prompts::run(&case, device),
        "dalle-pytorch" => dalle_pytorch::run(&case, device),
        "masks" => masks::run(&case),
        "sampling" => top_k_top_p::run(&case),
        other => Err(Error::config(format!("{}: no model {other:?} to compare with", dir.display()))),
    }
}

/// One number against `expected` in `case.json`.
fn scalar(case: &Case, output: impl Into<String>, found: f64, expected: f64) -> Comparison {
    let gap = (found - expected).abs();
    let within = gap <= case.tolerance.abs + case.tolerance.rel * expected.abs();
    Comparison {
        case: case.name.clone(),
        output: output.into(),
        difference: if gap.is_nan() { f64::INFINITY } else { gap },
        tolerance: format!("{:e} + {:e}*|b|", case.tolerance.abs, case.tolerance.rel),
        verdict: if within { Verdict::Pass } else { Verdict::Fail },
    }
}

/// Integers as a one-dimensional output.
fn integers<T: Copy + Into<i64>>(values: &[T]) -> Array {
    Array::i64(&[values.len()], values.iter().map(|&value| value.into()).collect())
}

/// Reals as a one-dimensional output.
fn reals(values: &[f32]) -> Array {
    Array::f32(&[values.len()], values.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, at_least: usize) {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
        let lines = run(&dir, &Device::flex()).unwrap();
        let failed = lines.iter().filter(|line| line.verdict == Verdict::Fail).collect::<Vec<_>>();
        assert!(failed.is_empty(), "{failed:#?}");
        assert!(lines.len() >= at_least, "{} outputs compared", lines.len());
    }

    #[test]
    fn rudolph() {
        check("rudolph", 190);
    }

    #[test]
    fn rudalle_v2() {
        check("rudalle-v2", 110);
    }

    #[test]
    fn rudalle_v3() {
        check("rudalle-v3", 110);
    }

    #[test]
    fn dalle_pytorch_plain() {
        check("dalle-pytorch-plain", 50);
    }

    #[test]
    fn dalle_pytorch_full() {
        check("dalle-pytorch-full", 90);
    }

    #[test]
    fn image_gpt() {
        check("imagegpt", 39);
    }

    #[test]
    fn clip() {
        check("clip", 9);
    }

    #[test]
    fn image_prompts() {
        check("image-prompts", 33);
    }

    #[test]
    fn masks() {
        check("masks-published", 24);
    }

    #[test]
    fn top_k_top_p() {
        check("top-k-top-p", 42);
    }
}
