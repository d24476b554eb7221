//! Published weights: tensors by name from every container that the field uses, and burn modules filled from them.
//!
//! [`Checkpoint::open`] takes a `.safetensors` file, anything that `torch.save` wrote (`.ckpt`, `.pth`, `.pt`, `.bin`,
//! `.pkl`: the content decides, not the name), or a Hugging Face folder with one file or several. [`Checkpoint::below`]
//! finds the part that is wanted inside a Lightning or LDM checkpoint, [`Checkpoint::fill`] puts it into a module and
//! names every key that does not fit. Pickles are never executed ([`pickle`]).

mod fill;
mod folder;
mod pickle;
mod safetensors;
mod torch;
mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::DType;
use sha2::{Digest, Sha256};

pub use values::narrow;

use crate::{Error, Result};

/// Why a file cannot be used, in words; the path is added outside.
type Fault = String;

/// A tensor in a file, its numbers unread.
#[derive(Clone)]
struct Stored {
    shape: Vec<usize>,
    dtype: DType,
    /// Its numbers as little-endian bytes in row-major order.
    read: Arc<dyn Fn() -> std::result::Result<Vec<u8>, Fault> + Send + Sync>,
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}{:?}", self.dtype, self.shape)
    }
}

/// An opened checkpoint. Its numbers are read when they are asked for.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    path: PathBuf,
    files: Vec<PathBuf>,
    sha256: String,
    tensors: BTreeMap<String, Stored>,
}

impl Checkpoint {
    /// Opens a weights file, or a folder of Hugging Face's layout.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that cannot be read. [`Error::Checkpoint`] for one that is no checkpoint, is damaged or
    /// cut off, or whose pickle calls a function that no weights need, which is named and not executed.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_as(path, sha256)
    }

    /// The same without its identity, which takes a second for each gigabyte: [`Self::sha256`] is empty.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn open_unhashed(path: &Path) -> Result<Self> {
        Self::open_as(path, |_| Ok(String::new()))
    }

    fn open_as(path: &Path, identity: fn(&Path) -> Result<String>) -> Result<Self> {
        if std::fs::metadata(path).map_err(Error::io(path))?.is_dir() {
            return folder::open(path, identity);
        }
        let tensors = read(path)?;
        Ok(Self { path: path.to_owned(), files: vec![path.to_owned()], sha256: identity(path)?, tensors })
    }

    /// One checkpoint of several, each under a prefix of its own (such as `encoder` and `decoder`). Its identity is the
    /// sha256 of their sha256s (64 hex digits each) in this order.
    #[must_use]
    pub fn joined(path: &Path, parts: Vec<(&str, Self)>) -> Self {
        let mut hash = Sha256::new();
        let mut joined = Self {
            path: path.to_owned(),
            files: Vec::new(),
            sha256: String::new(),
            tensors: BTreeMap::new(),
        };
        for (prefix, part) in parts {
            hash.update(&part.sha256);
            joined.files.extend(part.files);
            joined.tensors.extend(part.tensors.into_iter().map(|(key, stored)| match prefix {
                "" => (key, stored),
                prefix => (format!("{prefix}.{key}"), stored),
            }));
        }
        joined.sha256 = hex(hash);
        joined
    }

    /// What was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The weights files, in the order of their hash.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// sha256 of the weights file in hex; of several files, the sha256 of their sha256s in hex, one after the other.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Names of all tensors, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Sizes of a tensor.
    pub fn shape(&self, key: &str) -> Option<&[usize]> {
        self.tensors.get(key).map(|stored| stored.shape.as_slice())
    }

    /// Number format of a tensor in the file.
    pub fn dtype(&self, key: &str) -> Option<DType> {
        self.tensors.get(key).map(|stored| stored.dtype)
    }

    /// A tensor's numbers as f32, in row-major order.
    ///
    /// # Errors
    /// No tensor of that name, a damaged file, or a NaN or infinity in it.
    pub fn floats(&self, key: &str) -> Result<Vec<f32>> {
        let (stored, bytes) = self.stored(key)?;
        values::floats(&bytes, stored.dtype).map_err(|why| self.fault(format!("{key} {why}")))
    }

    /// A matrix's numbers as f32, column after column.
    ///
    /// # Errors
    /// As for [`Self::floats`], and for a tensor that is no matrix.
    pub fn columns(&self, key: &str) -> Result<Vec<f32>> {
        let (stored, bytes) = self.stored(key)?;
        let &[_, columns] = stored.shape.as_slice() else {
            return Err(self.fault(format!("{key} of shape {:?} is no matrix", stored.shape)));
        };
        values::columns(&bytes, stored.dtype, columns).map_err(|why| self.fault(format!("{key} {why}")))
    }

    /// A tensor's numbers as they are stored: little-endian, in row-major order.
    ///
    /// # Errors
    /// No tensor of that name, or a damaged file.
    pub fn bytes(&self, key: &str) -> Result<Vec<u8>> {
        Ok(self.stored(key)?.1)
    }

    fn stored(&self, key: &str) -> Result<(&Stored, Vec<u8>)> {
        let stored = self.tensors.get(key).ok_or_else(|| self.fault(format!("no tensor {key:?}")))?;
        let bytes = (stored.read)().map_err(|why| self.fault(format!("{key}: {why}")))?;
        Ok((stored, bytes))
    }

    /// An [`Error::Checkpoint`] of this file.
    pub fn fault(&self, why: impl Into<String>) -> Error {
        Error::Checkpoint { path: self.path.clone(), why: why.into() }
    }

    /// What a zip archive of `torch.save` says under `key` beside its tensors, such as `hparams`: numbers, texts, lists
    /// and mappings, and `null` for anything else. `None` where there is no such key, or the file is no such archive.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] for a damaged file.
    pub fn plain(&self, key: &str) -> Result<Option<serde_json::Value>> {
        let mut head = [0; 2];
        let file = File::open(&self.path).and_then(|mut file| file.read(&mut head));
        match file {
            Ok(2) if &head == b"PK" => torch::plain(&self.path, key).map_err(|why| self.fault(why)),
            _ => Ok(None),
        }
    }

    /// With every shape as `shape` gives it for a key and its shape; the numbers stay in their order.
    #[must_use]
    pub fn reshaped(mut self, shape: impl Fn(&str, &[usize]) -> Vec<usize>) -> Self {
        for (key, stored) in &mut self.tensors {
            let new = shape(key, &stored.shape);
            if new.iter().product::<usize>() == stored.shape.iter().product::<usize>() {
                stored.shape = new;
            }
        }
        self
    }

    /// The part of the checkpoint in which `anchor` is a key: all keys beside it, with what stands before it cut off.
    ///
    /// A Lightning checkpoint holds the model under `state_dict.`, one of LDM a codec under
    /// `state_dict.first_stage_model.`, LlamaGen's under `model.`, Sber's under `state_dict.model.`. Where several parts
    /// have the key, a running average (`ema`) comes last and the shortest prefix first, as the published programs
    /// choose. The anchor may also name a part of the keys (`encoder.`).
    pub fn below(&self, anchor: &str) -> Option<Self> {
        let prefix = |key: &String| {
            let at = key.find(anchor).filter(|at| *at == 0 || key.as_bytes()[at - 1] == b'.')?;
            let whole = anchor.ends_with('.') || key.len() == at + anchor.len();
            whole.then(|| key[..at].to_owned())
        };
        let mut prefixes: Vec<String> = self.tensors.keys().filter_map(prefix).collect();
        prefixes.sort_by_key(|prefix| (prefix.contains("ema"), prefix.len()));
        let prefix = prefixes.into_iter().next()?;
        Some(self.clone().renamed(|key| key.strip_prefix(&prefix).map(str::to_owned)))
    }

    /// Without the keys that begin with one of `prefixes`.
    #[must_use]
    pub fn without(mut self, prefixes: &[&str]) -> Self {
        self.tensors.retain(|key, _| !prefixes.iter().any(|prefix| key.starts_with(prefix)));
        self
    }

    /// With other keys; those for which `name` gives nothing are left out.
    #[must_use]
    pub fn renamed(mut self, name: impl Fn(&str) -> Option<String>) -> Self {
        let renamed = std::mem::take(&mut self.tensors).into_iter();
        self.tensors = renamed.filter_map(|(key, stored)| Some((name(&key)?, stored))).collect();
        self
    }
}

