//! An ONNX model on rten, which is Rust alone: nothing to install, and the same numbers in every run on one kind of
//! processor (another one may round the last bits in another way).

use std::path::Path;
use std::sync::Arc;

use rten::{DataType, Dimension, Model, NodeId, RunOptions, ThreadPool, Value, ValueOrView, ValueType};
use rten_onnx::onnx::{ModelProto, TensorProto};
use rten_tensor::Tensor;
use rten_tensor::prelude::*;
use sha2::{Digest, Sha256};

use super::config::{Layout, ModelInput};
use crate::picture::unless_it_panics;
use crate::unit::{digest_file, hex};
use crate::{Error, Result};

/// The runtime and its version: another one may round in another way.
pub(super) const RUNTIME: &str = "rten 0.27.0";

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

/// An input of the model.
struct Input {
    node: NodeId,
    role: Role,
    kind: DataType,
    /// With the rows of a batch first.
    shape: Vec<usize>,
}

/// A model, ready to run; threads share it.
pub(super) struct Network {
    path: String,
    model: Model,
    inputs: Vec<Input>,
    /// Per output, its name and how many numbers it has for a row.
    pub(super) outputs: Vec<(String, usize)>,
    batch: usize,
    options: RunOptions,
}

impl Network {
    /// Reads a model, compares the shapes of its inputs with what will be made, and runs it once on zeros. However many
    /// threads call [`Network::run`], `threads` work.
    ///
    /// # Errors
    /// [`Error::Input`] for a file that is no ONNX model, an operator that the runtime does not have, and inputs of
    /// another shape than `input` makes.
    pub(super) fn load(path: &str, input: &ModelInput, batch: usize, threads: usize) -> Result<Self> {
        let given_up = || Err(Error::input(path, "cannot be used as a model: the runtime gives up on it"));
        unless_it_panics(|| Self::open(path, input, batch, threads)).unwrap_or_else(given_up)
    }

    fn open(path: &str, input: &ModelInput, batch: usize, threads: usize) -> Result<Self> {
        std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
        let model = Model::load_file(path)
            .map_err(|e| Error::input(path, format!("cannot be used as a model: {e}")))?;
        let inputs = inputs(path, &model, input, batch)?;
        let name = |node: &NodeId| model.node_info(*node).and_then(|info| info.name()).unwrap_or_default();
        let outputs = model.output_ids().iter().map(|node| (name(node).to_owned(), 0)).collect();
        let pool = Arc::new(ThreadPool::with_num_threads(threads));
        let options = RunOptions::default().with_thread_pool(Some(pool));
        let mut network = Self { path: path.to_owned(), model, inputs, outputs, batch, options };
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
        values.ok_or_else(|| failed("the runtime gives up on it".to_owned()))?.map_err(failed)
    }

    fn values(&self, samples: &[Sample]) -> std::result::Result<Vec<Vec<f32>>, String> {
        let inputs = self.inputs.iter().map(|input| (input.node, self.tensor(input, samples))).collect();
        let outputs = self.model.run(inputs, self.model.output_ids(), Some(self.options.clone()));
        let numbers = |output: Value| {
            let all = numbers(output)?;
            Ok(all[..all.len() / self.batch * samples.len()].to_vec())
        };
        outputs.map_err(|e| e.to_string())?.into_iter().map(numbers).collect()
    }

