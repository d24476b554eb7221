//! An ONNX model on tract, which is Rust alone: nothing to install, and the same numbers in every run on one kind of
//! processor (another one may round the last bits in another way).

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tract_onnx::pb::TensorProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;

use super::config::{Layout, ModelInput};
use crate::picture::unless_it_panics;
use crate::unit::{digest_file, hex};
use crate::{Error, Result};

/// The runtime and its version: another one may round in another way.
pub(super) const RUNTIME: &str = "tract-onnx 0.23.9";

/// What goes into a model for one row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Sample {
    Pixels(Vec<f32>),
    /// Ids, and how many of them are no padding.
    Ids(Vec<u32>, usize),
}

/// What an input of the model is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Values,
    Mask,
}

/// A model, ready to run; threads share it.
pub(super) struct Network {
    path: String,
    model: Arc<TypedRunnableModel>,
    /// Per input, what it is given and in which type and shape.
    inputs: Vec<(Role, DatumType, Vec<usize>)>,
    /// Per output, its name and how many numbers it has for a row.
    pub(super) outputs: Vec<(String, usize)>,
    batch: usize,
}

impl Network {
    /// Reads a model, fixes the shapes of its inputs, and runs it once on zeros.
    ///
    /// # Errors
    /// [`Error::Input`] for a file that is no ONNX model, an operator that the runtime does not have, and inputs of
    /// another shape than `input` makes.
    pub(super) fn load(path: &str, input: &ModelInput, batch: usize) -> Result<Self> {
        let given_up = || Err(Error::input(path, "cannot be used as a model: the runtime gives up on it"));
        unless_it_panics(|| Self::open(path, input, batch)).unwrap_or_else(given_up)
    }

    fn open(path: &str, input: &ModelInput, batch: usize) -> Result<Self> {
        let broken = |e: TractError| Error::input(path, format!("cannot be used as a model: {e:#}"));
        let mut model = tract_onnx::onnx().model_for_path(path).map_err(broken)?;
        let outputs = model.output_outlets().map_err(broken)?.to_vec();
        let name = |outlet: &OutletId| match model.outlet_label(*outlet) {
            Some(label) => label.to_owned(),
            None => model.node(outlet.node).name.clone(),
        };
        let names: Vec<String> = outputs.iter().map(name).collect();
        let inputs = inputs(path, &model, input, batch)?;
        for (index, (_, kind, shape)) in inputs.iter().enumerate() {
            model.set_input_fact(index, InferenceFact::dt_shape(*kind, shape.clone())).map_err(broken)?;
        }
        let model = model.into_optimized().and_then(IntoRunnable::into_runnable).map_err(broken)?;
        let outputs = names.into_iter().map(|name| (name, 0)).collect();
        let mut network = Self { path: path.to_owned(), model, inputs, outputs, batch };
        let values = network.run(&[network.zeros(input)])?;
        for (output, values) in network.outputs.iter_mut().zip(&values) {
            output.1 = values.len();
        }
        Ok(network)
    }

    fn zeros(&self, input: &ModelInput) -> Sample {
        match input {
            ModelInput::Image(image) => Sample::Pixels(vec![0.0; 3 * (image.size * image.size) as usize]),
            ModelInput::Text(text) => Sample::Ids(vec![0; text.length], 1),
        }
    }

    /// Runs the model over at most as many rows as it takes at a time. Gives for each output its numbers, those of a row
    /// together, and of the rows alone that were given.
    pub(super) fn run(&self, samples: &[Sample]) -> Result<Vec<Vec<f32>>> {
        let failed = |why: String| Error::input(&self.path, format!("the model fails: {why}"));
        let values = unless_it_panics(|| self.values(samples));
        values
            .ok_or_else(|| failed("the runtime gives up on it".to_owned()))?
            .map_err(|e| failed(format!("{e:#}")))
    }

    fn values(&self, samples: &[Sample]) -> TractResult<Vec<Vec<f32>>> {
        let tensors: TVec<TValue> =
            self.inputs.iter().map(|input| self.tensor(input, samples)).collect::<TractResult<_>>()?;
        let outputs = self.model.run(tensors)?;
        let numbers = |output: &TValue| {
            let output = output.cast_to::<f32>()?;
            let all: Vec<f32> = output.to_plain_array_view::<f32>()?.iter().copied().collect();
            Ok(all[..all.len() / self.batch * samples.len()].to_vec())
        };
        outputs.iter().map(numbers).collect()
    }

