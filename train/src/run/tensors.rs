//! Named f32 tensors in a safetensors file: how checkpoints keep weights and moments, to the last bit.
//!
//! Keys are the paths of a module's fields, so any module can be kept; published key names are for exported models.

use std::ops::Range;
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};
use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, SafeTensors};

use crate::weights::{self, Entry, Precision};
use crate::{Error, Result};

/// A tensor that is read from its device only when its turn to be written comes, part by part.
pub(crate) struct Lazy {
    shape: Vec<usize>,
    read: Box<dyn Fn(Range<usize>) -> TensorData + Send>,
}

impl Lazy {
    pub(crate) fn new<const D: usize>(tensor: Tensor<D>) -> Self {
        let shape = tensor.dims().to_vec();
        let flat: Tensor<1> = tensor.inner().reshape([-1]);
        let read =
            move |part: Range<usize>| flat.clone().narrow(0, part.start, part.len()).to_data_as::<f32>();
        Self { shape, read: Box::new(read) }
    }

    /// Its numbers' bytes in a buffer that is filled anew, a piece at a time.
    pub(super) fn copy_to(&self, mut buffer: Vec<u8>) -> Vec<u8> {
        /// Few enough numbers for the piece to stay in the processor's cache between its two copies.
        const PIECE: usize = 1 << 17;
        let count: usize = self.shape.iter().product();
        buffer.clear();
        buffer.reserve_exact(self.bytes());
        for from in (0..count).step_by(PIECE) {
            buffer.extend_from_slice((self.read)(from..count.min(from + PIECE)).as_bytes());
        }
        buffer
    }

    /// How many bytes its numbers take.
    pub(super) fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * size_of::<f32>()
    }

    pub(super) fn into_shape(self) -> Vec<usize> {
        self.shape
    }

    /// Its numbers, as f32.
    pub(crate) fn read(&self) -> TensorData {
        (self.read)(0..self.shape.iter().product())
    }
}

/// Writes tensors and one number as metadata, one tensor at a time.
pub(crate) fn write(path: &Path, tensors: Vec<(String, Lazy)>, step: Option<u64>) -> Result<()> {
    let entry = |(name, tensor): (String, Lazy)| {
        let shape = tensor.shape.clone();
        Entry::made(name, shape, Precision::F32, move || Ok(tensor.copy_to(Vec::new())))
    };
    write_entries(path, tensors.into_iter().map(entry).collect(), step)
}

/// The same of tensors whose bytes are in memory already.
pub(super) fn write_bytes(
    path: &Path,
    tensors: &[(String, Vec<usize>, Vec<u8>)],
    step: Option<u64>,
) -> Result<()> {
    let mut entries = Vec::with_capacity(tensors.len());
    for (name, shape, bytes) in tensors {
        entries.push(Entry::in_memory(name.clone(), shape.clone(), bytes));
    }
    write_entries(path, entries, step)
}

fn write_entries(path: &Path, entries: Vec<Entry<'_>>, step: Option<u64>) -> Result<()> {
    let step = step.map(|step| step.to_string());
    let about: Vec<_> = step.iter().map(|step| ("step", step.as_str())).collect();
    weights::write(path, entries, &about)
}

/// A file that [`write`] made, in memory.
pub(crate) struct Stored<'a> {
    path: &'a Path,
    tensors: SafeTensors<'a>,
}

impl<'a> Stored<'a> {
    /// Checks the file's header and length.
    pub(crate) fn parse(path: &'a Path, bytes: &'a [u8]) -> Result<Self> {
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| damaged(path, &error))?;
        Ok(Self { path, tensors })
    }

    /// Names in the file.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.tensors.names()
    }

    /// One tensor, its shape checked by the caller.
    pub(crate) fn get<const D: usize>(&self, name: &str, device: &Device) -> Result<Tensor<D>> {
        let view = self.tensors.tensor(name).map_err(|error| damaged(self.path, &error))?;
        if view.dtype() != Dtype::F32 || view.shape().len() != D {
            return Err(Error::weights(self.path, format!("{name} is not a {D}-dimensional f32 tensor")));
        }
        let data = TensorData::try_from_bytes_vec(view.data().to_vec(), view.shape().to_vec(), DType::F32);
        let data = data.map_err(|error| Error::weights(self.path, format!("{name}: {error:?}")))?;
        Ok(Tensor::from_data(data, device))
    }
}