    /// The rows as one input; those that are missing repeat the first.
    fn tensor(&self, input: &Input, samples: &[Sample]) -> ValueOrView<'static> {
        let rows = (0..self.batch).filter_map(|row| samples.get(row).or(samples.first()));
        let (mut pixels, mut ids) = (Vec::new(), Vec::new());
        for row in rows {
            match row {
                Sample::Pixels(row) => pixels.extend_from_slice(row),
                Sample::Ids(row, own) if input.role == Role::Mask => {
                    ids.extend((0..row.len()).map(|place| i32::from(place < *own)));
                }
                // No vocabulary is near 2^31; the runtime has no longer integers.
                Sample::Ids(row, _) => ids.extend(row.iter().map(|id| id.cast_signed())),
            }
        }
        let shape = input.shape.as_slice();
        match (pixels.is_empty(), input.kind) {
            (false, _) => Tensor::from_data(shape, pixels).into(),
            (true, DataType::Float) => {
                Tensor::from_data(shape, ids.iter().map(|id| *id as f32).collect::<Vec<_>>()).into()
            }
            (true, _) => Tensor::from_data(shape, ids).into(),
        }
    }
}

/// The numbers of an output in the order of its shape.
fn numbers(output: Value) -> std::result::Result<Vec<f32>, String> {
    match output {
        Value::FloatTensor(tensor) => Ok(tensor.into_data()),
        Value::Int32Tensor(tensor) => Ok(tensor.iter().map(|value| *value as f32).collect()),
        other => Err(format!("an output is {:?}, which is neither numbers nor integers", other.dtype())),
    }
}

/// What each input of the model is given.
fn inputs(path: &str, model: &Model, input: &ModelInput, batch: usize) -> Result<Vec<Input>> {
    let nodes: Vec<_> =
        model.input_ids().iter().filter_map(|node| Some((*node, model.node_info(*node)?))).collect();
    let text = matches!(input, ModelInput::Text(_));
    let role = |name: &str| if text && name.starts_with("attention") { Role::Mask } else { Role::Values };
    let names: Vec<&str> = nodes.iter().map(|(_, info)| info.name().unwrap_or_default()).collect();
    if names.iter().filter(|name| role(name) == Role::Values).count() != 1 {
        let message = format!("has the inputs {}: one picture or text is given", names.join(", "));
        return Err(Error::input(path, message).with_hint("export the towers of a model apart"));
    }
    let wanted = wanted(input, batch);
    let mut inputs = Vec::new();
    for ((node, info), name) in nodes.iter().zip(names) {
        if let Some(declared) = info.shape().filter(|declared| !fits(declared, &wanted)) {
            let made: Vec<_> = wanted.iter().copied().map(Dimension::Fixed).collect();
            let message =
                format!("its input `{name}` is {}, the config makes {}", shape(&declared), shape(&made));
            return Err(Error::input(path, message)
                .with_hint("image.size, image.layout, text.length and batch say what is made"));
        }
        let kind = match info.dtype() {
            Some(ValueType::Tensor(kind)) => kind,
            _ if text => DataType::Int32,
            _ => DataType::Float,
        };
        inputs.push(Input { node: *node, role: role(name), kind, shape: wanted.clone() });
    }
    Ok(inputs)
}

fn fits(declared: &[Dimension], wanted: &[usize]) -> bool {
    let same = |(declared, wanted): (&Dimension, &usize)| match declared {
        Dimension::Fixed(size) => size == wanted,
        Dimension::Symbolic(_) => true,
    };
    declared.len() == wanted.len() && declared.iter().zip(wanted).all(same)
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
fn shape(dims: &[Dimension]) -> String {
    let dim = |dim: &Dimension| match dim {
        Dimension::Fixed(size) => size.to_string(),
        Dimension::Symbolic(_) => "?".to_owned(),
    };
    dims.iter().map(dim).collect::<Vec<_>>().join(" × ")
}

/// Hash of a model and of the files beside it that hold its data.
pub(super) fn digest(path: &str) -> Result<String> {
    let own = digest_file(Path::new(path))?;
    let file = std::fs::File::open(path).map_err(|e| Error::io(path, e))?;
    let model =
        ModelProto::parse_file(file).map_err(|e| Error::input(path, format!("is no ONNX model: {e}")))?;
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
    let entry = tensor.external_data.iter().find(|entry| entry.key.as_deref() == Some("location"))?;
    entry.value.as_deref()
}
