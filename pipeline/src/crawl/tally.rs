//! What this process has done so far, counted by all its threads: for the progress line, the summary and metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::advice;
use super::stats::{Counts, line};
use super::timings::Timings;
use crate::progress::Detail;
use crate::reason::Reason;

/// Failures that the progress line names.
const NAMED: usize = 4;

/// The counts; no lock, as every row of every unit passes here.
#[derive(Debug)]
pub(super) struct Tally {
    started: Instant,
    rows: Vec<AtomicU64>,
    /// Reasons whose share has been remarked on.
    remarked: Vec<AtomicBool>,
    downloaded: AtomicU64,
    in_flight: AtomicU64,
    /// Of the whole run.
    pub(super) timings: Arc<Timings>,
}

/// A download under way.
#[derive(Debug)]
pub(super) struct InFlight<'a>(&'a Tally);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            rows: Reason::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
            remarked: Reason::ALL.iter().map(|_| AtomicBool::new(false)).collect(),
            downloaded: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            timings: Arc::new(Timings::new()),
        }
    }

    pub(super) fn row(&self, reason: Reason) {
        self.rows[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn downloaded(&self, bytes: u64) {
        self.downloaded.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts a download as under way for as long as the result lives.
    pub(super) fn begin(&self) -> InFlight<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self)
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Rows counted so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows.iter().map(|rows| rows.load(Ordering::Relaxed)).sum()
    }

    /// Rows per reason, without those that did not occur.
    pub(super) fn counts(&self) -> Counts {
        let counts = Reason::ALL.iter().zip(&self.rows).map(|(r, rows)| (*r, rows.load(Ordering::Relaxed)));
        counts.filter(|(_, rows)| *rows > 0).collect()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.downloaded.load(Ordering::Relaxed)
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// What to do about the classes of failure that have become loud, once for each.
    pub(super) fn remarks(&self) -> Vec<String> {
        Reason::ALL.iter().filter_map(|reason| self.remark(*reason)).collect()
    }

    fn remark(&self, reason: Reason) -> Option<String> {
        let count = self.rows[reason as usize].load(Ordering::Relaxed);
        let advice = advice::early(reason, count, || self.rows())?;
        let first = !self.remarked[reason as usize].swap(true, Ordering::Relaxed);
        first.then_some(advice)
    }

    /// `12.3 MB/s, ok 71.2 %, dns 9.1 %, …`, and the same in numbers.
    pub(super) fn detail(&self) -> Detail {
        let counts = self.counts();
        let bytes = self.bytes();
        let rate = bytes as f64 / self.elapsed().as_secs_f64().max(1e-3) / 1e6;
        let fields: Map<String, Value> = [
            ("downloaded_bytes", json!(bytes)),
            ("mb_per_s", json!((rate * 10.0).round() / 10.0)),
            ("in_flight", json!(self.in_flight())),
            ("counts", json!(counts)),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .collect();
        Detail { text: format!("{rate:.1} MB/s, {}", line(&counts, NAMED)), fields }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_numbered_in_their_order() {
        for (number, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, number);
        }
    }

    #[test]
    fn the_line_tells_rates_and_failures() {
        let tally = Tally::new();
        for reason in [Reason::Ok, Reason::Ok, Reason::Ok, Reason::Dns] {
            tally.row(reason);
        }
        let flight = tally.begin();
        let detail = tally.detail();
        assert!(detail.text.ends_with(" MB/s, ok 75.0 %, dns 25.0 %"), "{}", detail.text);
        assert_eq!((&detail.fields["in_flight"], &detail.fields["counts"]["dns"]), (&json!(1), &json!(1)));
        drop(flight);
        assert_eq!((tally.in_flight(), tally.rows()), (0, 4));
    }

    #[test]
    fn a_loud_failure_is_remarked_on_once() {
        let tally = Tally::new();
        let mut remarks = Vec::new();
        for n in 0..300 {
            let reason = if n % 2 == 0 { Reason::NotImage } else { Reason::Ok };
            tally.row(reason);
            remarks.extend(tally.remarks());
        }
        assert_eq!(remarks.len(), 1);
        assert!(remarks[0].starts_with("hint: 50 % not_image: "), "{}", remarks[0]);
    }
}
