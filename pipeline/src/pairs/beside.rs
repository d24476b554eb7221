//! Pictures that lie beside their table, in a tar or a folder, as webdataset and `files` output has them.

use std::io::Read;

use bytes::Bytes;
use parquet::file::reader::ChunkReader;

use super::row::Pair;
use super::tar::TarReader;
use crate::picture::EncodeFormat;
use crate::store::Store;
use crate::unit::final_name;
use crate::{Error, Result};

/// Where the pictures of a table are.
pub(super) enum Beside {
    Tar { reader: TarReader<Box<dyn Read + Send>>, path: String },
    Folder { store: Store, name: String },
}

impl Beside {
    /// What lies beside `table`: `00000.tar` or `00000/` for `00000.parquet`. A kill may have left the table under its
    /// attempt's name when the others have their final ones.
    pub(super) fn find(store: &Store, table: &str) -> Result<Option<Self>> {
        let Some(stem) = table.strip_suffix(".parquet") else { return Ok(None) };
        let names = store.names()?;
        let present = |ending: &str| {
            let own = format!("{stem}{ending}");
            [final_name(&own), own].into_iter().find(|name| names.contains(name))
        };
        if let Some(name) = present(".tar") {
            let source = store.reader(&name)?.get_read(0);
            let source = source.map_err(|e| Error::io(store.display(&name), std::io::Error::other(e)))?;
            return Ok(Some(Self::Tar { reader: TarReader::new(source), path: store.display(&name) }));
        }
        Ok(present("/").map(|name| Self::Folder { store: store.clone(), name }))
    }

    /// Gives a pair its picture. Pairs come in the order of the table, some may be left out.
    pub(super) fn fill(&mut self, pair: &mut Pair) -> Result<()> {
        pair.image = match self {
            Self::Tar { reader, path } => in_tar(reader, path, &pair.key)?,
            Self::Folder { store, name } => in_folder(store, name, &pair.key)?,
        };
        Ok(())
    }
}

/// The endings of pictures.
fn is_picture(ending: &str) -> bool {
    EncodeFormat::ALL.iter().any(|format| format.name() == ending)
}

fn in_tar(reader: &mut TarReader<Box<dyn Read + Send>>, path: &str, key: &str) -> Result<Option<Bytes>> {
    while let Some((name, content)) = reader.next_file().map_err(|e| Error::io(path, e))? {
        let Some((found, ending)) = name.split_once('.') else { continue };
        if found == key && is_picture(ending) {
            return Ok(Some(content.into()));
        }
    }
    Err(Error::input(path, format!("no picture of {key} where its table has one"))
        .with_hint("the tar may be cut short, or the table is that of another one"))
}

fn in_folder(store: &Store, folder: &str, key: &str) -> Result<Option<Bytes>> {
    for format in EncodeFormat::ALL {
        let found = store.get(&format!("{folder}{key}.{}", format.name()))?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Err(Error::input(store.display(folder), format!("no picture of {key} where its table has one")))
}
