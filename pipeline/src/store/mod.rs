//! A folder or a bucket under one root: small files by put-if-absent, large ones through a writer that appears whole.
//!
//! The put-if-absent of `object_store` ([`PutMode::Create`]) is what the commit contract of [`crate::unit`] stands
//! on; it is a hard link on a disk and a conditional request on S3, GCS and Azure. All calls block.

mod bucket;
mod file;
mod wait;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use tokio::io::AsyncWriteExt;

use crate::atomic::{self, AtomicFile};
use crate::{Error, Result};

pub(crate) use bucket::hint;
pub use file::{RemoteFile, StoreCursor, StoreReader, StoreWriter};
pub(crate) use wait::wait;

/// Small files on their way to a bucket at a time.
const UPLOADS: usize = 64;

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
    /// Opens a root that exists: a path, a `file://` URL or the URL of a bucket (which is not asked yet).
    pub fn open(location: &str) -> Result<Self> {
        if !bucket::is_url(location) {
            return Self::folder(location, &folder_of(location));
        }
        let (objects, prefix) = bucket::open(location)?;
        Ok(Self::over(objects, prefix, location))
    }

    /// Opens a root, making the folder if it is not there.
    pub fn create(location: &str) -> Result<Self> {
        if !bucket::is_url(location) {
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

    /// The names directly in the root, those of folders with a `/` behind them.
    pub fn names(&self) -> Result<BTreeSet<String>> {
        let path = self.path("");
        let listed = wait(async { self.objects.list_with_delimiter(Some(&path)).await });
        let listed = listed.map_err(|e| self.error("", e))?;
        let files = listed.objects.iter().filter_map(|object| object.location.filename().map(str::to_owned));
        let folders = listed.common_prefixes.iter();
        let folders = folders.filter_map(|path| path.filename().map(|name| format!("{name}/")));
        Ok(files.chain(folders).collect())
    }

    /// Whether a file is there.
    pub fn exists(&self, name: &str) -> Result<bool> {
        let path = self.path(name);
        match wait(async { self.objects.head(&path).await }) {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(e) => Err(self.error(name, e)),
        }
    }

    /// Whether a whole folder can be given another name: on a disk, and in no bucket.
    pub fn renames_folders(&self) -> bool {
        self.folder.is_some()
    }

    /// Gives a file (on a disk also a folder, its name with a `/` behind it) another name in the root, replacing a
    /// file that has it. Where another process has just done the same, there is nothing left to do.
    pub fn rename(&self, from: &str, to: &str) -> Result<()> {
        let renamed = match (self.local_path(from), self.local_path(to)) {
            (Some(old), Some(new)) => atomic::rename(&old, &new).map_err(|e| Error::io(self.display(to), e)),
            _ => {
                let (old, new) = (self.path(from), self.path(to));
                wait(async { self.objects.rename(&old, &new).await }).map_err(|e| self.error(from, e))
            }
        };
        match renamed {
            Err(error) if error.is_not_found() && self.has(to)? => Ok(()),
            done => done,
        }
    }

    fn has(&self, name: &str) -> Result<bool> {
        match self.local_path(name) {
            Some(path) => Ok(path.exists()),
            None => self.exists(name),
        }
    }

    /// Writes new files into `folder` (of the root), several at a time where the store is far away. On a disk they
    /// are not synced: [`Store::sync`] does it for all of them.
    pub fn put_all(&self, folder: &str, files: Vec<(String, Bytes)>) -> Result<()> {
        if let Some(path) = self.local_path(folder) {
            return files.iter().try_for_each(|(name, bytes)| {
                atomic::write_unsynced(&path.join(name), bytes).map_err(|e| Error::io(path.join(name), e))
            });
        }
        let put = |(name, bytes): (String, Bytes)| {
            let name = format!("{folder}{name}");
            let path = self.path(&name);
            async move {
                self.objects.put(&path, bytes.into()).await.map(|_| ()).map_err(|e| self.error(&name, e))
            }
        };
        let puts = futures::stream::iter(files.into_iter().map(put)).buffer_unordered(UPLOADS);
        wait(puts.try_collect::<()>())
    }

    /// Makes the named files of a folder durable; in a bucket they are once they are written.
    pub fn sync(&self, folder: &str, names: &[String]) -> Result<()> {
        match self.local_path(folder) {
            Some(path) => atomic::sync_all(&path, names),
            None => Ok(()),
        }
    }

    /// Deletes a folder of the root and what is in it; one that is not there is no error.
    pub fn delete_folder(&self, folder: &str) -> Result<()> {
        if let Some(path) = self.local_path(folder) {
            return match std::fs::remove_dir_all(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io(path, e)),
                _ => Ok(()),
            };
        }
        let path = self.path(folder);
        let paths = self.objects.list(Some(&path)).map_ok(|object| object.location).boxed();
        let deleted = wait(async { self.objects.delete_stream(paths).try_collect::<Vec<_>>().await });
        deleted.map(|_| ()).map_err(|e| self.error(folder, e))
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
            // A bucket gets it from here in one go, so that a kill leaves no half of it there.
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
        let path = self.path(name);
        let object = wait(async { self.objects.head(&path).await }).map_err(|e| self.error(name, e))?;
        if object.size <= file::WHOLE {
            let bytes = wait(async { self.objects.get(&path).await?.bytes().await });
            return bytes.map(StoreReader::Bytes).map_err(|e| self.error(name, e));
        }
        Ok(StoreReader::Remote(RemoteFile { store: self.clone(), name: name.to_owned(), bytes: object.size }))
    }

    fn get_range(&self, name: &str, range: Range<u64>) -> Result<Bytes> {
        let path = self.path(name);
        wait(async { self.objects.get_range(&path, range).await }).map_err(|e| self.error(name, e))
    }

    fn upload(&self, name: &str, mut file: AtomicFile) -> Result<()> {
        let mut parts = BufWriter::new(Arc::clone(&self.objects), self.path(name));
        let sent = self.send(&mut file, &mut parts);
        if sent.is_err() {
            // Best effort: parts of an upload that nobody completes cost space until the bucket expires them.
            drop(wait(async { parts.abort().await }));
        }
        sent.map_err(|e| self.upload_error(name, e))
    }

    fn send(&self, file: &mut AtomicFile, parts: &mut BufWriter) -> io::Result<()> {
        file.seek(SeekFrom::Start(0))?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            let n = file.read(&mut buffer)?;
            if n == 0 {
                return wait(async { parts.shutdown().await });
            }
            wait(async { parts.write_all(&buffer[..n]).await })?;
        }
    }

    /// An upload is a writer, which wraps what the store says.
    fn upload_error(&self, name: &str, error: io::Error) -> Error {
        match error.downcast::<object_store::Error>() {
            Ok(source) => self.error(name, source),
            Err(error) => Error::io(self.display(name), error),
        }
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

fn folder_of(location: &str) -> PathBuf {
    PathBuf::from(location.strip_prefix("file://").unwrap_or(location))
}

/// Whether two locations are the same, as far as a disk can tell.
#[cfg(feature = "crawl")]
pub(crate) fn same_place(a: &str, b: &str) -> bool {
    let real = |name: &str| Path::new(name).canonicalize().ok();
    a.trim_end_matches('/') == b.trim_end_matches('/') || real(a).is_some_and(|a| Some(a) == real(b))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use object_store::memory::InMemory;
    use parquet::file::reader::{ChunkReader, Length};

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
    fn a_file_is_renamed_once_and_twice_is_no_error() {
        let (_folder, stores) = both();
        for store in stores {
            store.put("00000-a.tar", "1").unwrap();
            store.rename("00000-a.tar", "00000.tar").unwrap();
            store.rename("00000-a.tar", "00000.tar").unwrap();
            assert_eq!(store.names().unwrap().into_iter().collect::<Vec<_>>(), ["00000.tar"]);
            let error = store.rename("00001-a.tar", "00001.tar").unwrap_err();
            assert!(error.is_not_found(), "{error}");
        }
    }

    #[test]
    fn a_folder_is_filled_listed_and_deleted_whole() {
        let (folder, stores) = both();
        std::fs::create_dir_all(folder.path().join("new/deep/00000-a")).unwrap();
        for store in stores {
            let files = (0..100).map(|i| (format!("{i}.txt"), Bytes::from(vec![b'x'; i]))).collect();
            store.put_all("00000-a/", files).unwrap();
            store.sync("00000-a/", &["7.txt".to_owned()]).unwrap();
            assert_eq!(store.list("00000-a").unwrap().len(), 100);
            assert_eq!(store.get("00000-a/7.txt").unwrap().unwrap(), "xxxxxxx");
            assert_eq!(store.names().unwrap().into_iter().collect::<Vec<_>>(), ["00000-a/"]);
            store.delete_folder("00000-a/").unwrap();
            store.delete_folder("00000-a/").unwrap();
            assert_eq!(store.names().unwrap().len(), 0);
        }
    }

    #[test]
    fn a_large_file_of_a_bucket_is_read_range_by_range() {
        let (_folder, [_, memory]) = both();
        let content: Vec<u8> = (0..20_000_000_u32).map(|i| i.to_le_bytes()[1]).collect();
        memory.put("list.parquet", content.clone()).unwrap();
        let reader = memory.reader("list.parquet").unwrap();
        assert!(matches!(reader, StoreReader::Remote(_)));
        assert_eq!(reader.get_bytes(17_000_000, 9).unwrap(), content[17_000_000..17_000_009]);
        let mut rest = Vec::new();
        reader.get_read(1_000_000).unwrap().read_to_end(&mut rest).unwrap();
        assert!(rest == content[1_000_000..]);
        let (mut cursor, mut part) = (reader.cursor(), [0; 4]);
        for start in [19_999_996, 5, 300] {
            cursor.seek(SeekFrom::Start(start as u64)).unwrap();
            cursor.read_exact(&mut part).unwrap();
            assert_eq!(part, content[start..start + 4]);
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
        let error = Store::open("ftp://bucket/data").unwrap_err();
        assert!(error.to_string().contains("not a store that this build knows"), "{error}");
    }
}
