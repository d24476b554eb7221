//! The stages of the demo in order. Each says what it does and which command does the same, finds out by itself whether
//! it was done before, and leaves its time in the ledger.

mod crawl;
mod model;
mod settings;
mod tokens;
mod words;

use std::path::PathBuf;
use std::time::Instant;

use pipeline::cli::Common;
use pipeline::interrupt::{Interrupt, install};

use super::data::Data;
use super::figures::{Figures, Made};
use super::gallery::Gallery;
use super::ledger::Ledger;
use super::measure::Measured;
use super::place::Place;
use super::{Args, measure, report};
use crate::Result;
use settings::Settings;

/// What every stage needs to know.
pub(super) struct Road {
    pub(super) place: Place,
    pub(super) settings: Settings,
    pub(super) common: Common,
    pub(super) interrupt: Interrupt,
    pub(super) ledger: Ledger,
    fresh: bool,
    limit: Option<usize>,
    /// Stages in all, and those begun.
    stages: usize,
    begun: usize,
}

/// What a stage did.
pub(super) struct Done<T> {
    pub(super) value: T,
    /// Whether there was anything left to do.
    pub(super) worked: bool,
    /// One line about it.
    pub(super) said: String,
}

impl Road {
    /// Reads flags and configurations; nothing is written yet.
    ///
    /// # Errors
    /// A flag or key that is wrong, or a repository that is gone.
    pub(super) fn open(args: &Args) -> Result<Self> {
        args.common.say(&format!("demo: everything goes to {}", args.out.display()));
        let place = Place::find(&args.out)?;
        let settings = Settings::load(&place, &args.sets()?, args.from_scratch)?;
        let ledger = Ledger::open(&place.out("stages.json"), args.fresh)?;
        let stages = 6 + usize::from(args.from_scratch);
        let (common, interrupt) = (args.common.clone(), install());
        Ok(Self {
            place,
            settings,
            common,
            interrupt,
            ledger,
            fresh: args.fresh,
            limit: args.limit,
            stages,
            begun: 0,
        })
    }

    /// Goes all the way and writes the report.
    ///
    /// # Errors
    /// What a stage reports.
    pub(super) fn walk(mut self) -> Result<Figures> {
        let data = Data::read(&self.place.config("data"), self.limit)?;
        self.crawl(&data)?;
        drop(data);
        let gallery = Gallery::read(&self.settings.tokens.config.pairs)?;
        self.codec()?;
        let vocabulary = self.words(&gallery)?;
        let rows = self.tokens()?;
        self.train()?;
        let made = Made { vocabulary, rows };
        let started = self.begin("draw", "pictures from words, words from pictures", None)?;
        let measured = measure::all(&self, &gallery)?;
        self.ledger.replace("draw", started)?;
        self.correct(&measured)?;
        let started = self.begin("report", "one page, nothing to load", None)?;
        let figures = Figures::gather(&self, &gallery, &measured, &made);
        let (page, json) = (self.place.out("report.html"), self.place.out("demo.json"));
        pipeline::atomic::write(&page, report::page(&figures, &gallery, &measured)?)?;
        pipeline::atomic::write(&json, figures.json()?)?;
        self.say(&format!(
            "{} and {}, {:.1} s",
            page.display(),
            json.display(),
            started.elapsed().as_secs_f64()
        ));
        Ok(figures)
    }

    /// A killed process leaves nothing in the ledger, but what it trained knows how long that took.
    fn correct(&mut self, measured: &Measured) -> Result<()> {
        if let Some(curves) = &measured.codec_curves {
            self.ledger.correct("codec", curves.seconds)?;
        }
        self.ledger.correct("train", measured.curves.seconds)
    }

    /// Says that a stage begins.
    fn begin(&mut self, name: &str, what: &str, command: Option<String>) -> Result<Instant> {
        self.interrupt.check()?;
        self.begun += 1;
        self.common.say(&format!("\n[{}/{}] {name}: {what}", self.begun, self.stages));
        if let Some(command) = command {
            self.say(&format!("the same as: {command}"));
        }
        Ok(Instant::now())
    }

    /// Runs a stage: its time counts if it did anything.
    fn stage<T>(
        &mut self,
        name: &str,
        what: &str,
        command: String,
        work: impl FnOnce(&mut Self) -> Result<Done<T>>,
    ) -> Result<T> {
        let started = self.begin(name, what, Some(command))?;
        let done = work(self);
        if done.as_ref().is_ok_and(|done| !done.worked) {
            self.say("nothing to do: already done");
        } else {
            // Time that ended in an interrupt was spent, too.
            self.ledger.add(name, started)?;
        }
        let done = done?;
        self.say(&format!("{}, {:.1} s", done.said, started.elapsed().as_secs_f64()));
        Ok(done.value)
    }

    /// An indented line of talk.
    fn say(&self, text: &str) {
        self.common.say(&format!("      {text}"));
    }

    /// The folder of the trained model.
    pub(super) fn run_folder(&self) -> PathBuf {
        self.settings.rudolph.config.run.out.clone()
    }
}
