//! One progress line: live on a terminal, a plain line every ten seconds without one, JSON lines on request.
//!
//! The first line appears at once. All of it goes to stderr, except `--json`, whose lines are data and go to stdout.

mod block;
mod tail;
mod ticker;

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle as BarStyle};
use serde_json::{Map, Value};

use block::Block;
pub use tail::Detail;
use tail::Tail;
pub(crate) use ticker::Ticker;

use crate::terminal::Screen;

/// Time between two lines when nobody watches.
const PLAIN_EVERY: Duration = Duration::from_secs(10);
/// Time between two JSON records.
const JSON_EVERY: Duration = Duration::from_secs(5);

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressStyle {
    /// One line, updated in place.
    Bar,
    /// One line every ten seconds.
    Plain,
    /// JSON lines on stdout every five seconds.
    Json,
    /// Nothing.
    Quiet,
}

impl ProgressStyle {
    /// `--json` beats `-q` beats what stderr is.
    pub fn detect(json: bool, quiet: bool) -> Self {
        if json {
            Self::Json
        } else if quiet {
            Self::Quiet
        } else if std::io::stderr().is_terminal() {
            Self::Bar
        } else {
            Self::Plain
        }
    }
}

/// The progress of one piece of work; clones share it, the last one dropped ends the line.
#[derive(Clone)]
pub struct Progress {
    shared: Arc<Shared>,
    /// Ends the ticker when the last clone goes.
    ticker: Arc<Ticker>,
}

struct Shared {
    style: ProgressStyle,
    /// What is counted: `img`, `row`, `step`.
    noun: &'static str,
    bar: Option<ProgressBar>,
    started: Instant,
    /// Work found done at the start: counted, but no part of the rate.
    before: AtomicU64,
    done: AtomicU64,
    /// 0 = unknown.
    total: AtomicU64,
    tail: Arc<Tail>,
    block: Arc<Block>,
}

impl Progress {
    /// Starts the line. `before` of `total` (if known) are already done.
    pub fn start(style: ProgressStyle, noun: &'static str, total: Option<u64>, before: u64) -> Self {
        Self::with_tail(style, noun, total, before, Tail::default())
    }

    /// Starts the line of work whose size is yet to be seen; `message` says what is done first.
    pub fn begin(style: ProgressStyle, noun: &'static str, message: &str) -> Self {
        let tail = Tail::default();
        tail.say(message.to_owned());
        Self::with_tail(style, noun, None, 0, tail)
    }

    fn with_tail(
        style: ProgressStyle,
        noun: &'static str,
        total: Option<u64>,
        before: u64,
        tail: Tail,
    ) -> Self {
        let (tail, block) = (Arc::new(tail), Arc::new(Block::default()));
        let shared = Arc::new(Shared {
            style,
            noun,
            bar: (style == ProgressStyle::Bar).then(|| bar(total, before, &tail, &block)),
            started: Instant::now(),
            before: AtomicU64::new(before),
            done: AtomicU64::new(before),
            total: AtomicU64::new(total.unwrap_or(0)),
            tail,
            block,
        });
        shared.show();
        let state = Arc::clone(&shared);
        let ticker = match shared.pause() {
            Some(pause) => Ticker::start("progress", pause, move || state.show()),
            None => Ticker::idle(),
        };
        Self { shared, ticker: Arc::new(ticker) }
    }

    /// `n` more are done.
    pub fn add(&self, n: u64) {
        let done = self.shared.done.fetch_add(n, Ordering::Relaxed) + n;
        self.shared.place(done);
    }

    /// `done` are done.
    pub fn set(&self, done: u64) {
        self.shared.done.store(done, Ordering::Relaxed);
        self.shared.place(done);
    }

    /// The total has become known, and how much of it was done before.
    pub fn set_total(&self, total: u64, before: u64) {
        self.shared.total.store(total, Ordering::Relaxed);
        self.shared.before.store(before, Ordering::Relaxed);
        self.shared.done.store(before, Ordering::Relaxed);
        if let Some(bar) = &self.shared.bar {
            bar.set_length(total);
            bar.set_position(before);
            style(bar, true, &self.shared.tail, &self.shared.block);
            bar.reset_eta();
        }
    }

    /// How many are done.
    pub fn done(&self) -> u64 {
        self.shared.done.load(Ordering::Relaxed)
    }

    /// The free text at the end of the line.
    pub fn message(&self, text: impl Into<String>) {
        self.shared.tail.say(text.into());
    }

