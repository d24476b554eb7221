//! A folder or a bucket under one root: small files by put-if-absent, large ones through a writer that appears whole.
//!
//! The put-if-absent of `object_store` ([`PutMode::Create`]) is what the commit contract of [`crate::unit`] stands
//! on; it is a hard link on a disk and a conditional request on S3, GCS and Azure. All calls block.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use tokio::io::AsyncWriteExt;
use tokio::runtime::Runtime;

use crate::atomic::AtomicFile;
use crate::{Error, Result};

/// A folder or bucket; clones share the connection.
#[derive(Clone, Debug)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    /// Path of the root inside a bucket.
    prefix: ObjectPath,
    /// The root as the user named it.
    location: String,
    /// The root folder, when it is one.
    folder: Option<PathBuf>,
}

/// One file of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name inside the folder that was listed.
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
}

impl Store {
    /// Opens a root that exists: a path, a `file://` URL or a bucket URL that this build knows.
    pub fn open(location: &str) -> Result<Self> {
        match bucket(location)? {
            Some(store) => Ok(store),
            None => Self::folder(location, &folder_of(location)),
        }
    }

    /// Opens a root, making the folder if it is not there.
    pub fn create(location: &str) -> Result<Self> {
        if bucket(location)?.is_none() {
            let folder = folder_of(location);
            std::fs::create_dir_all(&folder).map_err(|e| Error::io(location, e))?;
        }
        Self::open(location)
    }

    /// A store over any `object_store`, under the name `location`.
    pub fn over(objects: Arc<dyn ObjectStore>, prefix: ObjectPath, location: &str) -> Self {
        Self { objects, prefix, location: location.to_owned(), folder: None }
    }

    fn folder(location: &str, folder: &Path) -> Result<Self> {
        let metadata = std::fs::metadata(folder).map_err(|e| Error::io(location, e))?;
        if !metadata.is_dir() {
            return Err(Error::input(location, "not a folder"));
        }
        let objects = LocalFileSystem::new_with_prefix(folder)
            .map_err(|e| Error::Store { location: location.to_owned(), source: e })?;
        Ok(Self {
            objects: Arc::new(objects.with_fsync(true)),
            prefix: ObjectPath::default(),
            location: location.to_owned(),
            folder: Some(folder.to_owned()),
        })
    }

    /// The root as the user named it.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// The name of a file for messages.
    pub fn display(&self, name: &str) -> String {
        format!("{}/{name}", self.location.trim_end_matches('/'))
    }

