//! What a checkpoint holds, taken at one moment between two steps and written while the next ones are made.
//!
//! Tensors are shared with the model, not copied: the optimizer's next step finds them shared and makes new ones, so the
//! moment stays as it was at the price of one copy in memory until the files are written.

use std::path::Path;

use burn::module::Module;
use sha2::{Digest, Sha256};

use super::tensors::{self, Lazy};
use crate::Result;

/// Files of a checkpoint that are not written yet.
#[derive(Default)]
pub struct Snapshot(Vec<(&'static str, Contents)>);

enum Contents {
    /// Named tensors, and a number as metadata.
    Tensors(Vec<(String, Lazy)>, Option<u64>),
    Text(String),
}

impl Snapshot {
    /// No file yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds every float parameter of a module, by its path.
    #[must_use]
    pub fn module<M: Module>(self, name: &'static str, module: &M) -> Self {
        self.tensors(name, tensors::collect(module), None)
    }

    /// Adds named tensors with a number.
    #[must_use]
    pub(crate) fn tensors(
        mut self,
        name: &'static str,
        tensors: Vec<(String, Lazy)>,
        step: Option<u64>,
    ) -> Self {
        self.0.push((name, Contents::Tensors(tensors, step)));
        self
    }

    /// Adds a file of text.
    #[must_use]
    pub fn text(mut self, name: &'static str, text: String) -> Self {
        self.0.push((name, Contents::Text(text)));
        self
    }

    /// Hash of everything in it, to the last bit.
    #[must_use]
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        for (name, contents) in &self.0 {
            hash.update(name.as_bytes());
            match contents {
                Contents::Tensors(tensors, step) => {
                    hash.update(step.unwrap_or_default().to_le_bytes());
                    tensors.iter().for_each(|(name, tensor)| {
                        hash.update(name.as_bytes());
                        hash.update(tensor.read().as_bytes());
                    });
                }
                Contents::Text(text) => hash.update(text.as_bytes()),
            }
        }
        hex(&hash.finalize())
    }

    /// Writes every file into `dir`; each tensor is read from its device when its turn comes.
    pub(crate) fn write(self, dir: &Path) -> Result<()> {
        for (name, contents) in self.0 {
            let path = dir.join(name);
            match contents {
                Contents::Tensors(tensors, step) => tensors::write(&path, tensors, step)?,
                Contents::Text(text) => pipeline::atomic::write(path, text)?,
            }
        }
        Ok(())
    }
}

/// A hash as it is shown.
pub(super) fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use burn::module::{ModuleMapper, Param};
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::{Device, Tensor};

    use super::*;
    use crate::run::load_module;

    struct Double;

    impl ModuleMapper for Double {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| tensor * 2.0)
        }
    }

    #[test]
    fn a_snapshot_keeps_its_moment_while_the_module_moves_on() {
        let device = Device::flex();
        let dir = tempfile::tempdir().unwrap();
        let layer = LinearConfig::new(3, 2).init(&device);
        let then = layer.weight.val().into_data();
        let snapshot = Snapshot::new().module("a.safetensors", &layer).text("b.txt", "b".into());
        let layer: Linear = layer.map(&mut Double);
        std::thread::spawn({
            let dir = dir.path().to_owned();
            move || snapshot.write(&dir)
        })
        .join()
        .unwrap()
        .unwrap();
        let read = load_module(layer, &dir.path().join("a.safetensors")).unwrap();
        assert_eq!(read.weight.val().into_data(), then);
        assert_eq!(std::fs::read_to_string(dir.path().join("b.txt")).unwrap(), "b");
    }
}
