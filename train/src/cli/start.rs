//! `train CONFIG.toml` and `train resume RUN`: find out what is to be trained, then train it.

use std::path::{Path, PathBuf};

use clap::Args;
use pipeline::cli::Common;
use pipeline::{interrupt, settings};

use crate::image_gpt_task::ImageGptTask;
use crate::ranks::{self, Ranks, Team};
use crate::run::{Event, Folder, Kind, Learner, Opening, Outcome, Run, Talk, Task};
use crate::token_task::{DalleTask, RudolphTask};
use crate::vqgan::VqGanTask;
use crate::{Error, Result};

/// How to begin.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct HowArgs {
    /// Remove what the run folder holds and start over
    #[arg(long)]
    fresh: bool,
    /// Continue although this key has changed since the run began (repeatable)
    #[arg(long, value_name = "KEY")]
    accept: Vec<String>,
    /// Devices that share each step: cuda:0,cuda:1 (as `run.devices`)
    #[arg(long, value_name = "DEVICE", value_delimiter = ',')]
    devices: Vec<String>,
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
    let (ranks, session) = ranks::join()?;
    let task = ranks.agree(load::<T>(path, out, how, common));
    let outcome = task.and_then(|task| talk_and_train(&task, kind, &ranks, how, common));
    match outcome {
        // The others are not known to end as well: `mpirun` ends them once this process is gone.
        Err(error) if !ranks.is_first() && !matches!(error, Error::Rank { .. }) => Err(error),
        outcome => {
            session.leave();
            // One process speaks for all, also by its exit code.
            if ranks.is_first() { outcome } else { Ok(0) }
        }
    }
}

fn load<T: Task>(path: &Path, out: Option<&Path>, how: &HowArgs, common: &Common) -> Result<T> {
    let mut task = settings::load::<T>(Some(path), &common.sets)?.complete()?;
    if let Some(out) = out {
        // The folder may have been moved since the run began.
        out.clone_into(&mut task.run_mut().out);
    }
    if !how.devices.is_empty() {
        task.run_mut().devices.clone_from(&how.devices);
    }
    Ok(task)
}

fn talk_and_train<T: Task>(
    task: &T,
    kind: Kind,
    ranks: &Ranks,
    how: &HowArgs,
    common: &Common,
) -> Result<u8> {
    let interrupt = interrupt::install();
    let opening = Opening { fresh: how.fresh, accept: how.accept.clone() };
    if !ranks.is_first() {
        train_together(task, ranks, &opening, &interrupt, &mut |_| Ok(()))?;
        return Ok(0);
    }
    let by = if ranks.world() > 1 { format!(", by {} processes", ranks.world()) } else { String::new() };
    common.say(&format!("training {} in {}{by}", kind.name(), task.run().out.display()));
    let mut talk = Talk::new(common.clone()).with_curves(&task.run().out);
    let outcome = train_together(task, ranks, &opening, &interrupt, &mut |event| talk.tell(event))?;
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
    train_together(task, &Ranks::alone(), opening, interrupt, watch)
}

/// The same as one of several processes.
fn train_together<T: Task>(
    task: &T,
    ranks: &Ranks,
    opening: &Opening,
    interrupt: &interrupt::Interrupt,
    watch: &mut dyn FnMut(&Event) -> Result<()>,
) -> Result<Outcome> {
    let (config, text) = (task.run(), settings::to_toml(task)?);
    let team = ranks.agree(config.check().and_then(|()| Team::open(ranks, config.devices())))?;
    let folder = ranks.agree(match ranks.is_first() {
        true => Folder::open(&config.out, &text, opening),
        false => Ok(Folder::follow(&config.out, &text)),
    })?;
    // The first weights are the same on all ranks, whatever each draws later.
    team.device().seed(config.seed);
    let mut learner = ranks.agree(task.learner(team.device()).and_then(|mut learner| {
        learner.join(&team)?;
        Ok(learner)
    }))?;
    Run { learner: &mut learner, folder: &folder, config, team: &team, interrupt }.train(watch)
}