    /// Where a file lies on disk, when the store is a folder.
    pub fn local_path(&self, name: &str) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(name))
    }

    /// The whole file, `None` if it is not there.
    pub fn get(&self, name: &str) -> Result<Option<Bytes>> {
        let path = self.path(name);
        let read = wait(async { self.objects.get(&path).await?.bytes().await });
        match read {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.error(name, e)),
        }
    }

    /// Writes a small file, replacing what is there.
    pub fn put(&self, name: &str, bytes: impl Into<Bytes>) -> Result<()> {
        if let Some(path) = self.local_path(name) {
            return crate::atomic::write(path, bytes.into());
        }
        let (path, bytes) = (self.path(name), bytes.into());
        wait(async { self.objects.put(&path, bytes.into()).await }).map_err(|e| self.error(name, e))?;
        Ok(())
    }

    /// Writes a small file unless one of that name exists; `false` if somebody was first.
    pub fn put_if_absent(&self, name: &str, bytes: impl Into<Bytes>) -> Result<bool> {
        let (path, bytes) = (self.path(name), bytes.into());
        let options = PutOptions::from(PutMode::Create);
        match wait(async { self.objects.put_opts(&path, bytes.into(), options).await }) {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Ok(false)
            }
            Err(e) => Err(self.error(name, e)),
        }
    }

    /// The files directly in `folder` (`""` for the root), sorted by name; a folder that is not there is empty.
    pub fn list(&self, folder: &str) -> Result<Vec<Entry>> {
        let path = self.path(folder);
        let listed = wait(async { self.objects.list_with_delimiter(Some(&path)).await });
        let listed = listed.map_err(|e| self.error(folder, e))?;
        let entry = |object: object_store::ObjectMeta| {
            object.location.filename().map(|name| Entry { name: name.to_owned(), bytes: object.size })
        };
        let mut entries: Vec<Entry> = listed.objects.into_iter().filter_map(entry).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Deletes a file; one that is not there is no error.
    pub fn delete(&self, name: &str) -> Result<()> {
        let path = self.path(name);
        match wait(async { self.objects.delete(&path).await }) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(self.error(name, e)),
        }
    }

    /// Starts a large file that appears at [`StoreWriter::commit`].
    pub fn writer(&self, name: &str) -> Result<StoreWriter> {
        let spool = match self.local_path(name) {
            Some(path) => path,
            None => std::env::temp_dir().join(format!("troika-{}-{name}", std::process::id())),
        };
        Ok(StoreWriter { file: AtomicFile::create(spool)?, store: self.clone(), name: name.to_owned() })
    }

    /// Opens a file for reading in any order.
    pub fn reader(&self, name: &str) -> Result<StoreReader> {
        if let Some(path) = self.local_path(name) {
            let file = File::open(&path).map_err(|e| Error::io(self.display(name), e))?;
            return Ok(StoreReader::File(file));
        }
        match self.get(name)? {
            Some(bytes) => Ok(StoreReader::Bytes(bytes)),
            None => Err(Error::io(self.display(name), io::ErrorKind::NotFound.into())),
        }
    }

    fn upload(&self, name: &str, mut file: AtomicFile) -> Result<()> {
        let broken = |e| Error::io(self.display(name), e);
        file.seek(SeekFrom::Start(0)).map_err(broken)?;
        let mut parts = BufWriter::new(Arc::clone(&self.objects), self.path(name));
        let mut buffer = vec![0; 1 << 20];
        loop {
            let n = file.read(&mut buffer).map_err(broken)?;
            if n == 0 {
                break;
            }
            wait(async { parts.write_all(&buffer[..n]).await }).map_err(broken)?;
        }
        wait(async { parts.shutdown().await }).map_err(broken)
    }

    /// The object of a file, for reading parts of it.
    #[cfg(feature = "crawl")]
    pub(crate) fn object(&self, name: &str) -> (Arc<dyn ObjectStore>, ObjectPath) {
        (Arc::clone(&self.objects), self.path(name))
    }

    fn path(&self, name: &str) -> ObjectPath {
        name.split('/').filter(|part| !part.is_empty()).fold(self.prefix.clone(), ObjectPath::join)
    }

    fn error(&self, name: &str, source: object_store::Error) -> Error {
        Error::Store { location: self.display(name), source }
    }
}

/// A bucket, when `location` is a URL of a scheme other than `file`.
fn bucket(location: &str) -> Result<Option<Store>> {
    if !location.contains("://") || location.starts_with("file://") {
        return Ok(None);
    }
    let unknown = |e: &dyn std::fmt::Display| {
        Error::config(location, format!("not a store that this build knows: {e}"))
            .with_hint("name a folder on a local or mounted disk")
    };
    let url = location.parse().map_err(|e| unknown(&e))?;
    let (objects, prefix) = object_store::parse_url(&url).map_err(|e| unknown(&e))?;
    Ok(Some(Store::over(Arc::from(objects), prefix, location)))
}

fn folder_of(location: &str) -> PathBuf {
    PathBuf::from(location.strip_prefix("file://").unwrap_or(location))
}

/// Runs a store operation to its end; also when the caller itself runs inside an async runtime.
pub(crate) fn wait<F: Future + Send>(operation: F) -> F::Output
where
    F::Output: Send,
{
    match runtime() {
        Some(runtime) if tokio::runtime::Handle::try_current().is_ok() => std::thread::scope(|scope| {
            let thread = scope.spawn(|| runtime.block_on(operation));
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        }),
        Some(runtime) => runtime.block_on(operation),
        // No thread to be had: the local store then works in this one.
        None => poll_in_place(operation),
    }
}

fn poll_in_place<F: Future>(operation: F) -> F::Output {
    let mut operation = std::pin::pin!(operation);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(output) = operation.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::yield_now();
    }
}

fn runtime() -> Option<&'static Runtime> {
    static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();
    let start = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("store")
            .enable_all()
            .build()
    };
    RUNTIME.get_or_init(|| start().ok()).as_ref()
}

