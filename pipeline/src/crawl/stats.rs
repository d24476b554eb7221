//! The counts of a unit in img2dataset's stats format, and how counts are told in a line.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::timings::Timings;
use crate::pairs::Row;
use crate::reason::{Reason, Status};

/// Distinct messages that a stats file lists, as in img2dataset.
const MESSAGES: usize = 100_000;

/// Rows per reason.
pub type Counts = BTreeMap<Reason, u64>;

/// The counts of one unit.
#[derive(Debug)]
pub(super) struct UnitStats {
    started: f64,
    counts: Counts,
    messages: BTreeMap<String, u64>,
    timings: Arc<Timings>,
}

impl UnitStats {
    pub(super) fn start(timings: Arc<Timings>) -> Self {
        Self { started: now(), counts: Counts::new(), messages: BTreeMap::new(), timings }
    }

    pub(super) fn count(&mut self, row: &Row) {
        *self.counts.entry(row.reason).or_default() += 1;
        let message = row.error_message.as_deref().unwrap_or("success");
        if let Some(rows) = self.messages.get_mut(message) {
            *rows += 1;
        } else if self.messages.len() < MESSAGES {
            self.messages.insert(message.to_owned(), 1);
        }
    }

    /// Rows per reason code, for the commit.
    pub(super) fn by_code(&self) -> BTreeMap<String, u64> {
        self.counts.iter().map(|(reason, rows)| (reason.code().to_owned(), *rows)).collect()
    }

    /// img2dataset's stats file, then the counts per reason and the quantiles per phase.
    pub(super) fn to_json(&self) -> Value {
        let of = |status: Status| -> u64 {
            self.counts.iter().filter(|(reason, _)| reason.status() == status).map(|(_, rows)| rows).sum()
        };
        let ended = now();
        json!({
            "count": self.counts.values().sum::<u64>(),
            "successes": of(Status::Success),
            "failed_to_download": of(Status::FailedToDownload),
            "failed_to_resize": of(Status::FailedToResize),
            "duration": ended - self.started,
            "start_time": self.started,
            "end_time": ended,
            "status_dict": self.messages,
            "reasons": self.by_code(),
            "timings_ms": self.timings.to_json(),
        })
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// `ok 71.2 %, dns 9.1 %, …`: the success rate and the `most` largest classes of failure.
pub fn line(counts: &Counts, most: usize) -> String {
    let total: u64 = counts.values().sum();
    let share = |rows: u64| 100.0 * rows as f64 / total.max(1) as f64;
    let mut failures: Vec<(Reason, u64)> = counts
        .iter()
        .filter(|(reason, _)| **reason != Reason::Ok)
        .map(|(reason, rows)| (*reason, *rows))
        .collect();
    failures.sort_by_key(|(reason, rows)| (std::cmp::Reverse(*rows), *reason));
    let ok = counts.get(&Reason::Ok).copied().unwrap_or(0);
    let mut text = format!("ok {:.1} %", share(ok));
    for (reason, rows) in failures.into_iter().take(most) {
        text += &format!(", {reason} {:.1} %", share(rows));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(reason: Reason, message: Option<&str>) -> Row {
        Row { error_message: message.map(str::to_owned), ..Row::new("", reason) }
    }

    #[test]
    fn the_stats_file_is_img2datasets_with_the_reasons_after_it() {
        let mut stats = UnitStats::start(Arc::new(Timings::new()));
        stats.count(&row(Reason::Ok, None));
        stats.count(&row(Reason::Ok, None));
        stats.count(&row(Reason::HttpNotFound, Some("HTTP Error 404: Not Found")));
        stats.count(&row(Reason::Decode, Some("Image decoding error")));
        let json = stats.to_json();
        let keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let img2dataset = [
            "count",
            "successes",
            "failed_to_download",
            "failed_to_resize",
            "duration",
            "start_time",
            "end_time",
            "status_dict",
        ];
        assert_eq!(keys[..8], img2dataset);
        assert_eq!((&json["count"], &json["successes"]), (&4.into(), &2.into()));
        assert_eq!((&json["failed_to_download"], &json["failed_to_resize"]), (&1.into(), &1.into()));
        assert_eq!(json["status_dict"]["success"], 2);
        assert_eq!(json["timings_ms"]["dns"]["count"], 0);
        assert_eq!(json["reasons"], json!({"ok": 2, "http_not_found": 1, "decode": 1}));
    }

    #[test]
    fn the_line_names_the_largest_failures_first() {
        let counts = [(Reason::Dns, 10), (Reason::Ok, 70), (Reason::Decode, 5), (Reason::Timeout, 15)].into();
        assert_eq!(line(&counts, 2), "ok 70.0 %, timeout 15.0 %, dns 10.0 %");
        assert_eq!(line(&Counts::new(), 2), "ok 0.0 %");
    }
}
