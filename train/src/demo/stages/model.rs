//! `train vqgan.toml` and `train rudolph.toml`: tokens → models, through the loop of every training.

use super::{Done, Road};
use crate::cli::train_task;
use crate::run::{Event, Opening, Outcome, Talk, Task};
use crate::{Result, token_task::RudolphTask, vqgan::VqGanTask};

/// Keys with paths: the data itself is compared by its hash, so it may be named from another folder.
const PATHS: [&str; 4] = ["data.tokens", "data.codec", "data.bpe", "data.pairs"];

impl Road {
    /// Trains the codec, where that is asked for.
    pub(super) fn codec(&mut self) -> Result<()> {
        let Some(vqgan) = self.settings.vqgan.clone() else { return Ok(()) };
        let command = vqgan.command(&["train"]);
        self.stage("codec", "a VQGAN, trained from random weights", command, |road| {
            road.learn::<VqGanTask>(&vqgan.config)
        })
    }

    /// Trains the text-image model.
    pub(super) fn train(&mut self) -> Result<()> {
        let rudolph = self.settings.rudolph.clone();
        let command = rudolph.command(&["train"]);
        self.stage("train", "RuDOLPH, from random weights", command, |road| {
            road.learn::<RudolphTask>(&rudolph.config)
        })
    }

    /// Trains a task, or finds it trained.
    fn learn<T: Task>(&self, task: &T) -> Result<Done<()>> {
        let opening = Opening { fresh: self.fresh, accept: PATHS.map(str::to_owned).to_vec() };
        let mut talk = Talk::new(self.common.clone());
        let mut worked = true;
        let outcome = train_task(task, &opening, &self.interrupt, &mut |event| {
            worked &= !matches!(event, Event::NothingLeft { .. });
            match event {
                // The held-out losses and the progress line are enough here.
                Event::Logged { .. } if !self.common.verbose && !self.common.json => Ok(()),
                Event::NothingLeft { .. } if !self.common.json => Ok(()),
                event => talk.tell(event),
            }
        })?;
        if outcome == Outcome::Interrupted {
            self.interrupt.check()?;
        }
        let run = task.run();
        Ok(Done {
            value: (),
            worked,
            said: format!("{} steps, {}", run.steps, run.out.join("model").display()),
        })
    }
}