/// A file in the making inside a store; dropped without [`StoreWriter::commit`] it leaves nothing.
#[derive(Debug)]
pub struct StoreWriter {
    file: AtomicFile,
    store: Store,
    name: String,
}

impl StoreWriter {
    /// Makes the file visible under its name.
    pub fn commit(self) -> Result<()> {
        match self.store.folder {
            Some(_) => self.file.commit(),
            None => self.store.upload(&self.name, self.file),
        }
    }
}

impl Write for StoreWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.file.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A file of a store, open for the Parquet reader.
#[derive(Debug)]
pub enum StoreReader {
    /// On disk.
    File(File),
    /// Fetched whole.
    Bytes(Bytes),
}

impl Length for StoreReader {
    fn len(&self) -> u64 {
        match self {
            Self::File(file) => Length::len(file),
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }
}

impl ChunkReader for StoreReader {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(match self {
            Self::File(file) => Box::new(file.get_read(start)?),
            Self::Bytes(bytes) => Box::new(bytes.get_read(start)?),
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        match self {
            Self::File(file) => file.get_bytes(start, length),
            Self::Bytes(bytes) => bytes.get_bytes(start, length),
        }
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    fn both() -> (tempfile::TempDir, [Store; 2]) {
        let folder = tempfile::tempdir().unwrap();
        let disk = Store::create(folder.path().join("new/deep").to_str().unwrap()).unwrap();
        let memory = Store::over(Arc::new(InMemory::new()), ObjectPath::from("some/prefix"), "memory");
        (folder, [disk, memory])
    }

    #[test]
    fn put_if_absent_lets_the_first_win() {
        let (_folder, stores) = both();
        for store in stores {
            assert!(store.put_if_absent("_commits/00000.json", "first").unwrap());
            assert!(!store.put_if_absent("_commits/00000.json", "second").unwrap());
            assert_eq!(store.get("_commits/00000.json").unwrap().unwrap(), "first");
        }
    }

    #[test]
    fn files_are_listed_by_name_and_deleted() {
        let (_folder, stores) = both();
        for store in stores {
            assert_eq!(store.list("_commits").unwrap(), []);
            store.put("_commits/b.json", "22").unwrap();
            store.put("_commits/a.json", "1").unwrap();
            store.put("plan.json", "{}").unwrap();
            let names =
                |entries: Vec<Entry>| entries.into_iter().map(|e| (e.name, e.bytes)).collect::<Vec<_>>();
            let expected = [("a.json".to_owned(), 1), ("b.json".to_owned(), 2)];
            assert_eq!(names(store.list("_commits").unwrap()), expected);
            assert_eq!(names(store.list("").unwrap()), [("plan.json".to_owned(), 2)]);
            store.delete("plan.json").unwrap();
            store.delete("plan.json").unwrap();
            assert_eq!(store.get("plan.json").unwrap(), None);
        }
    }

    #[test]
    fn a_large_file_appears_at_commit() {
        let (_folder, stores) = both();
        let content = vec![7_u8; 3_000_000];
        for store in stores {
            let mut dropped = store.writer("a.parquet").unwrap();
            dropped.write_all(&content).unwrap();
            drop(dropped);
            assert_eq!(store.get("a.parquet").unwrap(), None);
            let mut file = store.writer("a.parquet").unwrap();
            file.write_all(&content).unwrap();
            file.commit().unwrap();
            let reader = store.reader("a.parquet").unwrap();
            assert_eq!(Length::len(&reader), 3_000_000);
            assert_eq!(reader.get_bytes(2_999_998, 2).unwrap(), [7, 7].as_slice());
        }
    }

    #[test]
    fn a_store_works_inside_an_async_runtime() {
        let (_folder, stores) = both();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            for store in stores {
                store.put("a", "1").unwrap();
                assert_eq!(store.get("a").unwrap().unwrap(), "1");
            }
        });
    }

    #[test]
    fn a_missing_folder_a_file_and_a_foreign_url_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("absent");
        assert_eq!(Store::open(absent.to_str().unwrap()).unwrap_err().exit_code(), 2);
        crate::atomic::write(&absent, "x").unwrap();
        assert!(Store::open(absent.to_str().unwrap()).unwrap_err().to_string().ends_with("not a folder"));
        let error = Store::open("s3://bucket/data").unwrap_err();
        assert!(error.to_string().contains("not a store that this build knows"), "{error}");
    }
}
