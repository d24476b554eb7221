//! What every transformer case compares: embeddings, layers, logits, masks, cached steps, gradients.

use std::collections::HashMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor};
use serde_json::Value;
use tokenize::parity::{Array, Case, Comparison, Outputs};

use super::{checked, scalar};
use crate::Result;
use crate::gpt::{Batch, Cache, Gpt, MaskKind, Vocabulary, ids};
use crate::objective::Losses;
use crate::sampling::{GuidanceForm, SamplingConfig};
use crate::weights::KeyNames;

/// The only sampling that any generator reproduces.
pub(super) const GREEDY: SamplingConfig = SamplingConfig {
    top_k: 1,
    top_p: 1.0,
    temperature: 1.0,
    guidance: 1.0,
    guidance_form: GuidanceForm::Logits,
    seed: 0,
};

/// A tensor outside its device.
pub(super) fn array<const D: usize>(tensor: Tensor<D>) -> Array {
    let shape = tensor.dims();
    let data = tensor.inner().into_data().convert::<f32>();
    Array::f32(&shape, data.try_to_vec::<f32>().unwrap_or_default())
}

/// Stored ids, one vector per row.
pub(super) fn rows(case: &Case, name: &str) -> Result<Vec<Vec<i64>>> {
    let (shape, values) = case.integers(name)?;
    let columns = shape.last().copied().unwrap_or(1).max(1);
    Ok(values.chunks(columns).map(<[i64]>::to_vec).collect())
}

/// The segments of whole sequences.
pub(super) fn batch(gpt: &Gpt, sequences: &[Vec<i64>], device: &Device) -> Batch {
    let segments = gpt.config().segments();
    let part = |from: usize, n: usize| -> Option<Tensor<2, Int>> {
        let cut = |row: &Vec<i64>| row.iter().skip(from).take(n).copied().collect::<Vec<_>>();
        ids(&sequences.iter().map(cut).collect::<Vec<_>>(), device)
    };
    let image = segments.image_range();
    Batch {
        left: part(0, segments.left),
        image: part(image.start, segments.image()),
        right: part(image.end, segments.right),
    }
}

/// Embeddings, layers and logits of sequence `row`, mean logits of all.
pub(super) fn states(gpt: &Gpt, sequences: &[Vec<i64>], row: usize, device: &Device) -> Outputs {
    let mut outputs = Outputs::new();
    let Some(x) = gpt.embed(&batch(gpt, &sequences[row..=row], device)) else { return outputs };
    outputs.insert("embeddings".to_owned(), array(x.clone()));
    let mut states = gpt.hidden_states(x);
    if let Some(last) = states.pop() {
        outputs.insert("final_layernorm".to_owned(), array(last.clone()));
        outputs.insert("logits".to_owned(), array(gpt.logits(last, Vocabulary::All)));
    }
    for (index, state) in states.into_iter().enumerate() {
        outputs.insert(format!("hidden.{index}"), array(state));
    }
    if let Some(x) = gpt.embed(&batch(gpt, sequences, device)) {
        let logits = gpt.logits(gpt.forward(x, None), Vocabulary::All);
        outputs.insert("logits_mean".to_owned(), array(logits.mean_dim(1).squeeze_dim::<2>(1)));
    }
    outputs
}

/// A mask as 1 and 0: `[n, n]`.
pub(super) fn mask(gpt: &Gpt, kind: MaskKind) -> Array {
    let segments = gpt.config().segments();
    let n = segments.total();
    let allowed = (0..n * n).map(|i| f32::from(u8::from(kind.allows(&segments, i / n, i % n))));
    Array::f32(&[n, n], allowed.collect())
}

/// Logits after each of the `cuts` of `x` `[b, t, d]`, the positions between two of them fed at once: `[b, cuts, v]`.
///
/// # Errors
/// Cuts that do not rise, or lie outside `1..=t`.
pub(super) fn cached(case: &Case, gpt: &Gpt, x: Tensor<3>, cuts: &[usize]) -> Result<Tensor<3>> {
    let total = x.dims()[1];
    let rising = cuts.windows(2).all(|pair| pair[0] < pair[1]);
    let within = |cut: Option<&usize>| cut.is_some_and(|cut| (1..=total).contains(cut));
    if !(rising && within(cuts.first()) && within(cuts.last())) {
        return checked::refuse(case, format!("{cuts:?} do not cut {total} positions into parts"));
    }
    let mut cache = Cache::new(gpt.config(), x.dims()[0], &gpt.device());
    let (mut at, mut steps) = (0, Vec::new());
    for &cut in cuts {
        let hidden = gpt.forward(x.clone().narrow(1, at, cut - at), Some(&mut cache));
        steps.push(gpt.logits(hidden.narrow(1, cut - at - 1, 1), Vocabulary::All));
        at = cut;
    }
    Ok(Tensor::cat(steps, 1))
}

/// The losses of a text and an image by the cases' names.
pub(super) fn text_image(losses: Losses) -> [(&'static str, Option<f64>); 3] {
    let value = |loss: Option<Tensor<1>>| Some(f64::from(loss?.into_scalar::<f32>()));
    [
        ("loss", value(Some(losses.total))),
        ("loss_text", value(losses.left)),
        ("loss_image", value(losses.image)),
    ]
}

/// The L2 norm of the loss's gradient for every parameter, against `expected.grad_l2`.
pub(super) fn gradients(case: &Case, gpt: &Gpt, loss: Tensor<1>, names: KeyNames) -> Result<Vec<Comparison>> {
    let expected = case.config::<HashMap<String, Option<f64>>>("/expected/grad_l2")?;
    let grads = GradientsParams::from_grads(loss.backward(), gpt);
    let mut norms = Norms { grads, path: Vec::new(), found: Vec::new() };
    gpt.visit(&mut norms);
    let mut lines = Vec::new();
    for (name, norm) in norms.found {
        let name = names.published(&name);
        // Hugging Face's ImageGPT does not differentiate its norms: there is nothing to compare with.
        if let Some(wanted) = expected.get(&name).copied().unwrap_or(Some(f64::NAN)) {
            lines.push(scalar(case, format!("grad_l2.{name}"), norm, wanted));
        }
    }
    let wanted = expected.values().flatten().count();
    lines.push(scalar(case, "grad_l2 (parameters)", lines.len() as f64, wanted as f64));
    Ok(lines)
}

struct Norms {
    grads: GradientsParams,
    path: Vec<String>,
    found: Vec<(String, f64)>,
}

impl ModuleVisitor for Norms {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let grad = self.grads.get::<D>(param.id);
        let norm = grad.map_or(f64::NAN, |grad| {
            let values = grad.into_data().convert::<f32>();
            let values = values.as_slice::<f32>().unwrap_or_default();
            values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
        });
        self.found.push((self.path.join("."), norm));
    }
}

/// Every number below `expected` at `pointer` whose key `found` knows.
pub(super) fn scalars(case: &Case, pointer: &str, found: &[(&str, Option<f64>)]) -> Result<Vec<Comparison>> {
    let expected = case.config::<HashMap<String, Value>>(pointer)?;
    let line = |(key, found): &(&str, Option<f64>)| {
        let expected = expected.get(*key)?.as_f64()?;
        let output = format!("{}.{key}", pointer.trim_start_matches("/expected").trim_start_matches('/'));
        Some(scalar(case, output.trim_start_matches('.'), found.unwrap_or(f64::NAN), expected))
    };
    Ok(found.iter().filter_map(line).collect())
}
