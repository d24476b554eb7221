//! `train CONFIG.toml` and `train resume RUN`: find out what is to be trained, then train it.

use std::path::{Path, PathBuf};

use clap::Args;
use pipeline::cli::Common;
use pipeline::{interrupt, settings};
use serde::Deserialize;

use crate::rudolph_task::RudolphTask;
use crate::run::{Event, Folder, Kind, Opening, Outcome, Run, Talk, Task};
use crate::vqgan::VqGanTask;
use crate::{Error, Result, device};

/// How to begin.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct HowArgs {
    /// Remove what the run folder holds and start over
    #[arg(long)]
    fresh: bool,
    /// Continue although this key has changed since the run began (repeatable)
    #[arg(long, value_name = "KEY")]
    accept: Vec<String>,
}

#[derive(Args, Debug)]
pub(super) struct ResumeArgs {
    /// The run folder
    run: PathBuf,
    #[command(flatten)]
    how: HowArgs,
    #[command(flatten)]
    common: Common,
}

pub(super) fn start(config: Option<&Path>, how: &HowArgs, common: &Common) -> Result<u8> {
    let path = config.ok_or_else(|| Error::config("no CONFIG.toml: which file says what to train?"))?;
    dispatch(path, None, how, common)
}

pub(super) fn resume(args: &ResumeArgs) -> Result<u8> {
    let path = run_config(&args.run)?;
    dispatch(&path, Some(&args.run), &args.how, &args.common)
}

/// `run.toml` of a run folder.
pub(super) fn run_config(run: &Path) -> Result<PathBuf> {
    let path = Folder::config_of(run);
    if path.is_file() {
        return Ok(path);
    }
    Err(Error::config(format!("{}: not a run folder, it has no run.toml", run.display()))
        .with_hint("give the folder that a configuration names as `run.out`"))
}

fn dispatch(path: &Path, out: Option<&Path>, how: &HowArgs, common: &Common) -> Result<u8> {
    let kind = kind_of(path)?;
    let train = match kind {
        Kind::Rudolph => load_and_train::<RudolphTask>,
        Kind::Vqgan => load_and_train::<VqGanTask>,
    };
    train(path, kind, out, how, common)
}

fn load_and_train<T: Task>(
    path: &Path,
    kind: Kind,
    out: Option<&Path>,
    how: &HowArgs,
    common: &Common,
) -> Result<u8> {
    let mut task: T = settings::load(Some(path), &common.sets)?;
    if let Some(out) = out {
        // The folder may have been moved since the run began.
        out.clone_into(&mut task.run_mut().out);
    }
    common.say(&format!("training {} in {}", kind.name(), task.run().out.display()));
    let opening = Opening { fresh: how.fresh, accept: how.accept.clone() };
    let mut talk = Talk::new(common.clone());
    let interrupt = interrupt::install();
    let outcome = train_task(&task, &opening, &interrupt, &mut |event| talk.tell(event))?;
    Ok(if outcome == Outcome::Interrupted { interrupt.code() } else { 0 })
}

/// Opens the run folder and trains a task in it, from its last checkpoint or from the beginning.
///
/// # Errors
/// A configuration that cannot be run, data that does not fit, a folder in use, a full disk.
pub fn train_task<T: Task>(
    task: &T,
    opening: &Opening,
    interrupt: &interrupt::Interrupt,
    watch: &mut dyn FnMut(&Event) -> Result<()>,
) -> Result<Outcome> {
    let config = task.run();
    config.check()?;
    let device = device::open(&config.device)?.autodiff();
    let folder = Folder::open(&config.out, &settings::to_toml(task)?, opening)?;
    device.seed(config.seed);
    let mut learner = task.learner(&device)?;
    Run { learner: &mut learner, folder: &folder, config, device: &device, interrupt }.train(watch)
}

/// The key `kind` of a configuration file.
pub(super) fn kind_of(path: &Path) -> Result<Kind> {
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    // A file that is no TOML at all gets its line and column from here.
    let table: toml::Table = match toml::from_str(&text) {
        Ok(table) => table,
        Err(_) => settings::load(Some(path), &[])?,
    };
    let names = Kind::ALL.map(|(name, _)| name);
    let known = names.join(", ");
    match table.get("kind") {
        None => Err(Error::config(format!("{}: no key `kind`; known kinds: {known}", path.display()))
            .with_hint("begin the file with `kind = \"rudolph\"`")),
        Some(value) => Kind::deserialize(value.clone()).map_err(|_| {
            let error = Error::config(format!("{}: unknown kind {value}; known: {known}", path.display()));
            match value.as_str().and_then(|value| settings::suggest(value, &names)) {
                Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                None => error,
            }
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Result<Kind> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        pipeline::atomic::write(&path, text).unwrap();
        kind_of(&path)
    }

    #[test]
    fn the_kind_is_read_before_everything_else() {
        assert_eq!(kind("kind = 'vqgan'\nunheard = 'of'").unwrap(), Kind::Vqgan);
        assert_eq!(kind("kind = 'rudolf'").unwrap_err().hint().unwrap(), "did you mean `rudolph`?");
        assert!(kind("[run]").unwrap_err().to_string().contains("no key `kind`"));
        assert!(kind("kind = 7").is_err());
    }

    #[test]
    fn a_file_that_is_no_toml_names_the_line() {
        let error = kind("kind = 'vqgan'\n = 3").unwrap_err();
        assert!(error.to_string().contains("c.toml:2:2"), "{error}");
    }

    #[test]
    fn every_kind_has_its_name() {
        for (name, kind) in Kind::ALL {
            assert_eq!(kind.name(), name);
        }
    }
}