/// The tensors of one file; its first bytes tell the container.
fn read(path: &Path) -> Result<BTreeMap<String, Stored>> {
    let mut head = Vec::new();
    let file = File::open(path).map_err(Error::io(path))?;
    file.take(9).read_to_end(&mut head).map_err(Error::io(path))?;
    let tensors = match head.as_slice() {
        [b'P', b'K', ..] => torch::open_zip(path),
        [_, _, _, _, _, 0, 0, 0, b'{'] => safetensors::open(path),
        [0x80 | b'(' | b'c' | b']' | b'}', ..] => torch::open_stream(path),
        [] => Err("the file is empty".to_owned()),
        _ => Err("neither safetensors nor a file of torch.save".to_owned()),
    };
    let fault = |why| Error::Checkpoint { path: path.to_owned(), why };
    let tensors = tensors.map_err(fault)?;
    if tensors.is_empty() {
        return Err(fault("the file holds no tensors".to_owned()));
    }
    Ok(tensors)
}

/// The identity of files with these contents, as [`Checkpoint::sha256`] gives it.
pub(crate) fn identity(contents: &[Vec<u8>]) -> String {
    let hashes: Vec<String> = contents.iter().map(|bytes| hex(Sha256::new_with_prefix(bytes))).collect();
    match hashes.as_slice() {
        [single] => single.clone(),
        several => hex(Sha256::new_with_prefix(several.concat())),
    }
}

/// sha256 of a file in hex.
pub fn sha256(path: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    let mut file = BufReader::with_capacity(1 << 20, File::open(path).map_err(Error::io(path))?);
    loop {
        let block = file.fill_buf().map_err(Error::io(path))?;
        if block.is_empty() {
            break;
        }
        hash.update(block);
        let length = block.len();
        file.consume(length);
    }
    Ok(hex(hash))
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
