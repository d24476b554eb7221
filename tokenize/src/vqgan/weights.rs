//! Weights in and out under the published names.

use std::path::Path;

use burn::tensor::DType;
use burn_store::{FloatCastAdapter, ModuleSnapshot, SafetensorsStore};

use super::VqGan;
use crate::checkpoint::Checkpoint;
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

/// A key of every model in taming's layout.
pub(crate) const ANCHOR: &str = "encoder.conv_in.weight";
/// What lies beside the codec in its own part of a file: discriminator and perceptual loss (taming), the running
/// average (LDM), the palette that draws label maps (taming's segmentation model).
const BESIDE: [&str; 3] = ["loss.", "model_ema.", "colorize"];

impl VqGan {
    /// The codec's own part of a checkpoint in taming's layout, wherever a training program put it; `None` if there is
    /// none.
    pub fn weights_in(file: &Checkpoint) -> Option<Checkpoint> {
        Some(file.below(ANCHOR)?.without(&BESIDE))
    }

    /// The model with the weights of `path`, of any container that [`Checkpoint`] reads.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] names every missing, unexpected or misshapen key.
    pub fn load(self, path: &Path) -> Result<Self> {
        let file = Checkpoint::open(path)?;
        let weights = Self::weights_in(&file).ok_or_else(|| file.fault(format!("no VQGAN: no {ANCHOR}")))?;
        weights.fill(self)
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
