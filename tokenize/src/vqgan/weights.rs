//! Weights in and out: safetensors under the published names, and taming's Lightning checkpoints.

use std::path::Path;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, FloatDType, Tensor};
use burn_store::{ApplyResult, FloatCastAdapter, ModuleSnapshot, PathFilter, PytorchStore, SafetensorsStore};

use super::VqGan;
use crate::{Error, Result};

/// Number format of saved weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits.
    #[default]
    Full,
    /// 16 bits, as the shipped codecs are.
    Half,
}

/// Casts every parameter to f32, whatever the file held.
struct ToF32;

impl ModuleMapper for ToF32 {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| if tensor.dtype() == DType::F32 { tensor } else { tensor.cast(FloatDType::F32) })
    }
}

impl VqGan {
    /// The model with the weights of `path`: `.safetensors`, or anything `torch.save` writes
    /// (a Lightning checkpoint's `state_dict` is found; its `loss.*` is left out).
    ///
    /// # Errors
    /// [`Error::Checkpoint`] names every missing, unexpected or misshapen key.
    pub fn load(mut self, path: &Path) -> Result<Self> {
        let result = if path.extension().is_some_and(|extension| extension == "safetensors") {
            let mut store = SafetensorsStore::from_file(path).allow_partial(true).validate(false);
            self.load_from(&mut store).map_err(|error| refuse(path, error))?
        } else {
            let mut store = PytorchStore::from_file(path)
                .with_top_level_key("state_dict")
                .map_indices_contiguous(false)
                .filter(PathFilter::new().with_predicate(|key, _| !key.starts_with("loss.")))
                .allow_partial(true)
                .validate(false);
            self.load_from(&mut store).map_err(|error| refuse(path, error))?
        };
        complete(path, &result)?;
        Ok(self.map(&mut ToF32))
    }

    /// Writes the weights under the published names, atomically.
    ///
    /// # Errors
    /// [`Error::Pipeline`] when the file cannot be written, [`Error::Checkpoint`] when the weights cannot be read back
    /// from their device.
    pub fn save(&self, path: &Path, precision: Precision) -> Result<()> {
        // In memory first: a store of files tells of a full disk as text, without the cause.
        let store = SafetensorsStore::from_bytes(None).clear_metadata();
        let mut store = match precision {
            Precision::Full => store,
            Precision::Half => store.with_to_adapter(FloatCastAdapter::to(DType::F16)),
        };
        self.save_into(&mut store).map_err(|error| refuse(path, error))?;
        let bytes = store.get_bytes().map_err(|error| refuse(path, error))?;
        Ok(pipeline::atomic::write(path, bytes)?)
    }
}

fn refuse(path: &Path, why: impl ToString) -> Error {
    Error::Checkpoint { path: path.to_owned(), why: why.to_string() }
}

/// Refuses a file that does not fill the model exactly.
fn complete(path: &Path, result: &ApplyResult) -> Result<()> {
    let mut faults: Vec<String> = result.errors.iter().map(ToString::to_string).collect();
    faults.extend(result.missing.iter().map(|(key, _)| format!("missing {key}")));
    let unused = result.unused.iter().filter(|key| !key.starts_with("loss."));
    faults.extend(unused.map(|key| format!("unexpected {key}")));
    if faults.is_empty() {
        return Ok(());
    }
    let shown = faults.iter().take(8).cloned().collect::<Vec<_>>().join("; ");
    let more = faults.len().saturating_sub(8);
    let tail = if more > 0 { format!("; and {more} more") } else { String::new() };
    Err(refuse(path, format!("the weights do not fit the configuration: {shown}{tail}")))
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::super::VqGanConfig;
    use super::*;

    #[test]
    fn a_file_that_cannot_be_written_keeps_its_cause_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("codec.safetensors");
        std::fs::create_dir_all(taken.join("full")).unwrap();
        let config = VqGanConfig { ch: 8, ch_mult: vec![1], groups: 4, ..VqGanConfig::default() };
        let model = config.init(&Device::flex()).unwrap();
        let error = model.save(&taken, Precision::Half).unwrap_err();
        assert!(matches!(error, Error::Pipeline(pipeline::Error::Io { .. })), "{error}");
        assert_eq!(error.exit_code(), 75);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file");
    }
}
