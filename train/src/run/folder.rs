//! A run folder: who may write in it, what it was started with, and how folders appear in it whole.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::config::FREE_KEYS;
use super::snapshot::hex;
use crate::{Error, Result};

const CONFIG: &str = "run.toml";
const LOCK: &str = ".lock";
const CHECKPOINTS: &str = "checkpoints";

/// How a run folder is to be opened.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// Remove what an earlier run wrote and start over.
    pub fresh: bool,
    /// Keys whose change is accepted.
    pub accept: Vec<String>,
}

/// An open run folder. While it is held no other run can open it.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    config: String,
    fresh: bool,
    /// None where another process of the same run holds it: then nothing is written from here.
    lock: Option<File>,
}

impl Folder {
    /// Opens or makes the folder of a run with this effective configuration, given as TOML. What is in it stays
    /// untouched until [`Folder::begin`].
    ///
    /// # Errors
    /// [`Error::Locked`] when another process trains in it, [`Error::Changed`] when it was started with another
    /// configuration, and a folder with other files in it.
    pub fn open(path: &Path, config: &str, opening: &Opening) -> Result<Self> {
        std::fs::create_dir_all(path).map_err(Error::io(path))?;
        let known = path.join(CONFIG).exists();
        if !known && !is_empty(path)? {
            return Err(Error::Config {
                message: format!("{} holds files but no {CONFIG}: it is not a run folder", path.display()),
                hint: Some("train into another folder with `--set run.out=DIR`".into()),
            });
        }
        let folder = Self {
            path: path.to_owned(),
            config: config.to_owned(),
            fresh: opening.fresh,
            lock: Some(lock(path)?),
        };
        // A run without a checkpoint has nothing that another configuration could spoil.
        let begun = path.join(CHECKPOINTS).read_dir().is_ok_and(|mut entries| entries.next().is_some());
        if known && begun && !opening.fresh {
            folder.compare(&opening.accept)?;
        }
        Ok(folder)
    }

    /// The same folder in the other processes of the run: it is read, and every call that would write does nothing.
    #[must_use]
    pub fn follow(path: &Path, config: &str) -> Self {
        Self { path: path.to_owned(), config: config.to_owned(), fresh: false, lock: None }
    }

    /// Whether it is this process that writes.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.lock.is_some()
    }

    /// Hash of the configuration that it was opened with.
    #[must_use]
    pub fn config_sha256(&self) -> String {
        hex(&Sha256::digest(&self.config))
    }

    /// Writes `run.toml`, after removing what an earlier run left where a fresh start was asked for. Called once the
    /// data is known to be good, so that a mistyped path destroys nothing.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn begin(&self) -> Result<()> {
        if !self.is_written() {
            return Ok(());
        }
        sweep(&self.path)?;
        sweep(&self.samples()?)?;
        if self.fresh {
            self.clear()?;
        }
        Ok(pipeline::atomic::write(self.path.join(CONFIG), &self.config)?)
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `run.toml` of a run folder.
    #[must_use]
    pub fn config_of(run: &Path) -> PathBuf {
        run.join(CONFIG)
    }

    /// The error of a folder that is no run's.
    #[must_use]
    pub(crate) fn missing(run: &Path) -> Error {
        Error::config(format!("{}: not a run folder, it has no {CONFIG}", run.display()))
            .with_hint("give the folder that a configuration names as `run.out`")
    }

    /// The folder of checkpoints.
    #[must_use]
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join(CHECKPOINTS)
    }

    /// The finished model's folder.
    #[must_use]
    pub fn model(&self) -> PathBuf {
        self.path.join("model")
    }

    /// The folder of sample pictures, made if need be.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn samples(&self) -> Result<PathBuf> {
        let dir = self.path.join("samples");
        std::fs::create_dir_all(&dir).map_err(Error::io(&dir))?;
        Ok(dir)
    }

    /// Lets `fill` write into a hidden folder, then puts it in the place of `target`: a reader sees all of it or nothing.
    ///
    /// # Errors
    /// What `fill` reports, or the disk; the hidden folder is removed.
    pub fn publish(&self, target: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        if self.is_written() { publish(target, fill) } else { Ok(()) }
    }

    fn clear(&self) -> Result<()> {
        for name in [CHECKPOINTS, "model", "samples", "tensorboard"] {
            let dir = self.path.join(name);
            if dir.exists() {
                remove(&dir)?;
            }
        }
        for name in ["metrics.jsonl", "report.html", CONFIG] {
            let file = self.path.join(name);
            if file.exists() {
                std::fs::remove_file(&file).map_err(Error::io(&file))?;
            }
        }
        Ok(())
    }

    fn compare(&self, accept: &[String]) -> Result<()> {
        let path = self.path.join(CONFIG);
        let old = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
        let changes = changes(&old, &self.config)
            .map_err(|error| Error::weights(&path, error.message()))?
            .into_iter()
            .filter(|(key, _)| !FREE_KEYS.contains(&key.as_str()) && !accept.contains(key))
            .map(|(_, line)| line)
            .collect::<Vec<_>>();
        if changes.is_empty() { Ok(()) } else { Err(Error::Changed { path: self.path.clone(), changes }) }
    }
}

