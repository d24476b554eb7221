//! `train CONFIG.toml` and `train resume RUN`: find out what is to be trained, then train it.

use std::path::{Path, PathBuf};

use clap::Args;
use pipeline::cli::Common;
use pipeline::{interrupt, settings};

use crate::image_gpt_task::ImageGptTask;
use crate::run::{Event, Folder, Kind, Opening, Outcome, Run, Talk, Task};
use crate::token_task::{DalleTask, RudolphTask};
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
    Err(Folder::missing(run))
}

fn dispatch(path: &Path, out: Option<&Path>, how: &HowArgs, common: &Common) -> Result<u8> {
    let kind = Kind::of(path)?;
    let train = match kind {
        Kind::Rudolph => load_and_train::<RudolphTask>,
        Kind::Dalle => load_and_train::<DalleTask>,
        Kind::ImageGpt => load_and_train::<ImageGptTask>,
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
    let mut task = settings::load::<T>(Some(path), &common.sets)?.complete()?;
    if let Some(out) = out {
        // The folder may have been moved since the run began.
        out.clone_into(&mut task.run_mut().out);
    }
    common.say(&format!("training {} in {}", kind.name(), task.run().out.display()));
    let opening = Opening { fresh: how.fresh, accept: how.accept.clone() };
    let mut talk = Talk::new(common.clone()).with_curves(&task.run().out);
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
