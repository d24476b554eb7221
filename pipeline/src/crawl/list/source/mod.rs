//! Where the bytes of an input lie: a file on disk, or an object of which parts are asked for.

mod blocks;
mod http;

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use self::blocks::{BlockReader, Blocks};
pub(crate) use self::http::http_object;
use crate::store::{Store, wait};
use crate::unit::digest_of;
use crate::{Error, Result};

/// A file of the input.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// On disk.
    File(PathBuf),
    /// In a bucket or on a web server.
    Object(Object),
}

/// An object of a store; clones share the connection.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    objects: Arc<dyn ObjectStore>,
    path: ObjectPath,
    /// As the user would name it.
    name: String,
    bytes: u64,
}

impl Object {
    /// Asks for the size of an object.
    pub(super) fn find(objects: Arc<dyn ObjectStore>, path: ObjectPath, name: &str) -> Result<Self> {
        let head = wait(async { objects.head(&path).await });
        let bytes = match head {
            Ok(meta) => meta.size,
            Err(object_store::Error::NotFound { .. }) => {
                return Err(Error::io(name, io::ErrorKind::NotFound.into()));
            }
            Err(source) => return Err(Error::Store { location: name.to_owned(), source }),
        };
        Ok(Self { objects, path, name: name.to_owned(), bytes })
    }
}

impl Source {
    /// A file of a store that is known to be there.
    pub(crate) fn of(store: &Store, name: &str) -> Result<Self> {
        if let Some(path) = store.local_path(name) {
            return Ok(Self::File(path));
        }
        let (objects, path) = store.object(name);
        Object::find(objects, path, &store.display(name)).map(Self::Object)
    }

    /// All objects below the root of a bucket, by their names in it, in order.
    pub(crate) fn below(store: &Store) -> Result<Vec<(String, Self)>> {
        let (objects, root) = store.object("");
        let listed: Vec<_> = wait(async { objects.list(Some(&root)).try_collect().await })
            .map_err(|source| Error::Store { location: store.location().to_owned(), source })?;
        let named = |meta: object_store::ObjectMeta| {
            let parts: Vec<_> =
                meta.location.prefix_match(&root)?.map(|part| part.as_ref().to_owned()).collect();
            let name = parts.join("/");
            let object = Object {
                objects: Arc::clone(&objects),
                path: meta.location.clone(),
                name: store.display(&name),
                bytes: meta.size,
            };
            Some((name, Self::Object(object)))
        };
        let mut found: Vec<_> = listed.into_iter().filter_map(named).collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    /// As the user would name it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Object(object) => object.name.clone(),
        }
    }

    /// Size in bytes.
    pub(crate) fn bytes(&self) -> Result<u64> {
        match self {
            Self::File(path) => Ok(std::fs::metadata(path).map_err(|e| Error::io(path, e))?.len()),
            Self::Object(object) => Ok(object.bytes),
        }
    }

    /// Opens it at its beginning.
    pub(crate) fn open(&self) -> Result<Reader> {
        match self {
            Self::File(path) => File::open(path).map(Reader::File).map_err(|e| Error::io(path, e)),
            Self::Object(object) => Ok(Reader::Object(BlockReader::new(Blocks::new(object.clone())))),
        }
    }

    /// Hash of its content, see [`crate::unit::digest_file`].
    pub(crate) fn digest(&self) -> Result<String> {
        let (mut reader, bytes) = (self.open()?, self.bytes()?);
        digest_of(&mut reader, bytes).map_err(|e| self.error(e))
    }

    /// A failed read; what a store said keeps its advice to try again.
    pub(crate) fn error(&self, error: io::Error) -> Error {
        match error.downcast::<object_store::Error>() {
            Ok(source) => Error::Store { location: self.name(), source },
            Err(error) => Error::io(self.name(), error),
        }
    }
}

/// An open [`Source`]; what it reads ahead is bounded.
#[derive(Debug)]
pub(crate) enum Reader {
    File(File),
    Object(BlockReader),
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Object(reader) => reader.read(buffer),
        }
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::File(file) => file.seek(to),
            Self::Object(reader) => reader.seek(to),
        }
    }
}

impl Length for Reader {
    fn len(&self) -> u64 {
        match self {
            Self::File(file) => Length::len(file),
            Self::Object(reader) => reader.len(),
        }
    }
}

impl ChunkReader for Reader {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(match self {
            Self::File(file) => Box::new(file.get_read(start)?),
            Self::Object(reader) => Box::new(BufReader::new(reader.at(start))),
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        match self {
            Self::File(file) => file.get_bytes(start, length),
            Self::Object(reader) => {
                let mut buffer = vec![0; length];
                reader.at(start).read_exact(&mut buffer)?;
                Ok(buffer.into())
            }
        }
    }
}
