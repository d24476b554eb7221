//! What happens during a run, and how the command line tells it: talk on stderr, JSON lines on stdout.

use std::path::{Path, PathBuf};

use pipeline::cli::{Common, print};
use pipeline::progress::{Progress, ProgressStyle, clock};

use super::{EPOCHS, Facts, Memory, Metrics, ROWS};
use crate::curves::Live;
use crate::error::first_bad;
use crate::ranks::Held;
use crate::{Result, machine};

/// Something that a watcher of [`super::Run::train`] may want to know.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Before the first step of this process.
    Started {
        /// What is known about the run.
        facts: &'a Facts,
        /// Steps already made.
        step: u64,
        /// Steps in all.
        steps: u64,
    },
    /// The run was finished before.
    NothingLeft {
        /// The run folder.
        folder: &'a Path,
        /// Steps made.
        step: u64,
    },
    /// One optimizer step is made.
    Stepped {
        /// Steps made.
        step: u64,
    },
    /// A step was not made, because its loss or a gradient was not finite.
    Skipped {
        /// Steps made.
        step: u64,
        /// The first metric that is not finite.
        name: &'a str,
        /// Its value.
        value: f64,
        /// The first parameter whose gradient is not finite.
        bad: Option<&'a String>,
    },
    /// Enough steps are made to tell how long the rest will take.
    Settled {
        /// Steps made.
        step: u64,
        /// Steps per second of this process.
        rate: f64,
        /// Model FLOPs utilisation: the share of the device's peak that the model's own operations make up.
        mfu: Option<f64>,
        /// What is known about the run.
        facts: &'a Facts,
    },
    /// A line was written to `metrics.jsonl`.
    Logged {
        /// Steps made.
        step: u64,
        /// Means since the last line.
        metrics: &'a Metrics,
        /// Speed, waiting and memory since the last line.
        measured: &'a [(String, f64)],
        /// Steps per second of this process.
        rate: f64,
        /// What is known about the run.
        facts: &'a Facts,
    },
    /// The held-out data was scored.
    Validated {
        /// Steps made.
        step: u64,
        /// Held-out losses.
        metrics: &'a Metrics,
    },
    /// Sample pictures were written.
    Sampled {
        /// Steps made.
        step: u64,
        /// Where they are.
        dir: &'a Path,
    },
    /// All processes hold the same.
    Compared {
        /// What each holds.
        held: &'a [Held],
    },
    /// A checkpoint is written.
    Kept {
        /// Its folder.
        path: &'a Path,
    },
    /// A signal ended the run at a checkpoint.
    Interrupted {
        /// Steps made.
        step: u64,
    },
    /// All steps are made and the model is written.
    Finished {
        /// The run folder.
        folder: &'a Path,
        /// Steps made.
        step: u64,
        /// Seconds of training, over all processes.
        seconds: f64,
    },
}

/// Tells events to a user.
pub struct Talk {
    common: Common,
    progress: Option<Progress>,
    /// Steps in all.
    steps: u64,
    /// The run folder whose losses are drawn.
    run: Option<PathBuf>,
    live: Option<Live>,
}

impl Talk {
    /// Talks as the common flags ask.
    #[must_use]
    pub fn new(common: Common) -> Self {
        Self { common, progress: None, steps: 0, run: None, live: None }
    }

    /// Draws the losses of a run folder above the progress line, where that is live.
    #[must_use]
    pub fn with_curves(mut self, run: &Path) -> Self {
        self.run = Some(run.to_owned());
        self
    }

    /// Tells one event.
    ///
    /// # Errors
    /// stdout is closed.
    pub fn tell(&mut self, event: &Event) -> Result<()> {
        if self.common.json
            && let Some(line) = json(event)
        {
            print(&line)?;
        }
        match *event {
            Event::Started { facts, step, steps } => {
                self.steps = steps;
                describe(facts, step, steps).iter().for_each(|line| self.say(line));
                self.begin(step, steps);
            }
            Event::NothingLeft { folder, step } => {
                self.say(&format!(
                    "{}: all {step} steps are already done; nothing left to do",
                    folder.display()
                ));
            }
            Event::Stepped { step } => self.progress.iter().for_each(|progress| progress.set(step)),
            Event::Logged { step, metrics, rate, facts, .. } => {
                self.say(&logged(step, self.steps, metrics, rate, facts));
                self.live.iter().zip(metrics.get("loss")).for_each(|(live, loss)| live.train(step, loss));
            }
            Event::Validated { step, metrics } => {
                self.say(&format!("step {step}  held out: {}", numbers(metrics)));
                self.live.iter().zip(metrics.get("loss")).for_each(|(live, loss)| live.held_out(step, loss));
            }
            Event::Sampled { step, dir } if self.common.verbose => {
                self.say(&format!("step {step}  samples in {}", dir.display()));
            }
            Event::Kept { path } if self.common.verbose => {
                self.say(&format!("checkpoint {}", path.display()));
            }
            Event::Compared { held } if self.common.verbose => {
                held.first().iter().for_each(|one| self.say(&compared(one, held.len())));
            }
            Event::Skipped { step, name, value, bad } => {
                self.say(&format!("step {step}  skipped: {name} is {value}{}", first_bad(bad)));
            }
            Event::Settled { step, rate, mfu, facts } => {
                self.say(&settled(step, self.steps, rate, mfu, facts));
            }
            Event::Sampled { .. } | Event::Compared { .. } | Event::Kept { .. } => {}
            Event::Interrupted { step } => {
                self.end();
                self.say(&format!("stopped after step {step} with a checkpoint; the same command continues"));
            }
            Event::Finished { folder, step, seconds } => {
                self.end();
                let time = clock(seconds as u64);
                self.say(&format!(
                    "{step} steps in {time}; the model is in {}",
                    folder.join("model").display()
                ));
            }
        }
        Ok(())
    }

