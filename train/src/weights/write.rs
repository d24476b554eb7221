//! Safetensors written one tensor at a time: no second copy of a model is ever in memory.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, Tensor};
use pipeline::atomic::AtomicFile;
use safetensors::tensor::{Metadata, TensorInfo};
use serde::{Deserialize, Serialize};
use tokenize::checkpoint::{Checkpoint, narrow};

use super::parameter::Place;
use super::{KeyNames, Parameter};
use crate::error::{Error, Result};

/// Bytes to which the header is filled up with blanks, so that the numbers after it are aligned.
const ALIGNMENT: usize = 8;

/// How numbers are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits, 10 of them after the point: the published format of RuDOLPH and ruDALL-E.
    F16,
    /// 16 bits with the range of 32, 7 of them after the point.
    Bf16,
}

impl Precision {
    /// How the numbers of a checkpoint's tensor are kept; f64 becomes f32.
    pub fn of(dtype: DType) -> Self {
        match dtype {
            DType::F16 => Self::F16,
            DType::BF16 => Self::Bf16,
            _ => Self::F32,
        }
    }

    /// Its name in safetensors.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
        }
    }

    const fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
        }
    }

    const fn stored(self) -> safetensors::Dtype {
        match self {
            Self::F32 => safetensors::Dtype::F32,
            Self::F16 => safetensors::Dtype::F16,
            Self::Bf16 => safetensors::Dtype::BF16,
        }
    }
}

/// A tensor to be written; its numbers are made when its turn comes.
pub(crate) struct Entry<'a> {
    key: String,
    shape: Vec<usize>,
    precision: Precision,
    bytes: Bytes<'a>,
}

/// Gives the numbers' bytes.
type Bytes<'a> = Box<dyn Fn() -> Result<Cow<'a, [u8]>> + 'a>;

impl<'a> Entry<'a> {
    /// A tensor of 32-bit numbers that lie in memory.
    pub(crate) fn in_memory(key: String, shape: Vec<usize>, bytes: &'a [u8]) -> Self {
        Self { key, shape, precision: Precision::F32, bytes: Box::new(move || Ok(bytes.into())) }
    }

    /// A tensor whose bytes are made when its turn comes.
    pub(crate) fn made(
        key: String,
        shape: Vec<usize>,
        precision: Precision,
        bytes: impl Fn() -> Result<Vec<u8>> + 'a,
    ) -> Self {
        Self { key, shape, precision, bytes: Box::new(move || Ok(bytes()?.into())) }
    }
}

/// Writes tensors and some words about them; the file appears whole or not at all.
pub(crate) fn write(path: &Path, mut entries: Vec<Entry<'_>>, about: &[(&str, &str)]) -> Result<()> {
    // The widest numbers first, then by name, as the format's own library does it.
    let width = |entry: &Entry<'_>| entry.precision.stored();
    entries.sort_by(|a, b| width(b).cmp(&width(a)).then_with(|| a.key.cmp(&b.key)));
    let header = header(path, &entries, about)?;
    let mut file = AtomicFile::create(path)?;
    let io = |error| Error::io(path)(error);
    file.write_all(&(header.len() as u64).to_le_bytes()).map_err(io)?;
    file.write_all(&header).map_err(io)?;
    for entry in entries {
        file.write_all(&(entry.bytes)()?).map_err(io)?;
    }
    Ok(file.commit()?)
}

fn header(path: &Path, entries: &[Entry<'_>], about: &[(&str, &str)]) -> Result<Vec<u8>> {
    let mut end = 0;
    let info = |entry: &Entry<'_>| {
        let start = end;
        end += entry.shape.iter().product::<usize>() * entry.precision.dtype().size();
        let (dtype, shape) = (entry.precision.stored(), entry.shape.clone());
        (entry.key.clone(), TensorInfo { dtype, shape, data_offsets: (start, end) })
    };
    let infos = entries.iter().map(info).collect();
    let about: HashMap<String, String> =
        about.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let about = (!about.is_empty()).then_some(about);
    let metadata = Metadata::new(about, infos).map_err(|error| Error::weights(path, error))?;
    let mut header = serde_json::to_vec(&metadata).map_err(|error| Error::weights(path, error))?;
    header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
    Ok(header)
}

/// Writes a model as f32 safetensors under its published key names, with some words about it.
///
/// # Errors
/// The file cannot be written.
pub fn save<M: Module>(module: &M, path: &Path, names: KeyNames, about: &[(&str, &str)]) -> Result<()> {
    save_as(module, path, names, about, Precision::F32)
}

/// The same in another precision.
///
/// # Errors
/// The file cannot be written, or a number is too large for `precision`.
pub fn save_as<M: Module>(
    module: &M,
    path: &Path,
    names: KeyNames,
    about: &[(&str, &str)],
    precision: Precision,
) -> Result<()> {
    let mut collect = Collect { path, precision, place: Place::new(names), entries: Vec::new() };
    module.visit(&mut collect);
    write(path, collect.entries, about)
}

struct Collect<'a> {
    path: &'a Path,
    precision: Precision,
    place: Place,
    entries: Vec<Entry<'a>>,
}

impl ModuleVisitor for Collect<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.place.leave();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Parameter { key, shape, turned } = self.place.parameter(&param.lazy_shape().to_vec());
        let (tensor, precision) = (param.val().inner(), self.precision);
        let (path, name) = (self.path, key.clone());
        let bytes = move || {
            let tensor = tensor.clone();
            let tensor = if turned { tensor.swap_dims(0, 1) } else { tensor };
            let data = tensor.to_data_as::<f32>();
            let values =
                data.as_slice::<f32>().map_err(|error| Error::weights(path, format!("{error:?}")))?;
            narrow(values, precision.dtype()).map_err(|why| Error::weights(path, format!("{name} {why}")))
        };
        self.entries.push(Entry::made(key, shape, precision, bytes));
    }
}

/// Writes the parameters `wanted` of a checkpoint as safetensors, in `precision` or as they are stored: the numbers of a
/// tensor that keeps its format are copied bit by bit.
///
/// # Errors
/// A damaged source, a number that is not finite or too large for `precision`, or a file that cannot be written.
pub fn copy(
    source: &Checkpoint,
    wanted: &[Parameter],
    path: &Path,
    precision: Option<Precision>,
    about: &[(&str, &str)],
) -> Result<()> {
    let entry = |one: &Parameter| {
        let stored = source.dtype(&one.key).unwrap_or(DType::F32);
        let precision = precision.unwrap_or(Precision::of(stored));
        let key = one.key.clone();
        let bytes = move || {
            let values = source.floats(&key)?;
            if stored == precision.dtype() {
                return Ok(source.bytes(&key)?);
            }
            let narrowed = narrow(&values, precision.dtype());
            narrowed.map_err(|why| Error::weights(source.path(), format!("{key} {why}")))
        };
        Entry::made(one.key.clone(), one.shape.clone(), precision, bytes)
    };
    write(path, wanted.iter().map(entry).collect(), about)
}
