//! One try at one unit, and what it writes under names that no other try has.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::commit::{Commit, is_committed, record};
use super::names::attempt_tag;
use super::{Plan, Unit, hex};
use crate::interrupt::Interrupt;
use crate::store::{Store, StoreWriter};
use crate::{Error, Result};

/// One file of a unit, or a folder of files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitFile {
    /// Its name; a folder's ends in `/`.
    pub name: String,
    /// Size in bytes; of a folder the sum over its files.
    pub bytes: u64,
    /// SHA-256 of the content; of a folder that over name, size and content of its files in the order of writing.
    pub sha256: String,
}

/// What an attempt made.
#[derive(Clone, Debug, PartialEq)]
pub struct Produced {
    /// The files, in the order in which they get their final names.
    pub files: Vec<UnitFile>,
    /// Rows.
    pub rows: u64,
    /// Rows per outcome.
    pub counts: BTreeMap<String, u64>,
    /// For the stats file; `Null` for none.
    pub stats: serde_json::Value,
}

/// One try at one unit.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// The unit.
    pub unit: &'a Unit,
    store: &'a Store,
    interrupt: &'a Interrupt,
    /// Set when another unit failed: no use in going on.
    abandoned: &'a AtomicBool,
    /// `00017`.
    label: String,
    /// `00017-0123456789abcdef`.
    stem: String,
    /// Names under which something may lie.
    begun: Mutex<Vec<String>>,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(
        plan: &Plan,
        unit: &'a Unit,
        store: &'a Store,
        interrupt: &'a Interrupt,
        abandoned: &'a AtomicBool,
    ) -> Self {
        let label = plan.label(unit.index);
        let stem = format!("{label}-{}", attempt_tag());
        Self { unit, store, interrupt, abandoned, label, stem, begun: Mutex::default() }
    }

    /// How the unit is numbered in file names.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Works and commits; `None` if another attempt was first.
    pub(super) fn carry_out(
        &self,
        plan: &Plan,
        work: impl FnOnce(&Self) -> Result<Produced>,
    ) -> Result<Option<Commit>> {
        match work(self) {
            Ok(produced) => record(self.store, plan, self.unit, produced),
            Err(error) => {
                self.clear();
                // Another process committed the last unit meanwhile and swept up, this attempt's unfinished file as well.
                let lost = error.is_not_found() && is_committed(self.store, self.unit.index).unwrap_or(false);
                if lost { Ok(None) } else { Err(error) }
            }
        }
    }

    /// Removes what a failed attempt finished. Best effort: what stays costs space until [`super::finish`] sweeps it.
    pub(super) fn clear(&self) {
        for name in self.begun.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            drop(delete(self.store, &name));
        }
    }

    /// Whether others have committed every one of these units meanwhile.
    pub(super) fn all_lost(attempts: &[Self]) -> bool {
        let lost = |attempt: &Self| is_committed(attempt.store, attempt.unit.index).unwrap_or(false);
        attempts.iter().all(lost)
    }

    fn begin(&self, name: &str) {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).push(name.to_owned());
    }

    /// Starts a data file under a name that no other attempt has; one per `extension`, which has no dot.
    pub fn shard(&self, extension: &str) -> Result<ShardWriter> {
        let name = format!("{}.{extension}", self.stem);
        self.begin(&name);
        Ok(ShardWriter { writer: self.store.writer(&name)?, name, hash: Sha256::new(), bytes: 0 })
    }

    /// Starts a folder of small files under a name that no other attempt has.
    pub fn folder(&self) -> Result<FolderWriter> {
        let name = format!("{}/", self.stem);
        self.begin(&name);
        if let Some(path) = self.store.local_path(&name) {
            std::fs::create_dir(&path).map_err(|e| Error::io(path, e))?;
        }
        let (store, hash) = (self.store.clone(), Sha256::new());
        Ok(FolderWriter { store, name, hash, bytes: 0, files: Vec::new() })
    }

    /// An error once the work should stop; call it often, what is not committed is simply dropped.
    pub fn check(&self) -> Result<()> {
        self.interrupt.check()?;
        match self.abandoned.load(Ordering::Relaxed) {
            true => Err(Error::Lost { what: "another unit" }),
            false => Ok(()),
        }
    }
}

/// Deletes a file or a folder of a unit.
pub(super) fn delete(store: &Store, name: &str) -> Result<()> {
    match name.ends_with('/') {
        true => store.delete_folder(name),
        false => store.delete(name),
    }
}

/// A data file of an attempt: hashes what is written; dropped before it is closed it leaves nothing.
#[derive(Debug)]
pub struct ShardWriter {
    writer: StoreWriter,
    name: String,
    hash: Sha256,
    bytes: u64,
}

impl ShardWriter {
    /// Makes the file visible under the attempt's name (not yet as a shard) and describes it.
    pub fn close(self) -> Result<UnitFile> {
        self.writer.commit()?;
        Ok(UnitFile { name: self.name, bytes: self.bytes, sha256: hex(&self.hash.finalize()) })
    }

    /// The same for a unit that is this one file.
    pub fn finish(
        self,
        rows: u64,
        counts: BTreeMap<String, u64>,
        stats: serde_json::Value,
    ) -> Result<Produced> {
        Ok(Produced { files: vec![self.close()?], rows, counts, stats })
    }
}

impl Write for ShardWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.writer.write(buf)?;
        self.hash.update(&buf[..n]);
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// A folder of an attempt.
#[derive(Debug)]
pub struct FolderWriter {
    store: Store,
    name: String,
    hash: Sha256,
    bytes: u64,
    files: Vec<String>,
}

impl FolderWriter {
    /// Adds files under names that the folder does not have.
    pub fn put_all(&mut self, files: Vec<(String, Bytes)>) -> Result<()> {
        for (name, bytes) in &files {
            for part in [name.as_bytes(), &bytes.len().to_le_bytes(), bytes] {
                self.hash.update(part);
            }
            self.bytes += bytes.len() as u64;
            self.files.push(name.clone());
        }
        self.store.put_all(&self.name, files)
    }

    /// Makes the files durable and describes the folder.
    pub fn close(self) -> Result<UnitFile> {
        self.store.sync(&self.name, &self.files)?;
        Ok(UnitFile { name: self.name, bytes: self.bytes, sha256: hex(&self.hash.finalize()) })
    }
}
