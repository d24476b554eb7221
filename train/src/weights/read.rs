//! Models filled from checkpoints, one tensor at a time.

use std::path::Path;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};
use tokenize::checkpoint::Checkpoint;

use super::parameter::Place;
use super::{KeyNames, Misfit, Parameter, parameters};
use crate::error::{Error, Result};
use crate::presets;

/// Fills a model from a checkpoint: one file of any kind, or a folder of Hugging Face's layout.
///
/// Random weights that the model would have begun with are never drawn, and beside the model no more than one tensor is
/// in memory at a time.
///
/// # Errors
/// The file is no checkpoint or cut off; [`Error::Misfit`] when its tensors are not exactly the model's: every missing,
/// unexpected and misshapen key; the first tensor with a NaN or infinity.
pub fn load<M: Module>(module: M, path: &Path, names: KeyNames) -> Result<M> {
    fill(module, Checkpoint::open_unhashed(path)?, names)
}

/// [`load`] from a checkpoint that is open.
pub(crate) fn fill<M: Module>(module: M, file: Checkpoint, names: KeyNames) -> Result<M> {
    let wanted = parameters(&module, names);
    let file = fitted(file, &wanted, names)?;
    let mut fill = Fill { file: &file, place: Place::new(names), fault: None };
    let module = module.map(&mut fill);
    match fill.fault {
        Some(fault) => Err(fault),
        None => Ok(module),
    }
}

/// The part of a checkpoint that holds exactly the parameters `wanted`, their numbers unread.
///
/// # Errors
/// [`Error::Misfit`].
pub fn fitted(file: Checkpoint, wanted: &[Parameter], names: KeyNames) -> Result<Checkpoint> {
    // Trainers wrap models: `state_dict.`, `module.`.
    let file = wanted.first().and_then(|first| file.below(&first.key)).unwrap_or(file);
    let file = file.renamed(|key| names.canonical(key));
    match Misfit::find(&file, wanted) {
        None => Ok(file),
        Some(misfit) => {
            let misfit = Box::new(Misfit { likely: presets::likely(&file, names), ..misfit });
            Err(Error::Misfit { path: file.path().to_owned(), misfit })
        }
    }
}

struct Fill<'a> {
    file: &'a Checkpoint,
    place: Place,
    fault: Option<Error>,
}

impl ModuleMapper for Fill<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.place.leave();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.fault.is_some() {
            return param;
        }
        let shape = param.lazy_shape().to_vec();
        let Parameter { key, turned, .. } = self.place.parameter(&shape);
        let values = if turned { self.file.columns(&key) } else { self.file.floats(&key) };
        match values {
            Ok(values) => {
                let tensor = Tensor::from_data(TensorData::new(values, shape), &param.lazy_device());
                let id = param.id;
                param.transform_for_load(tensor, id)
            }
            Err(fault) => {
                self.fault = Some(fault.into());
                param
            }
        }
    }
}
