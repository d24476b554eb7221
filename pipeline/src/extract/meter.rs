//! How far a run is.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;

use super::archive::Taken;
use super::config::ExtractConfig;
use super::counts::ExtractCounts;
use super::find::is_fetched;
use crate::crawl::RunOptions;
use crate::progress::{Detail, Progress};
use crate::unit::{InputFile, Plan, Selection, Todo, Unit};

/// The progress line: mebibytes where they are known beforehand, else pages.
pub(super) struct Meter {
    pub(super) progress: Progress,
    by_bytes: bool,
    started: Instant,
    tally: Arc<Tally>,
}

/// What this run has read so far.
#[derive(Default)]
struct Tally {
    bytes: AtomicU64,
    counts: Mutex<ExtractCounts>,
}

impl Meter {
    pub(super) fn start(config: &ExtractConfig, options: &RunOptions) -> Self {
        let by_bytes = !config.input.paths.iter().all(|name| is_fetched(name));
        let progress =
            Progress::begin(options.style, if by_bytes { "MiB" } else { "page" }, "looking at the inputs");
        Self { progress, by_bytes, started: Instant::now(), tally: Arc::default() }
    }

    /// The line tells from now on what has been read.
    pub(super) fn follow(&self) {
        let tally = Arc::clone(&self.tally);
        self.progress.follow(move || tally.detail());
    }

    /// Time since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The work has become known.
    pub(super) fn begin(&self, plan: &Plan, todo: &Todo) {
        let (total, done) = match self.by_bytes {
            true => self.begin_bytes(plan, todo),
            false => (todo.rows, todo.rows_done),
        };
        self.progress.set_total(total, done);
        self.progress.message("");
    }

    /// Mebibytes of the selected units, and of those of them that are done.
    fn begin_bytes(&self, plan: &Plan, todo: &Todo) -> (u64, u64) {
        let inputs: BTreeMap<&str, &InputFile> =
            plan.inputs.iter().map(|input| (input.path.as_str(), input)).collect();
        let bytes = |unit: &Unit| {
            inputs.get(unit.file.as_str()).map_or(0, |input| input.bytes * unit.rows / input.rows.max(1))
        };
        let left: u64 = todo.units.iter().map(bytes).sum();
        let selected = match todo.selection() {
            Selection::All => plan.units.iter().map(bytes).sum(),
            Selection::One(_) => left,
        };
        self.tally.bytes.store(selected - left, Ordering::Relaxed);
        (mib(selected), mib(selected - left))
    }

    /// Something was read.
    pub(super) fn add(&self, taken: &Taken) {
        *self.tally.counts.lock().unwrap_or_else(PoisonError::into_inner) += &taken.counts;
        if self.by_bytes {
            let bytes = self.tally.bytes.fetch_add(taken.bytes, Ordering::Relaxed) + taken.bytes;
            self.progress.set(mib(bytes));
        } else {
            self.progress.add(taken.entries);
        }
    }
}

impl Tally {
    /// `1204 pages, 40213 links`, and the same in numbers.
    fn detail(&self) -> Detail {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let malformed = match counts.all_malformed() {
            0 => String::new(),
            malformed => format!(", {malformed} malformed"),
        };
        let text = format!("{} pages, {} links{malformed}", counts.pages, counts.links);
        Detail { text, fields: [("counts".to_owned(), json!(counts))].into_iter().collect() }
    }
}

/// Rounded up, so that what is done is all there is at the end.
fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}
