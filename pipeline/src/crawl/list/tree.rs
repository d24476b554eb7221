//! A folder of images and all folders in it, in the order of their names; only the names of the folders on the way are
//! in memory.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::format::is_image;
use super::records::Records;
use super::samples::{Sample, json_of, text_of};
use super::source::Source;
use crate::crawl::local::Stored;
use crate::unit::hex;
use crate::{Error, Result};

/// A larger text or JSON beside an image is left alone.
const LARGEST: u64 = 16 << 20;

/// Walks the files of a folder. Hidden names, outputs of crawls inside it and links that lead in a circle are left out.
pub(crate) struct Walk {
    root: PathBuf,
    /// The folders around the present place, with the names that are to come, last first.
    open: Vec<Folder>,
}

struct Folder {
    path: PathBuf,
    real: PathBuf,
    names: Vec<OsString>,
}

impl Walk {
    pub(crate) fn new(root: &Path) -> Result<Self> {
        let mut walk = Self { root: root.to_owned(), open: Vec::new() };
        walk.enter(root.to_owned())?;
        Ok(walk)
    }

    fn enter(&mut self, path: PathBuf) -> Result<()> {
        let failed = |e| Error::io(&path, e);
        let real = path.canonicalize().map_err(failed)?;
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if !name.as_encoded_bytes().starts_with(b".") {
                names.push(name);
            }
        }
        let output = !self.open.is_empty() && names.iter().any(|name| name == "plan.json");
        let circle = self.open.iter().any(|folder| folder.real == real);
        if !output && !circle {
            names.sort_unstable_by(|a, b| b.cmp(a));
            self.open.push(Folder { path, real, names });
        }
        Ok(())
    }

    /// The next file, in the folder and by its name below it.
    pub(crate) fn next(&mut self) -> Result<Option<(PathBuf, String)>> {
        while let Some(folder) = self.open.last_mut() {
            let Some(name) = folder.names.pop() else {
                self.open.pop();
                continue;
            };
            let path = folder.path.join(name);
            // A link that leads nowhere is a file that cannot be read.
            if path.is_dir() {
                self.enter(path)?;
                continue;
            }
            let below = path.strip_prefix(&self.root).unwrap_or(&path);
            let parts: Vec<_> = below.components().map(|part| part.as_os_str().to_string_lossy()).collect();
            let name = parts.join("/");
            return Ok(Some((path, name)));
        }
        Ok(None)
    }
}

/// The images of a folder, as samples.
pub(super) struct Tree(Walk);

impl Tree {
    pub(super) fn open(root: &Path) -> Result<Self> {
        Walk::new(root).map(Self)
    }

    pub(super) fn next_image(&mut self) -> Result<Option<(PathBuf, String)>> {
        while let Some((path, name)) = self.0.next()? {
            if is_image(&name) {
                return Ok(Some((path, name)));
            }
        }
        Ok(None)
    }

    pub(super) fn count(mut self) -> Result<u64> {
        let mut images = 0;
        while self.next_image()?.is_some() {
            images += 1;
        }
        Ok(images)
    }
}

impl Records for Tree {
    type Record = Sample;

    fn next(&mut self) -> Result<Option<(u64, Sample)>> {
        let Some((path, name)) = self.next_image()? else { return Ok(None) };
        let key = name.rsplit_once('.').map_or(name.as_str(), |(key, _)| key).to_owned();
        let text = beside(&path, "txt")?.map(|bytes| text_of(&bytes));
        let json = beside(&path, "json")?.and_then(|bytes| json_of(&bytes));
        Ok(Some((0, Sample { name, key, image: Stored::File(Source::File(path)), text, json })))
    }

    fn pass(&mut self) -> Result<bool> {
        Ok(self.next_image()?.is_some())
    }

    fn seekable(&self) -> bool {
        false
    }
}

fn beside(image: &Path, ending: &str) -> Result<Option<Vec<u8>>> {
    let path = image.with_extension(ending);
    match std::fs::metadata(&path) {
        Ok(found) if found.is_file() && found.len() <= LARGEST => {
            std::fs::read(&path).map(Some).map_err(|e| Error::io(&path, e))
        }
        Ok(_) => Ok(None),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io(&path, e)),
    }
}

/// Size and digest of a folder: names and sizes of its images and of what lies beside them. The pixels are not read for
/// it: a picture that is changed and keeps its size goes unnoticed.
pub(super) fn digest(root: &Path) -> Result<(u64, String)> {
    let (mut walk, mut hash, mut all) = (Walk::new(root)?, Sha256::new(), 0);
    while let Some((path, name)) = walk.next()? {
        if is_image(&name) || name.ends_with(".txt") || name.ends_with(".json") {
            let bytes = std::fs::metadata(&path).map_or(0, |found| found.len());
            hash.update(name.as_bytes());
            hash.update([0]);
            hash.update(bytes.to_le_bytes());
            all += bytes;
        }
    }
    Ok((all, hex(&hash.finalize())))
}

/// Whether there is an image anywhere in the folder.
pub(super) fn has_image(root: &Path) -> Result<bool> {
    Ok(Tree::open(root)?.next_image()?.is_some())
}