/// See [`Folder::publish`].
pub(super) fn publish(target: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let hidden = beside(target, "tmp");
    std::fs::create_dir_all(&hidden).map_err(Error::io(&hidden))?;
    let done = fill(&hidden).and_then(|()| {
        sync(&hidden)?;
        if target.exists() {
            remove(target)?;
        }
        std::fs::rename(&hidden, target).map_err(Error::io(target))?;
        target.parent().map_or(Ok(()), sync)
    });
    if done.is_err() {
        // The reason for the failure matters more than what is left behind; the next start sweeps it.
        drop(std::fs::remove_dir_all(&hidden));
    }
    done
}

/// Removes a folder at once for every reader: it is renamed before its files go.
pub(super) fn remove(target: &Path) -> Result<()> {
    let hidden = beside(target, "old");
    std::fs::rename(target, &hidden).map_err(Error::io(target))?;
    std::fs::remove_dir_all(&hidden).map_err(Error::io(&hidden))
}

/// Removes what a killed process left half-done: hidden folders and files with our endings.
pub(super) fn sweep(dir: &Path) -> Result<()> {
    for entry in std::fs::read_dir(dir).map_err(Error::io(dir))? {
        let path = entry.map_err(Error::io(dir))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') && (name.ends_with(".tmp") || name.ends_with(".old")) {
            let removed =
                if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            removed.map_err(Error::io(&path))?;
        }
    }
    Ok(())
}

/// A hidden name in the same folder, so that a rename stays on one disk.
fn beside(target: &Path, ending: &str) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.{ending}"))
}

/// Makes a folder's entries durable.
fn sync(dir: &Path) -> Result<()> {
    if cfg!(unix) {
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(Error::io(dir))?;
    }
    Ok(())
}

/// Hidden files do not count: they are the lock, and what a killed process left.
fn is_empty(dir: &Path) -> Result<bool> {
    let mut entries = std::fs::read_dir(dir).map_err(Error::io(dir))?;
    let hidden = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with('.');
    Ok(entries.all(|entry| entry.is_ok_and(hidden)))
}

