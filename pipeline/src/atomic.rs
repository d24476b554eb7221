//! Files that appear whole or not at all: written under a hidden temporary name, synced, then renamed.
//!
//! Every file of the workspace goes through here (or through [`crate::store`], which uses it), so that neither a
//! crash nor a full disk leaves a half-written file under a name that somebody reads.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Error, Result};

/// Ending of the temporary names; [`crate::unit::finish`] removes what a killed process left behind.
pub const TEMPORARY: &str = ".tmp";
/// Threads that sync many small files.
const SYNCS: usize = 16;

/// Writes `bytes` to `path`, replacing what is there; creates the folder.
pub fn write(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> Result<()> {
    let path = path.as_ref();
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes.as_ref()).map_err(|e| Error::io(path, e))?;
    file.commit()
}

/// A file in the making: `Write + Read + Seek`; [`AtomicFile::commit`] gives it its name, dropping it removes it.
#[derive(Debug)]
pub struct AtomicFile {
    /// `None` once committed or removed.
    file: Option<BufWriter<File>>,
    temporary: PathBuf,
    path: PathBuf,
}

impl AtomicFile {
    /// Starts a file that will be called `path`; creates the folder.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        if let Some(folder) = path.parent()
            && !folder.as_os_str().is_empty()
        {
            std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        }
        let temporary = temporary_name(&path);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&temporary)
            .map_err(|e| Error::io(&path, e))?;
        Ok(Self { file: Some(BufWriter::new(file)), temporary, path })
    }

    /// The name that the file will have.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Flushes, syncs and renames: after this the file is visible, whole and durable.
    pub fn commit(mut self) -> Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let done = publish(file, &self.temporary, &self.path);
        if done.is_err() {
            remove(&self.temporary);
        }
        done.map_err(|e| Error::io(&self.path, e))
    }

    fn open_file(&mut self) -> io::Result<&mut BufWriter<File>> {
        self.file.as_mut().ok_or_else(|| io::Error::other("the file is already committed"))
    }
}

fn publish(file: BufWriter<File>, temporary: &Path, path: &Path) -> io::Result<()> {
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    drop(file);
    rename(temporary, path)
}

/// Gives a file or folder another name and makes that durable.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    sync_folder(to)
}

/// Writes a new file of a folder that gets its name, and so its readers, later; [`sync_all`] comes before that.
pub(crate) fn write_unsynced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(bytes)
}

/// Makes many small files of a folder durable. Several at a time: file systems sync them together.
pub(crate) fn sync_all(folder: &Path, names: &[String]) -> Result<()> {
    let sync = |names: &[String]| {
        names.iter().try_for_each(|name| {
            let path = folder.join(name);
            let synced = OpenOptions::new().write(true).open(&path).and_then(|file| file.sync_all());
            synced.map_err(|e| Error::io(path, e))
        })
    };
    std::thread::scope(|scope| {
        let chunks = names.chunks(names.len().div_ceil(SYNCS).max(1));
        let threads: Vec<_> = chunks.map(|names| scope.spawn(|| sync(names))).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    sync_folder(&folder.join("any")).map_err(|e| Error::io(folder, e))
}

/// Makes the rename itself durable; on systems where a folder cannot be opened there is nothing to sync.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Best effort: a temporary file that stays costs space, never correctness.
fn remove(temporary: &Path) {
    drop(std::fs::remove_file(temporary));
}

/// Whether `name` is a temporary name of a file, which a kill has left if nobody writes it now.
#[cfg(feature = "crawl")]
pub(crate) fn is_temporary_of(name: &str, file: &str) -> bool {
    let rest = name.strip_prefix('.').and_then(|name| name.strip_prefix(file));
    rest.is_some_and(|rest| rest.starts_with('.') && rest.ends_with(TEMPORARY))
}

/// Unlike any other: processes in containers share their ids, so the clock is part of the name.
fn temporary_name(path: &Path) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let serial = COUNTER.fetch_add(1, Ordering::Relaxed);
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{:x}-{now:x}-{serial}{TEMPORARY}", std::process::id()));
    path.with_file_name(name)
}

/// Whether a name is one that [`AtomicFile`] gives to a file in the making, and by another process than this one: what
/// a kill leaves, `.manifest.json.4c0c-18eb4ffb8c5d4c7a-0.tmp`.
pub(crate) fn is_foreign_temporary(name: &str) -> bool {
    let hex = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
    let made = name.strip_prefix('.').and_then(|name| name.strip_suffix(TEMPORARY)).and_then(|name| {
        let (path, tag) = name.rsplit_once('.')?;
        let (process, rest) = tag.split_once('-')?;
        let (now, serial) = rest.split_once('-')?;
        let digits = !serial.is_empty() && serial.bytes().all(|b| b.is_ascii_digit());
        (!path.is_empty() && hex(process) && hex(now) && now.len() >= 15 && digits).then_some(process)
    });
    made.is_some_and(|process| process != format!("{:x}", std::process::id()))
}

impl Write for AtomicFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.open_file()?.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.open_file()?.flush()
    }
}

impl Read for AtomicFile {
    /// Reads back what was written (after a seek, which flushes).
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.open_file()?.get_mut().read(buf)
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        self.open_file()?.seek(pos)
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            // Without flushing what is buffered: the file goes away.
            drop(file.into_parts());
            remove(&self.temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_a_killed_process_left_is_known_by_its_name() {
        for name in [".00002_stats.json.4684-18eb0d1d651c26b4-6.tmp", ".a.b.txt.0-18eb4ffb8c5d4c7a-12.tmp"] {
            assert!(is_foreign_temporary(name), "{name}");
        }
        let own = temporary_name(Path::new("out/plan.json"));
        assert!(
            !is_foreign_temporary(own.file_name().unwrap().to_str().unwrap()),
            "this process still writes it"
        );
        for name in [
            "plan.json",
            ".plan.json.1-1.tmp",
            ".18eb-18eb0d1d651c26b4-6.tmp",
            ".notes.tmp",
            ".plan.json.1-2-3.tmp",
        ] {
            assert!(!is_foreign_temporary(name), "{name}");
        }
    }

    #[test]
    fn the_file_appears_at_commit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/a.txt");
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"0123456789").unwrap();
        file.seek(SeekFrom::Start(2)).unwrap();
        file.write_all(b"xx").unwrap();
        assert!(!path.exists());
        file.commit().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"01xx456789");
        assert_eq!(names(path.parent().unwrap()), ["a.txt"]);
    }

    #[test]
    fn a_dropped_file_leaves_nothing_and_keeps_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write(&path, "old").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        drop(file);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn a_folder_in_the_way_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        std::fs::create_dir_all(path.join("full")).unwrap();
        let error = write(&path, "x").unwrap_err();
        assert!(error.to_string().contains("taken"), "{error}");
        assert_eq!(names(folder.path()), ["taken"]);
    }
}