    /// Starts the progress line, and the curves above it.
    fn begin(&mut self, step: u64, steps: u64) {
        let style = self.common.progress_style();
        let progress = Progress::start(style, "step", Some(steps), step);
        if let (Some(run), ProgressStyle::Bar) = (&self.run, style) {
            let live = Live::resume(run, step);
            self.live = Some(live.clone());
            progress.above(move |screen| live.draw(screen));
        }
        self.progress = Some(progress);
    }

    fn say(&self, line: &str) {
        match &self.progress {
            Some(progress) => progress.note(line),
            None if !self.common.json => self.common.say(line),
            None => {}
        }
    }

    fn end(&mut self) {
        if let Some(progress) = self.progress.take() {
            progress.finish();
        }
    }
}

/// The lines before the first step.
fn describe(facts: &Facts, step: u64, steps: u64) -> Vec<String> {
    let mut lines = vec![
        format!(
            "{} parameters; {} {} per step",
            short(facts.parameters as f64),
            facts.items_per_step,
            facts.items
        ),
        format!(
            "{:.1} steps per epoch; {:.1} epochs in all",
            facts.steps_per_epoch,
            steps as f64 / facts.steps_per_epoch
        ),
        facts.memory.words(),
    ];
    if facts.flops_per_step > 0.0 {
        let per_item = facts.flops_per_step / facts.items_per_step.max(1) as f64;
        let item = facts.items.trim_end_matches('s');
        lines.insert(1, format!("{} operations per {item}, forth and back", short(per_item)));
    }
    lines.extend(facts.notes.iter().cloned());
    if step > 0 {
        lines.push(format!("{step} of {steps} steps already done"));
    }
    lines
}

/// The line that tells how long it will take, and how well the device is used.
fn settled(step: u64, steps: u64, rate: f64, mfu: Option<f64>, facts: &Facts) -> String {
    let speed = format!("{} {}/s", short(rate * facts.items_per_step as f64), facts.items);
    let left = clock((steps.saturating_sub(step) as f64 / rate) as u64);
    let mfu = mfu.map_or_else(String::new, |share| format!(", MFU {:.0} %", share * 100.0));
    let memory = machine::peak_memory();
    let memory =
        memory.map_or_else(String::new, |bytes| format!(", {} held at most", machine::in_words(bytes)));
    format!("step {step}  {speed}{mfu}{memory}; {left} left")
}

/// The line that says that all processes hold the same.
fn compared(held: &Held, processes: usize) -> String {
    format!(
        "step {}  {processes} processes hold the same weights and moments, sha256 {}",
        held.step, held.weights
    )
}

/// The line of a step that is logged: its metrics, the speed, and the time that the steps left will take.
fn logged(step: u64, steps: u64, metrics: &Metrics, rate: f64, facts: &Facts) -> String {
    let speed = format!("{} {}/s", short(rate * facts.items_per_step as f64), facts.items);
    let left = clock((steps.saturating_sub(step) as f64 / rate) as u64);
    format!("step {step}  {}  {speed}  {left} left", numbers(metrics))
}

fn numbers(metrics: &Metrics) -> String {
    let number = |(name, value): (&str, f64)| match name {
        "lr" => format!("lr {value:.2e}"),
        name => format!("{name} {value:.3}"),
    };
    // Counts of rows are for the files: a line has no room for them.
    let short = metrics.iter().filter(|(name, _)| !name.starts_with(ROWS) && !name.starts_with(EPOCHS));
    short.map(number).collect::<Vec<_>>().join("  ")
}

