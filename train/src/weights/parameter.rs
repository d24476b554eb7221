//! What a checkpoint must hold for a model: keys and shapes, found without making a number.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

use super::KeyNames;

/// A parameter of a model as its checkpoint has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its published name.
    pub key: String,
    /// Its sizes in the file.
    pub shape: Vec<usize>,
    /// Whether rows and columns change places between file and memory: linear maps lie as `[out, in]` in most files.
    pub turned: bool,
}

impl Parameter {
    /// How many numbers it has.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// The parameters of a model in the order of its fields. None is initialized by this.
pub fn parameters<M: Module>(module: &M, names: KeyNames) -> Vec<Parameter> {
    let mut list = List { place: Place::new(names), found: Vec::new() };
    module.visit(&mut list);
    list.found
}

struct List {
    place: Place,
    found: Vec<Parameter>,
}

impl ModuleVisitor for List {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.place.leave();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found.push(self.place.parameter(&param.lazy_shape().to_vec()));
    }
}

/// Where a walk through a model's fields is.
pub(super) struct Place {
    names: KeyNames,
    /// Each field's name, and whether it belongs to a linear map.
    path: Vec<(String, bool)>,
}

impl Place {
    pub(super) fn new(names: KeyNames) -> Self {
        Self { names, path: Vec::new() }
    }

    pub(super) fn enter(&mut self, name: &str, container: &str) {
        self.path.push((name.to_owned(), container == "Struct:Linear"));
    }

    pub(super) fn leave(&mut self) {
        self.path.pop();
    }

    /// The parameter here, of these sizes in memory.
    pub(super) fn parameter(&self, memory: &[usize]) -> Parameter {
        let ours = self.path.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(".");
        let linear = self.path.last().is_some_and(|(_, linear)| *linear);
        let turned = linear && memory.len() == 2 && !self.names.untransposed(&ours);
        let mut shape = self.names.shape(&ours, memory);
        if turned {
            shape.reverse();
        }
        Parameter { key: self.names.published(&ours), shape, turned }
    }
}