fn lock(dir: &Path) -> Result<File> {
    let path = dir.join(LOCK);
    let file = File::options().create(true).append(true).open(&path).map_err(Error::io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked(dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(Error::Io { path, source }),
    }
}

/// Keys whose values differ, with a line for each: `  run.seed: 1 -> 2`.
fn changes(old: &str, new: &str) -> Result<Vec<(String, String)>, toml::de::Error> {
    let [old, new] = [flat(old)?, flat(new)?];
    let keys: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let value =
        |map: &BTreeMap<String, String>, key: &str| map.get(key).cloned().unwrap_or_else(|| "unset".into());
    Ok(keys
        .into_iter()
        .filter(|key| old.get(*key) != new.get(*key))
        .map(|key| (key.clone(), format!("  {key}: {} -> {}", value(&old, key), value(&new, key))))
        .collect())
}

/// Every key of a configuration with its value as TOML: `run.seed` and `1`.
pub(crate) fn flat(text: &str) -> Result<BTreeMap<String, String>, toml::de::Error> {
    fn walk(prefix: &str, table: toml::Table, out: &mut BTreeMap<String, String>) {
        for (key, value) in table {
            let key = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
            match value {
                toml::Value::Table(table) => walk(&key, table, out),
                value => drop(out.insert(key, value.to_string())),
            }
        }
    }
    let mut out = BTreeMap::new();
    walk("", toml::from_str(text)?, &mut out);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "kind = \"rudolph\"\n[run]\nseed = 1\nlog_every = 10\n";

    /// Opens `run` in `dir` and begins, with a checkpoint.
    fn open(dir: &Path, config: &str, opening: &Opening) -> Result<Folder> {
        let folder = Folder::open(&dir.join("run"), config, opening)?;
        folder.begin()?;
        let checkpoint = folder.checkpoints().join("step-0000001");
        std::fs::create_dir_all(&checkpoint).map_err(Error::io(checkpoint))?;
        Ok(folder)
    }

    #[test]
    fn a_changed_key_is_refused_shown_and_can_be_accepted() {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path(), CONFIG, &Opening::default()).unwrap());
        let changed = "kind = \"rudolph\"\n[run]\nseed = 2\nlog_every = 99\n[model]\nlayers = 4\n";
        match open(dir.path(), changed, &Opening::default()) {
            Err(Error::Changed { changes, .. }) => {
                assert_eq!(changes, ["  model.layers: unset -> 4", "  run.seed: 1 -> 2"]);
            }
            other => panic!("{other:?}"),
        }
        let accept = vec!["run.seed".to_owned(), "model.layers".to_owned()];
        drop(open(dir.path(), changed, &Opening { accept, fresh: false }).unwrap());
        drop(open(dir.path(), changed, &Opening::default()).unwrap());
    }

    #[test]
    fn before_the_first_checkpoint_a_change_spoils_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        Folder::open(&path, CONFIG, &Opening::default()).unwrap().begin().unwrap();
        let folder = Folder::open(&path, "kind = \"vqgan\"", &Opening::default()).unwrap();
        folder.begin().unwrap();
        assert_eq!(std::fs::read_to_string(Folder::config_of(&path)).unwrap(), "kind = \"vqgan\"");
    }

    #[test]
    fn a_second_process_is_kept_out() {
        let dir = tempfile::tempdir().unwrap();
        let held = open(dir.path(), CONFIG, &Opening::default()).unwrap();
        assert!(matches!(open(dir.path(), CONFIG, &Opening::default()), Err(Error::Locked(_))));
        drop(held);
        assert!(open(dir.path(), CONFIG, &Opening::default()).is_ok());
    }

    #[test]
    fn a_folder_of_something_else_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        pipeline::atomic::write(dir.path().join("run/thesis.tex"), "x").unwrap();
        let fresh = Opening { fresh: true, ..Opening::default() };
        let error = open(dir.path(), CONFIG, &fresh).unwrap_err();
        assert!(error.to_string().contains("not a run folder"), "{error}");
    }

    #[test]
    fn what_a_killed_process_left_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        for name in [
            ".run.toml.77-0.tmp",
            ".model.tmp/weights.safetensors",
            ".model.old/a",
            "samples/.a.png.77-1.tmp",
        ] {
            pipeline::atomic::write(run.join(name), "x").unwrap();
        }
        let fresh = tempfile::tempdir().unwrap();
        pipeline::atomic::write(fresh.path().join("run/.run.toml.77-0.tmp"), "x").unwrap();
        drop(open(fresh.path(), CONFIG, &Opening::default()).unwrap());
        pipeline::atomic::write(run.join("run.toml"), CONFIG).unwrap();
        drop(open(dir.path(), CONFIG, &Opening::default()).unwrap());
        let names = |dir: &Path| -> Vec<_> {
            let mut names: Vec<_> = dir
                .read_dir()
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        assert_eq!(names(&run), [".lock", "checkpoints", "run.toml", "samples"]);
        assert!(names(&run.join("samples")).is_empty());
    }

    #[test]
    fn starting_over_removes_what_a_run_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let folder = open(dir.path(), CONFIG, &Opening::default()).unwrap();
        folder.publish(&folder.model(), |dir| Ok(pipeline::atomic::write(dir.join("a"), "b")?)).unwrap();
        let model = folder.model();
        assert!(model.join("a").exists());
        drop(folder);
        drop(open(dir.path(), CONFIG, &Opening { fresh: true, ..Opening::default() }).unwrap());
        assert!(!model.exists());
    }

    #[test]
    fn a_folder_that_cannot_be_filled_leaves_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let folder = open(dir.path(), CONFIG, &Opening::default()).unwrap();
        folder.publish(&folder.model(), |dir| Ok(pipeline::atomic::write(dir.join("a"), "b")?)).unwrap();
        let full = || Error::Io { path: "x".into(), source: std::io::ErrorKind::StorageFull.into() };
        assert!(folder.publish(&folder.model(), |_| Err(full())).is_err());
        assert!(folder.model().join("a").exists());
        assert!(!beside(&folder.model(), "tmp").exists());
    }
}
