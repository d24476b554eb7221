//! The outputs of a case of OpenAI's dVAE: logits, codes, decodings, and what the groups between them give.

use burn::tensor::{Device, Tensor};

use super::{Case, Outputs, tensors};
use crate::Result;
use crate::codec::{Codec, Model};

/// Computes every output that the case holds and this model has a name for. The checkpoint is the case's folder.
///
/// # Errors
/// A checkpoint of another kind, or inputs that are missing.
pub(super) fn compute(case: &Case, device: &Device) -> Result<Outputs> {
    let codec = Codec::load(&case.dir, device)?;
    let Model::Dvae(model) = codec.model() else {
        return Err(case.fault(&format!("the checkpoint is of the kind {}, not a dVAE", codec.kind())));
    };
    let mut outputs = Outputs::new();
    let pixels = tensors::input(case, device, &mut outputs)?.mul_scalar(0.8).add_scalar(0.1);
    let mut stages: Vec<(String, Tensor<4>)> = Vec::new();
    let see = |name: &str, x: &Tensor<4>| stages.push((format!("encoder.{name}"), x.clone()));
    let logits = model.encoder().observed(pixels.clone(), see);
    stages.push(("code_logits".to_owned(), logits));
    outputs.insert("codes".to_owned(), tensors::integers(case, model.encode(pixels))?);
    for (source, target) in tensors::sources(case) {
        let Some(source) = source else { continue };
        let codes = tensors::codes(case, &source, device)?;
        let random = if target == "decoded" { "" } else { ".random_codes" };
        let see = |name: &str, x: &Tensor<4>| stages.push((format!("decoder.{name}{random}"), x.clone()));
        let statistics = model.decoder().observed(codes.clone(), see);
        stages.push((format!("decoder_stats{random}"), statistics));
        let unit = model.decode(codes).sub_scalar(0.1).div_scalar(0.8).clamp(0.0, 1.0);
        stages.push((target.to_owned(), unit));
    }
    for (name, x) in &stages {
        tensors::keep(case, &mut outputs, name, x)?;
    }
    Ok(outputs)
}
