//! What a checkpoint holds, taken at one moment between two steps and written while the next ones are made.
//!
//! A [`Snapshot`] shares its tensors with the model. Before the training goes on they are copied into host memory
//! ([`Moment`]): a shared tensor would be copied by the optimizer's next step anyway, into new memory each time, while the
//! buffers of a moment are used again for the next one.

use std::path::Path;

use burn::module::Module;
use rayon::prelude::*;
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

    /// Writes every file into `dir`.
    #[cfg(test)]
    pub(crate) fn write(self, dir: &Path) -> Result<()> {
        self.copied(Vec::new()).write(dir)
    }
}

/// A snapshot in buffers of its own.
pub(super) struct Moment(Vec<(&'static str, Copied)>);

enum Copied {
    /// Names, shapes and bytes of f32 tensors, and a number as metadata.
    Tensors(Vec<(String, Vec<usize>, Vec<u8>)>, Option<u64>),
    Text(String),
}

impl Snapshot {
    /// The sizes of the buffers that its tensors will be copied into, in their order.
    pub(super) fn sizes(&self) -> Vec<usize> {
        let sizes = |(_, contents): &(&str, Contents)| match contents {
            Contents::Tensors(tensors, _) => tensors.iter().map(|(_, tensor)| tensor.bytes()).collect(),
            Contents::Text(_) => Vec::new(),
        };
        self.0.iter().flat_map(sizes).collect()
    }

    /// Copies every tensor, into `spare` buffers as far as there are.
    pub(super) fn copied(self, spare: Vec<Vec<u8>>) -> Moment {
        let mut spare = spare.into_iter();
        let mut copy = |contents: Contents| match contents {
            Contents::Text(text) => Copied::Text(text),
            Contents::Tensors(tensors, step) => {
                let with = |(name, tensor)| (name, tensor, spare.next().unwrap_or_default());
                let pairs: Vec<(String, Lazy, Vec<u8>)> = tensors.into_iter().map(with).collect();
                let one = |(name, tensor, buffer): (String, Lazy, Vec<u8>)| {
                    let bytes = tensor.copy_to(buffer);
                    (name, tensor.into_shape(), bytes)
                };
                Copied::Tensors(pairs.into_par_iter().map(one).collect(), step)
            }
        };
        Moment(self.0.into_iter().map(|(name, contents)| (name, copy(contents))).collect())
    }
}

impl Moment {
    /// Writes every file into `dir`.
    pub(super) fn write(&self, dir: &Path) -> Result<()> {
        for (name, contents) in &self.0 {
            let path = dir.join(name);
            match contents {
                Copied::Tensors(tensors, step) => tensors::write_bytes(&path, tensors, *step)?,
                Copied::Text(text) => pipeline::atomic::write(path, text)?,
            }
        }
        Ok(())
    }

    /// Its buffers, for the next moment.
    pub(super) fn into_buffers(self) -> Vec<Vec<u8>> {
        let buffers = |(_, contents)| match contents {
            Copied::Tensors(tensors, _) => tensors.into_iter().map(|(_, _, bytes)| bytes).collect(),
            Copied::Text(_) => Vec::new(),
        };
        self.0.into_iter().flat_map(buffers).collect()
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

    fn read_back(path: &Path) -> Linear {
        load_module(LinearConfig::new(3, 2).init(&Device::flex()), path).unwrap()
    }

    #[test]
    fn a_snapshot_keeps_its_moment_while_the_module_moves_on() {
        let device = Device::flex();
        let dir = tempfile::tempdir().unwrap();
        let layer = LinearConfig::new(3, 2).init(&device);
        let then = layer.weight.val().into_data();
        let snapshot = Snapshot::new().module("a.safetensors", &layer).text("b.txt", "b".into());
        // Buffers of another size are made to fit.
        let moment = snapshot.copied(vec![vec![1; 3], vec![2; 1000]]);
        let layer: Linear = layer.map(&mut Double);
        let dir_of_thread = dir.path().to_owned();
        let moment = std::thread::spawn(move || moment.write(&dir_of_thread).map(|()| moment));
        assert_eq!(moment.join().unwrap().unwrap().into_buffers().len(), 2, "weight and bias");
        let written = std::fs::read(dir.path().join("a.safetensors")).unwrap();
        crate::run::save_module(&read_back(&dir.path().join("a.safetensors")), &dir.path().join("c"))
            .unwrap();
        assert_eq!(std::fs::read(dir.path().join("c")).unwrap(), written);
        let read = load_module(layer, &dir.path().join("a.safetensors")).unwrap();
        assert_eq!(read.weight.val().into_data(), then);
        assert_eq!(std::fs::read_to_string(dir.path().join("b.txt")).unwrap(), "b");
    }
}
