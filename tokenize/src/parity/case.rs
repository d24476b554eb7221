//! Reads a parity case: `case.json` and `io.safetensors`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use serde_json::Value;

use crate::{Error, Result};

/// How far an output may be from the expected one.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Tolerance {
    /// Absolute part.
    pub abs: f64,
    /// Part relative to the expected value.
    pub rel: f64,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { abs: 1e-4, rel: 1e-4 }
    }
}

/// Numbers of a tensor in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Real numbers.
    F32(Vec<f32>),
    /// Integers (codes, ids), compared exactly.
    I64(Vec<i64>),
}

/// A tensor outside any device.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Sizes, slowest axis first.
    pub shape: Vec<usize>,
    /// The numbers.
    pub values: Values,
}

impl Array {
    /// A real tensor.
    pub fn f32(shape: &[usize], values: Vec<f32>) -> Self {
        Self { shape: shape.to_vec(), values: Values::F32(values) }
    }

    /// An integer tensor.
    pub fn i64(shape: &[usize], values: Vec<i64>) -> Self {
        Self { shape: shape.to_vec(), values: Values::I64(values) }
    }
}

/// One opened case.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its folder.
    pub dir: PathBuf,
    /// Its name.
    pub name: String,
    /// Which model family it is for.
    pub model: String,
    /// The rule of comparison.
    pub tolerance: Tolerance,
    /// The whole `case.json`, for the model's own keys.
    pub json: Value,
    tensors: BTreeMap<String, Array>,
}

#[derive(Deserialize)]
struct Header {
    case: String,
    model: String,
    #[serde(default)]
    tolerance: Tolerance,
}

impl Case {
    /// Opens the case in `dir`.
    ///
    /// # Errors
    /// A missing or malformed `case.json` or `io.safetensors`.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref().to_owned();
        let path = dir.join("case.json");
        let fault = |why: String| Error::Case { path: path.clone(), why };
        let text = std::fs::read(&path).map_err(Error::io(&path))?;
        let json: Value = serde_json::from_slice(&text).map_err(|e| fault(e.to_string()))?;
        let header = Header::deserialize(&json).map_err(|e| fault(e.to_string()))?;
        let of_texts = json.pointer("/expected/file").is_some_and(|file| file == "expected.jsonl");
        let tensors = if of_texts { BTreeMap::new() } else { read_tensors(&dir.join("io.safetensors"))? };
        Ok(Self { dir, name: header.case, model: header.model, tolerance: header.tolerance, json, tensors })
    }

    /// The checkpoint that the case names, as a path.
    ///
    /// # Errors
    /// A case without a checkpoint.
    pub fn checkpoint(&self) -> Result<PathBuf> {
        let file = self.json.pointer("/checkpoint/file").and_then(Value::as_str);
        file.map(|file| self.dir.join(file)).ok_or_else(|| self.fault("checkpoint.file is missing"))
    }

    /// A part of the model's configuration (`/config/...`) as a typed value.
    ///
    /// # Errors
    /// A missing key or another type.
    pub fn config<T: serde::de::DeserializeOwned>(&self, pointer: &str) -> Result<T> {
        let value = self.json.pointer(pointer).ok_or_else(|| self.fault(&format!("{pointer} is missing")))?;
        T::deserialize(value).map_err(|e| self.fault(&format!("{pointer}: {e}")))
    }

    /// A stored tensor.
    ///
    /// # Errors
    /// No tensor of that name.
    pub fn tensor(&self, name: &str) -> Result<&Array> {
        self.tensors.get(name).ok_or_else(|| self.fault(&format!("io.safetensors has no {name:?}")))
    }

    /// A stored real tensor: shape and numbers.
    ///
    /// # Errors
    /// No tensor of that name, or integers.
    pub fn reals(&self, name: &str) -> Result<(&[usize], &[f32])> {
        match self.tensor(name)? {
            Array { shape, values: Values::F32(values) } => Ok((shape, values)),
            Array { .. } => Err(self.fault(&format!("{name:?} holds integers, not reals"))),
        }
    }

    /// A stored integer tensor: shape and numbers.
    ///
    /// # Errors
    /// No tensor of that name, or reals.
    pub fn integers(&self, name: &str) -> Result<(&[usize], &[i64])> {
        match self.tensor(name)? {
            Array { shape, values: Values::I64(values) } => Ok((shape, values)),
            Array { .. } => Err(self.fault(&format!("{name:?} holds reals, not integers"))),
        }
    }

    /// Every stored tensor by name.
    pub fn tensors(&self) -> &BTreeMap<String, Array> {
        &self.tensors
    }

    /// An error that names this case.
    pub fn fault(&self, why: &str) -> Error {
        Error::Case { path: self.dir.clone(), why: why.to_owned() }
    }
}

fn read_tensors(path: &Path) -> Result<BTreeMap<String, Array>> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let fault = |why: String| Error::Case { path: path.to_owned(), why };
    let file = SafeTensors::deserialize(&bytes).map_err(|e| fault(e.to_string()))?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.iter() {
        let values = match view.dtype() {
            Dtype::F32 => Values::F32(numbers(view.data(), f32::from_le_bytes)),
            Dtype::I64 => Values::I64(numbers(view.data(), i64::from_le_bytes)),
            other => return Err(fault(format!("{name}: {other:?} is neither f32 nor i64"))),
        };
        tensors.insert(name.to_owned(), Array { shape: view.shape().to_vec(), values });
    }
    Ok(tensors)
}

fn numbers<const N: usize, T>(data: &[u8], read: fn([u8; N]) -> T) -> Vec<T> {
    data.as_chunks::<N>().0.iter().map(|chunk| read(*chunk)).collect()
}

#[cfg(test)]
mod tests {
    use pipeline::atomic;

    use super::*;

    #[test]
    fn a_case_gives_its_tensors_and_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let text = r#"{"case":"c","model":"m","tolerance":{"abs":0.5,"rule":"any"},"checkpoint":{"file":"w.ckpt"},"config":{"n":3}}"#;
        atomic::write(folder.path().join("case.json"), text).unwrap();
        let x: Vec<u8> = [1.0_f32, -2.5].iter().flat_map(|v| v.to_le_bytes()).collect();
        let ids: Vec<u8> = [7_i64].iter().flat_map(|v| v.to_le_bytes()).collect();
        let views = [
            ("x", safetensors::tensor::TensorView::new(Dtype::F32, vec![1, 2], &x).unwrap()),
            ("ids", safetensors::tensor::TensorView::new(Dtype::I64, vec![1], &ids).unwrap()),
        ];
        atomic::write(folder.path().join("io.safetensors"), safetensors::serialize(views, None).unwrap())
            .unwrap();
        let case = Case::open(folder.path()).unwrap();
        assert_eq!((case.name.as_str(), case.model.as_str()), ("c", "m"));
        assert_eq!(case.tolerance, Tolerance { abs: 0.5, rel: 1e-4 });
        assert_eq!(case.reals("x").unwrap(), (&[1, 2][..], &[1.0, -2.5][..]));
        assert_eq!(case.integers("ids").unwrap().1, [7]);
        assert!(case.integers("x").unwrap_err().to_string().contains("reals"));
        assert_eq!(case.config::<usize>("/config/n").unwrap(), 3);
        assert!(case.checkpoint().unwrap().ends_with("w.ckpt"));
        assert!(case.tensor("y").unwrap_err().to_string().contains("no \"y\""));
    }

    #[test]
    fn a_folder_without_a_case_is_named() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Case::open(folder.path()).unwrap_err().to_string().contains("case.json"));
    }
}