fn json(event: &Event) -> Option<String> {
    let mut more = serde_json::Map::new();
    let (kind, step, metrics) = match *event {
        Event::Started { facts, step, steps } => {
            more = known(facts, steps);
            ("started", step, &Metrics::new())
        }
        Event::Logged { step, metrics, measured, .. } => {
            more.extend(measured.iter().map(|(name, value)| (name.clone(), (*value).into())));
            ("train", step, metrics)
        }
        Event::Validated { step, metrics } => ("valid", step, metrics),
        Event::Finished { step, .. } | Event::NothingLeft { step, .. } => ("finished", step, &Metrics::new()),
        Event::Interrupted { step } => ("interrupted", step, &Metrics::new()),
        Event::Skipped { step, .. } => ("skipped", step, &Metrics::new()),
        Event::Compared { held } => {
            more.insert("sha256".into(), held.iter().map(|held| held.weights.clone()).collect());
            ("compared", held.first()?.step, &Metrics::new())
        }
        _ => return None,
    };
    let mut map = serde_json::Map::new();
    map.insert("type".into(), kind.into());
    map.insert("version".into(), 1.into());
    map.insert("step".into(), step.into());
    map.extend(metrics.iter().map(|(name, value)| (name.to_owned(), value.into())));
    map.extend(more);
    Some(serde_json::Value::Object(map).to_string())
}

/// What is known before the first step, for a record.
fn known(facts: &Facts, steps: u64) -> serde_json::Map<String, serde_json::Value> {
    let Memory { data, weights, average, optimizer, gradients, activations, .. } = facts.memory;
    let memory = serde_json::json!({
        "peak": facts.memory.peak(), "data": data, "weights": weights, "average": average, "optimizer": optimizer,
        "gradients": gradients, "activations": activations, "checkpoint": facts.memory.checkpoint(),
    });
    [
        ("steps", steps.into()),
        ("parameters", facts.parameters.into()),
        ("items", facts.items.into()),
        ("items_per_step", facts.items_per_step.into()),
        ("flops_per_step", facts.flops_per_step.into()),
        ("steps_per_epoch", facts.steps_per_epoch.into()),
        ("memory", memory),
    ]
    .map(|(name, value): (&str, serde_json::Value)| (name.to_owned(), value))
    .into_iter()
    .collect()
}

/// `950`, `12.3k`, `4.56M`, `1.31B`.
fn short(value: f64) -> String {
    match value {
        v if v >= 1e9 => format!("{:.2}B", v / 1e9),
        v if v >= 1e6 => format!("{:.2}M", v / 1e6),
        v if v >= 1e3 => format!("{:.1}k", v / 1e3),
        v => format!("{v:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 950.0, 12_345.0, 4_560_000.0, 1_310_000_000.0].map(short);
        assert_eq!(shown, ["0", "950", "12.3k", "4.56M", "1.31B"]);
    }

    #[test]
    fn a_line_of_metrics_reads_like_this() {
        let metrics = Metrics::new().with("loss", 5.12345).with("lr", 3e-4);
        assert_eq!(numbers(&metrics), "loss 5.123  lr 3.00e-4");
    }

    #[test]
    fn a_logged_step_says_how_fast_it_goes_and_how_long_it_still_takes() {
        let facts = Facts { items_per_step: 2304, items: "tokens", ..Facts::default() };
        let metrics = Metrics::new().with("loss", 5.0);
        let line = logged(100, 2000, &metrics, 2.0, &facts);
        assert_eq!(line, "step 100  loss 5.000  4.6k tokens/s  15m50s left");
        assert!(logged(2000, 2000, &metrics, 2.0, &facts).ends_with("  0s left"));
    }

    #[test]
    fn the_steps_that_are_left_are_counted_from_those_the_run_began_with() {
        let mut talk = Talk::new(Common { quiet: true, ..Common::default() });
        talk.tell(&Event::Started { facts: &Facts::default(), step: 3, steps: 2000 }).unwrap();
        assert_eq!(talk.steps, 2000);
    }

    #[test]
    fn what_is_known_is_said_before_the_first_step() {
        let facts = Facts {
            parameters: 4_560_000,
            items_per_step: 2304,
            items: "tokens",
            steps_per_epoch: 40.0,
            flops_per_step: 2304.0 * 30e6,
            memory: Memory {
                weights: 18 << 20,
                gradients: 18 << 20,
                optimizer: 36 << 20,
                ..Memory::default()
            },
            notes: vec!["a note".into()],
            ..Facts::default()
        };
        insta::assert_snapshot!(describe(&facts, 100, 2000).join("\n"), @"
        4.56M parameters; 2304 tokens per step
        30.00M operations per token, forth and back
        40.0 steps per epoch; 50.0 epochs in all
        memory: about 190.0 MiB at most; weights 18.0 MiB, gradients 18.0 MiB, optimizer 36.0 MiB, checkpoint 54.0 MiB
        a note
        100 of 2000 steps already done
        ");
    }
}