    /// Leaves the free text to `source`, which is asked when a line is shown: work that changes thousands of times a
    /// second need not word each change.
    pub fn follow(&self, source: impl Fn() -> Detail + Send + Sync + 'static) {
        self.shared.tail.follow(Box::new(source));
    }

    /// Lines above the bar, which `source` makes for the terminal whenever the bar is drawn; other styles have none.
    pub fn above(&self, source: impl Fn(Screen) -> String + Send + Sync + 'static) {
        if let Some(bar) = &self.shared.bar {
            self.shared.block.follow(Box::new(source));
            let total = self.shared.total.load(Ordering::Relaxed) > 0;
            style(bar, total, &self.shared.tail, &self.shared.block);
        }
    }

    /// A record of its own among the JSON lines, `{"type": kind, "version": 1, …}`; nothing in other styles.
    pub fn event(&self, kind: &str, fields: Map<String, Value>) {
        if self.shared.style == ProgressStyle::Json {
            let mut record = record(kind);
            record.extend(fields);
            emit(&record);
        }
    }

    /// A line of talk on stderr that does not disturb the bar; among JSON lines a record, when quiet nothing.
    pub fn note(&self, text: &str) {
        match (&self.shared.bar, self.shared.style) {
            (Some(bar), _) => bar.println(text),
            (None, ProgressStyle::Plain) => say(text),
            (None, ProgressStyle::Json) => {
                self.event("note", [("text".to_owned(), text.into())].into_iter().collect());
            }
            (None, ProgressStyle::Bar | ProgressStyle::Quiet) => {}
        }
    }

    /// Ends the line: the last state stays readable.
    pub fn finish(&self) {
        match &self.shared.bar {
            Some(bar) if !bar.is_finished() => {
                bar.finish_and_clear();
                if !self.shared.is_ahead() {
                    say(&self.shared.line());
                }
            }
            Some(_) => {}
            // Work that never began has been announced, and has nothing to add.
            None if self.shared.is_ahead() => {}
            None => self.shared.show(),
        }
        self.ticker.end();
    }
}

impl Shared {
    fn place(&self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
    }

    /// Done, total, rate (per second), seconds left.
    fn numbers(&self) -> (u64, Option<u64>, f64, Option<u64>) {
        let done = self.done.load(Ordering::Relaxed);
        let total = Some(self.total.load(Ordering::Relaxed)).filter(|t| *t > 0);
        let seconds = self.started.elapsed().as_secs_f64().max(1e-3);
        let rate = done.saturating_sub(self.before.load(Ordering::Relaxed)) as f64 / seconds;
        let left = total.filter(|_| rate > 0.0).map(|t| (t.saturating_sub(done) as f64 / rate).ceil() as u64);
        (done, total, rate, left)
    }

    /// Whether nothing is known of the work yet.
    fn is_ahead(&self) -> bool {
        self.done.load(Ordering::Relaxed) == 0 && self.total.load(Ordering::Relaxed) == 0
    }

    fn line(&self) -> String {
        let (done, total, rate, left) = self.numbers();
        let detail = self.tail.detail();
        if self.is_ahead() && !detail.text.is_empty() {
            return detail.text;
        }
        let noun = self.noun;
        let mut line = match total {
            Some(total) => format!("{:>3.0}% {done}/{total} {noun}", 100.0 * done as f64 / total as f64),
            None => format!("{done} {noun}"),
        };
        line += &format!(", {rate:.1} {noun}/s");
        if let Some(left) = left.filter(|left| *left > 0) {
            line += &format!(", ETA {}", clock(left));
        }
        if !detail.text.is_empty() {
            line += &format!(", {}", detail.text);
        }
        line
    }

    fn json(&self) -> Map<String, Value> {
        let (done, total, rate, left) = self.numbers();
        let Detail { text, fields } = self.tail.detail();
        let mut record = record("progress");
        for (key, value) in [
            ("done", done.into()),
            ("total", total.into()),
            ("unit", self.noun.into()),
            ("rate", ((rate * 10.0).round() / 10.0).into()),
            ("eta_s", left.into()),
            ("message", Value::from(text)),
        ] {
            record.insert(key.to_owned(), value);
        }
        record.extend(fields);
        record
    }

    /// Time between two lines, where a thread of ours shows them.
    fn pause(&self) -> Option<Duration> {
        match self.style {
            ProgressStyle::Plain => Some(PLAIN_EVERY),
            ProgressStyle::Json => Some(JSON_EVERY),
            ProgressStyle::Bar | ProgressStyle::Quiet => None,
        }
    }

