//! Burn modules filled from a checkpoint.

use burn::module::Module;
use burn::tensor::TensorData;
use burn_store::{ApplyError, ApplyResult, ModuleSnapshot, PyTorchToBurnAdapter, bridge};

use super::Checkpoint;
use crate::Result;

/// How many keys of one kind an error lists.
const LISTED: usize = 8;

impl Checkpoint {
    /// `module` with the weights of this checkpoint, as f32. Both must have the same keys; the weights of linear maps
    /// lie as `[out, in]` here and as `[in, out]` in burn.
    ///
    /// # Errors
    /// [`Error::Checkpoint`](crate::Error::Checkpoint) names every missing, unexpected and misshapen key (the first
    /// eight of each kind), or the first tensor with a NaN or infinity.
    pub fn fill<M: Module>(&self, mut module: M) -> Result<M> {
        let mut tensors = Vec::with_capacity(self.tensors.len());
        for (key, stored) in &self.tensors {
            let data = TensorData::new(self.floats(key)?, stored.shape.clone());
            tensors.push(bridge::from_data(data, key.clone(), None));
        }
        let result = module.apply(tensors, None, Some(Box::new(PyTorchToBurnAdapter)), true);
        match faults(&result) {
            Some(why) => Err(self.fault(why)),
            None => Ok(module),
        }
    }
}

fn faults(result: &ApplyResult) -> Option<String> {
    let wrong = |error: &ApplyError| match error {
        ApplyError::ShapeMismatch { path, expected, found } => {
            format!("{path} is {:?}, the model wants {:?}", found.to_vec(), expected.to_vec())
        }
        other => other.to_string(),
    };
    let parts = [
        listed("wrong shape: ", result.errors.iter().map(wrong)),
        listed("missing: ", result.missing.iter().map(|(key, _)| key.clone())),
        listed("unexpected: ", result.unused.iter().cloned()),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| format!("the weights do not fit the model; {}", parts.join("; ")))
}

/// The first few of `keys`, sorted; `None` for none.
fn listed(what: &str, keys: impl Iterator<Item = String>) -> Option<String> {
    let mut keys: Vec<String> = keys.collect();
    keys.sort();
    let more = keys.len().saturating_sub(LISTED);
    keys.truncate(LISTED);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!keys.is_empty()).then(|| format!("{what}{}{rest}", keys.join(", ")))
}
