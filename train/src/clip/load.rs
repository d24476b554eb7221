//! CLIP's tensors from a checkpoint of Hugging Face's layout.

use burn::tensor::{Device, Tensor, TensorData};
use tokenize::checkpoint::Checkpoint;

use crate::{Error, Result};

/// An opened checkpoint and the device that its tensors go to.
pub(super) struct Reader<'a> {
    pub(super) file: &'a Checkpoint,
    pub(super) device: &'a Device,
}

impl Reader<'_> {
    /// A tensor of that very shape.
    ///
    /// # Errors
    /// It is missing or has another, which is named.
    pub(super) fn tensor<const D: usize>(&self, key: &str, shape: [usize; D]) -> Result<Tensor<D>> {
        match self.file.shape(key) {
            None => Err(Error::weights(self.file.path(), format!("no tensor {key}, which a CLIPModel has"))),
            Some(found) if found != shape => {
                let why = format!("{key} is {found:?}, config.json asks for {shape:?}");
                Err(Error::weights(self.file.path(), why))
            }
            Some(_) => Ok(Tensor::from_data(TensorData::new(self.file.floats(key)?, shape), self.device)),
        }
    }

    /// A tensor of one number.
    ///
    /// # Errors
    /// As for [`Self::tensor`].
    pub(super) fn number(&self, key: &str) -> Result<f32> {
        let shape = self.file.shape(key).unwrap_or(&[0]);
        if shape.iter().product::<usize>() != 1 {
            return Err(Error::weights(self.file.path(), format!("no number {key}, which a CLIPModel has")));
        }
        Ok(self.file.floats(key)?[0])
    }
}