/// The number that [`write`] put into the metadata.
pub(crate) fn stored_step(path: &Path, bytes: &[u8]) -> Result<u64> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| damaged(path, &error))?;
    let step = header.metadata().as_ref().and_then(|map| map.get("step")?.parse().ok());
    step.ok_or_else(|| Error::weights(path, "no step in the metadata"))
}

fn damaged(path: &Path, error: &SafeTensorError) -> Error {
    Error::weights(path, format!("damaged: {error}"))
}

/// Writes every float parameter of a module, by its path.
///
/// # Errors
/// The file cannot be written.
pub fn save_module<M: Module>(module: &M, path: &Path) -> Result<()> {
    write(path, collect(module), None)
}

/// Every float parameter of a module, by its path.
pub(super) fn collect<M: Module>(module: &M) -> Vec<(String, Lazy)> {
    let mut collect = Collect { path: Vec::new(), tensors: Vec::new() };
    module.visit(&mut collect);
    collect.tensors
}

/// Replaces every float parameter of a module by what [`save_module`] wrote.
///
/// # Errors
/// The file is missing or damaged, or its parameters are not exactly the module's.
pub fn load_module<M: Module>(module: M, path: &Path) -> Result<M> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let stored = Stored::parse(path, &bytes)?;
    let mut replace = Replace { path: Vec::new(), stored: &stored, count: 0, fault: None };
    let module = module.map(&mut replace);
    let (count, fault) = (replace.count, replace.fault);
    match fault {
        Some(fault) => Err(fault),
        None if count != stored.names().len() => {
            Err(Error::weights(path, format!("{} tensors, the model has {count}", stored.names().len())))
        }
        None => Ok(module),
    }
}

struct Collect {
    path: Vec<String>,
    tensors: Vec<(String, Lazy)>,
}

impl ModuleVisitor for Collect {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.tensors.push((self.path.join("."), Lazy::new(param.val())));
    }
}

struct Replace<'a> {
    path: Vec<String>,
    stored: &'a Stored<'a>,
    count: usize,
    fault: Option<Error>,
}

impl ModuleMapper for Replace<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.count += 1;
        let name = self.path.join(".");
        let (id, old, mapper) = param.consume();
        let value = match self.stored.get::<D>(&name, &old.device()) {
            Ok(new) if new.dims() == old.dims() => new.set_require_grad(old.is_require_grad()),
            Ok(new) => {
                let why = format!("{name} is {:?}, the model wants {:?}", new.dims(), old.dims());
                self.fault.get_or_insert(Error::weights(self.stored.path, why));
                old
            }
            Err(error) => {
                self.fault.get_or_insert(error);
                old
            }
        };
        Param::from_mapped_value(id, value, mapper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{Linear, LinearConfig};

    #[test]
    fn a_module_survives_the_round_trip_and_the_bytes_are_the_same_each_time() {
        let device = Device::flex().autodiff();
        let dir = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
        let layer = LinearConfig::new(3, 2).init(&device);
        save_module(&layer, &a).unwrap();
        let read: Linear = load_module(LinearConfig::new(3, 2).init(&device), &a).unwrap();
        assert_eq!(read.weight.val().into_data(), layer.weight.val().into_data());
        assert!(read.weight.val().is_require_grad());
        save_module(&read, &b).unwrap();
        assert_eq!(std::fs::read(a).unwrap(), std::fs::read(b).unwrap());
    }

    #[test]
    fn another_models_weights_are_refused_by_name() {
        let device = Device::flex();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("weights.safetensors");
        save_module(&LinearConfig::new(3, 2).init(&device), &path).unwrap();
        let error = load_module(LinearConfig::new(3, 4).init(&device), &path).unwrap_err();
        assert!(error.to_string().ends_with("weight is [3, 2], the model wants [3, 4]"), "{error}");
        let error = load_module(LinearConfig::new(3, 2).with_bias(false).init(&device), &path).unwrap_err();
        assert!(error.to_string().ends_with("2 tensors, the model has 1"), "{error}");
    }
}
