//! The tensors of a `.safetensors` file, mapped into memory by burn-store.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use burn_store::{ModuleStore, SafetensorsStore};

use super::{Fault, Stored};

pub(super) fn open(path: &Path) -> Result<BTreeMap<String, Stored>, Fault> {
    let mut store = SafetensorsStore::from_file(path);
    let tensors =
        store.get_all_tensors().map_err(|error| format!("the file is damaged or cut off ({error})"))?;
    let stored = |(key, tensor): (&String, &burn_store::burn_pack::Tensor)| {
        let (shape, dtype, tensor) = (tensor.shape.to_vec(), tensor.dtype, tensor.clone());
        let read = move || tensor.to_bytes().map(|bytes| bytes.to_vec()).map_err(|error| error.to_string());
        (key.clone(), Stored { shape, dtype, read: Arc::new(read) })
    };
    Ok(tensors.iter().map(stored).collect())
}
