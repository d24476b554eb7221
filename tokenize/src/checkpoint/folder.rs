//! A Hugging Face model folder: one weights file, or an index that says which of several files holds which tensor.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use super::{Checkpoint, read};
use crate::{Error, Result};

/// Names of weights in the order in which transformers and diffusers look for them.
const WEIGHTS: [&str; 4] = [
    "model.safetensors",
    "diffusion_pytorch_model.safetensors",
    "pytorch_model.bin",
    "diffusion_pytorch_model.bin",
];

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// How a file's identity is found.
type Identity = fn(&Path) -> Result<String>;

pub(super) fn open(dir: &Path, identity: Identity) -> Result<Checkpoint> {
    for name in WEIGHTS {
        let (file, index) = (dir.join(name), dir.join(format!("{name}.index.json")));
        if file.is_file() {
            return Ok(Checkpoint { path: dir.to_owned(), ..Checkpoint::open_as(&file, identity)? });
        }
        if index.is_file() {
            return sharded(dir, &index, identity);
        }
    }
    let why = format!("the folder holds none of {}, nor an index of one", WEIGHTS.join(", "));
    Err(Error::Checkpoint { path: dir.to_owned(), why })
}

fn sharded(dir: &Path, index: &Path, identity: Identity) -> Result<Checkpoint> {
    let fault = |why: String| Error::Checkpoint { path: index.to_owned(), why };
    let text = std::fs::read(index).map_err(Error::io(index))?;
    let Index { weight_map } = serde_json::from_slice(&text).map_err(|error| fault(error.to_string()))?;
    let names: BTreeSet<&String> = weight_map.values().collect();
    let mut parts = Vec::new();
    for name in names {
        if Path::new(name).file_name().is_none_or(|file| file != name.as_str()) {
            return Err(fault(format!("{name:?} is not the name of a file in this folder")));
        }
        let path = dir.join(name);
        let mut tensors = read(&path)?;
        tensors.retain(|key, _| weight_map.get(key) == Some(name));
        parts.push(("", Checkpoint { sha256: identity(&path)?, files: vec![path.clone()], path, tensors }));
    }
    let joined = Checkpoint::joined(dir, parts);
    match weight_map.iter().find(|(key, _)| !joined.tensors.contains_key(*key)) {
        Some((key, name)) => Err(fault(format!("{key} is not in {name}, where the index puts it"))),
        None => Ok(joined),
    }
}