    fn show(&self) {
        match self.style {
            ProgressStyle::Plain => say(&self.line()),
            ProgressStyle::Json => emit(&self.json()),
            ProgressStyle::Bar | ProgressStyle::Quiet => {}
        }
    }
}

/// The beginning of a JSON record.
fn record(kind: &str) -> Map<String, Value> {
    [("type".to_owned(), kind.into()), ("version".to_owned(), 1.into())].into_iter().collect()
}

fn emit(record: &Map<String, Value>) {
    let line = serde_json::to_string(record).unwrap_or_default();
    // A reader that went away is noticed by the program's own output.
    drop(writeln!(std::io::stdout().lock(), "{line}"));
}

fn bar(total: Option<u64>, before: u64, tail: &Arc<Tail>, block: &Arc<Block>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr()).with_position(before);
    style(&bar, total.is_some(), tail, block);
    bar.reset_eta();
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn style(bar: &ProgressBar, total: bool, tail: &Arc<Tail>, block: &Arc<Block>) {
    let line = match total {
        true => "{wide_bar:.cyan} {percent:>3}% {human_pos}/{human_len} {per_sec} ETA {eta} {tail}",
        false => "{spinner} {human_pos} {per_sec} {tail}",
    };
    // A block that is never asked for must not cost an empty line.
    let template = if block.is_set() { format!("{{block}}\n{line}") } else { line.to_owned() };
    let (tail, block) = (Arc::clone(tail), Arc::clone(block));
    let word =
        move |_: &ProgressState, out: &mut dyn std::fmt::Write| write!(out, "{tail}").unwrap_or_default();
    let lines =
        move |_: &ProgressState, out: &mut dyn std::fmt::Write| write!(out, "{block}").unwrap_or_default();
    if let Ok(style) = BarStyle::with_template(&template) {
        bar.set_style(style.with_key("tail", word).with_key("block", lines));
    }
}

fn say(text: &str) {
    // Progress is talk: if stderr is closed, the work goes on.
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

/// `59s`, `12m05s`, `3h07m`.
pub fn clock(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s:02}s"),
        (h, m, _) => format!("{h}h{m:02}m"),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_counts_what_was_done_before_but_not_in_the_rate() {
        let progress = Progress::start(ProgressStyle::Quiet, "img", Some(10), 4);
        progress.add(1);
        progress.message("ok 100.0 %");
        let line = progress.shared.line();
        assert!(line.starts_with(" 50% 5/10 img, "), "{line}");
        assert!(line.ends_with(", ok 100.0 %"), "{line}");
        let (done, total, rate, left) = progress.shared.numbers();
        assert_eq!((done, total), (5, Some(10)));
        assert!(rate > 0.0 && left.is_some());
        progress.finish();
    }

    #[test]
    fn work_that_has_not_begun_shows_no_numbers() {
        let progress = Progress::begin(ProgressStyle::Quiet, "img", "reading the link list");
        assert_eq!(progress.shared.line(), "reading the link list");
        assert!(progress.shared.is_ahead());
        progress.set_total(3, 0);
        assert!(progress.shared.line().starts_with("  0% 0/3 img"), "{}", progress.shared.line());
    }

    #[test]
    fn json_lines_are_versioned() {
        let progress = Progress::start(ProgressStyle::Quiet, "row", None, 0);
        progress.set(7);
        let value = Value::from(progress.shared.json());
        assert_eq!(
            (&value["type"], &value["version"], &value["done"]),
            (&"progress".into(), &1.into(), &7.into())
        );
        assert!(value["total"].is_null());
    }

    #[test]
    fn what_follows_is_asked_when_a_line_is_shown() {
        let progress = Progress::start(ProgressStyle::Quiet, "img", Some(10), 0);
        let asked = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&asked);
        progress.follow(move || {
            let text = format!("asked {}", counter.fetch_add(1, Ordering::Relaxed) + 1);
            Detail { text, fields: [("bytes".to_owned(), 7.into())].into_iter().collect() }
        });
        progress.add(5);
        assert_eq!(asked.load(Ordering::Relaxed), 0);
        assert!(progress.shared.line().ends_with(", asked 1"));
        let json = progress.shared.json();
        assert_eq!((&json["message"], &json["bytes"]), (&"asked 2".into(), &7.into()));
    }

    #[test]
    fn clocks_read_well() {
        assert_eq!([clock(7), clock(725), clock(11_220)], ["7s", "12m05s", "3h07m"]);
    }
}