    /// The rows as one input; those that are missing repeat the first.
    fn tensor(
        &self,
        (role, kind, shape): &(Role, DatumType, Vec<usize>),
        samples: &[Sample],
    ) -> TractResult<TValue> {
        let rows = (0..self.batch).filter_map(|row| samples.get(row).or(samples.first()));
        let tensor = match (role, samples.first()) {
            (Role::Values, Some(Sample::Pixels(_))) => {
                let pixels =
                    rows.filter_map(|row| if let Sample::Pixels(pixels) = row { Some(pixels) } else { None });
                Tensor::from_shape(shape, &pixels.flatten().copied().collect::<Vec<f32>>())?
            }
            _ => {
                let ids = rows
                    .filter_map(|row| if let Sample::Ids(ids, own) = row { Some((ids, *own)) } else { None });
                let value = |(place, id): (usize, &u32), own: usize| match role {
                    Role::Values => i64::from(*id),
                    Role::Mask => i64::from(place < own),
                };
                let values = ids.flat_map(|(ids, own)| ids.iter().enumerate().map(move |id| value(id, own)));
                Tensor::from_shape(shape, &values.collect::<Vec<i64>>())?
            }
        };
        Ok(tensor.cast_to_dt(*kind)?.into_owned().into_tvalue())
    }
}

/// What each input of the model is given.
fn inputs(
    path: &str,
    model: &InferenceModel,
    input: &ModelInput,
    batch: usize,
) -> Result<Vec<(Role, DatumType, Vec<usize>)>> {
    let broken = |e: TractError| Error::input(path, format!("cannot be used as a model: {e:#}"));
    let outlets = model.input_outlets().map_err(broken)?;
    let names: Vec<&str> = outlets.iter().map(|outlet| model.node(outlet.node).name.as_str()).collect();
    let text = matches!(input, ModelInput::Text(_));
    let roles: Vec<Role> = names
        .iter()
        .map(|name| if text && name.starts_with("attention") { Role::Mask } else { Role::Values })
        .collect();
    if roles.iter().filter(|role| **role == Role::Values).count() != 1 {
        let message = format!("has the inputs {}: one picture or text is given", names.join(", "));
        return Err(Error::input(path, message).with_hint("export the towers of a model apart"));
    }
    let wanted = wanted(input, batch);
    let mut inputs = Vec::new();
    for ((outlet, name), role) in outlets.iter().zip(&names).zip(roles) {
        let fact = model.outlet_fact(*outlet).map_err(broken)?;
        let declared: Vec<Option<usize>> = fact
            .shape
            .dims()
            .map(|dim| {
                dim.concretize().and_then(|dim| dim.to_i64().ok()).and_then(|n| usize::try_from(n).ok())
            })
            .collect();
        let other = |(declared, wanted): (&Option<usize>, &usize)| declared.is_some_and(|n| n != *wanted);
        let known = !declared.is_empty();
        if known && (declared.len() != wanted.len() || declared.iter().zip(&wanted).any(other)) {
            return Err(Error::input(
                path,
                format!(
                    "its input `{name}` is {}, the config makes {}",
                    shape(&declared),
                    shape(&wanted.iter().copied().map(Some).collect::<Vec<_>>())
                ),
            )
            .with_hint("image.size, image.layout, text.length and batch say what is made"));
        }
        let kind = fact.datum_type.concretize().unwrap_or(if text { DatumType::I64 } else { DatumType::F32 });
        inputs.push((role, kind, wanted.clone()));
    }
    Ok(inputs)
}

fn wanted(input: &ModelInput, batch: usize) -> Vec<usize> {
    match input {
        ModelInput::Image(image) => match (image.layout, image.size as usize) {
            (Layout::Nchw, side) => vec![batch, 3, side, side],
            (Layout::Nhwc, side) => vec![batch, side, side, 3],
        },
        ModelInput::Text(text) => vec![batch, text.length],
    }
}

/// `1 × 3 × 224 × 224`, with `?` for what is open.
fn shape(dims: &[Option<usize>]) -> String {
    let dim = |dim: &Option<usize>| dim.map_or_else(|| "?".to_owned(), |n| n.to_string());
    dims.iter().map(dim).collect::<Vec<_>>().join(" × ")
}

/// Hash of a model and of the files beside it that hold its data.
pub(super) fn digest(path: &str) -> Result<String> {
    let broken = |e: TractError| Error::input(path, format!("is no ONNX model: {e:#}"));
    let own = digest_file(Path::new(path))?;
    let model = tract_onnx::onnx().proto_model_for_path(path).map_err(broken)?;
    let tensors = model.graph.iter().flat_map(|graph| &graph.initializer);
    let mut beside: Vec<&str> = tensors.filter_map(location).collect();
    beside.sort_unstable();
    beside.dedup();
    let mut hash = Sha256::new();
    hash.update(own);
    for name in beside {
        hash.update(digest_file(&Path::new(path).with_file_name(name))?);
    }
    Ok(hex(&hash.finalize()))
}

/// The file in which a tensor's data lies, where it does not lie in the model.
fn location(tensor: &TensorProto) -> Option<&str> {
    tensor.external_data.iter().find(|entry| entry.key == "location").map(|entry| entry.value.as_str())
}
