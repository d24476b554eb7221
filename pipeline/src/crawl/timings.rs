//! How long the steps of downloads take: p50 and p99 per unit and over the whole run.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

/// The longest time that is told apart, in microseconds: an hour.
const LONGEST: u64 = 3_600_000_000;

/// A step on the way from a URL to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// A look-up that the cache could not answer.
    Dns,
    /// A new connection, TLS included; most downloads find one open.
    Connect,
    /// From the request on the open connection to the head of the answer.
    FirstByte,
    /// From the head to the last byte.
    Body,
    /// Decode, resize, encode.
    Decode,
}

impl Phase {
    pub(super) const ALL: [Self; 5] = [Self::Dns, Self::Connect, Self::FirstByte, Self::Body, Self::Decode];

    /// The name in stats files and metrics.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::FirstByte => "first_byte",
            Self::Body => "body",
            Self::Decode => "decode",
        }
    }
}

/// One histogram per phase, in microseconds with two digits.
#[derive(Debug)]
pub(super) struct Timings {
    phases: [Mutex<Recorded>; Phase::ALL.len()],
    /// The whole run, of which this is a part.
    whole: Option<Arc<Timings>>,
}

#[derive(Debug)]
struct Recorded {
    /// `None` until something is recorded: 20 KB each.
    histogram: Option<Histogram<u32>>,
    sum: Duration,
}

/// A phase in numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Quantiles {
    pub(super) count: u64,
    pub(super) sum: Duration,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
}

impl Timings {
    /// Those of a whole run.
    pub(super) fn new() -> Self {
        let empty = || Mutex::new(Recorded { histogram: None, sum: Duration::ZERO });
        Self { phases: std::array::from_fn(|_| empty()), whole: None }
    }

    /// Those of a part, which count for the whole as well.
    pub(super) fn part(whole: &Arc<Self>) -> Self {
        Self { whole: Some(Arc::clone(whole)), ..Self::new() }
    }

    pub(super) fn record(&self, phase: Phase, time: Duration) {
        let mut recorded = self.phases[phase as usize].lock().unwrap_or_else(PoisonError::into_inner);
        recorded.add(time);
        drop(recorded);
        if let Some(whole) = &self.whole {
            whole.record(phase, time);
        }
    }

    /// `None` where nothing was recorded.
    pub(super) fn quantiles(&self, phase: Phase) -> Option<Quantiles> {
        let recorded = self.phases[phase as usize].lock().unwrap_or_else(PoisonError::into_inner);
        let histogram = recorded.histogram.as_ref()?;
        let at = |quantile| Duration::from_micros(histogram.value_at_quantile(quantile));
        Some(Quantiles { count: histogram.len(), sum: recorded.sum, p50: at(0.5), p99: at(0.99) })
    }

    /// `{"dns": {"count": 7, "p50": 1.5, "p99": 20.0}, …}` in milliseconds; null where nothing was recorded.
    pub(super) fn to_json(&self) -> Value {
        let milliseconds = |time: Duration| time.as_micros() as f64 / 1000.0;
        let entry = |phase| match self.quantiles(phase) {
            Some(q) => json!({"count": q.count, "p50": milliseconds(q.p50), "p99": milliseconds(q.p99)}),
            None => json!({"count": 0, "p50": null, "p99": null}),
        };
        let map: Map<String, Value> =
            Phase::ALL.into_iter().map(|phase| (phase.code().to_owned(), entry(phase))).collect();
        map.into()
    }
}

impl Recorded {
    fn add(&mut self, time: Duration) {
        if self.histogram.is_none() {
            // The bounds are constants that fit.
            self.histogram = Histogram::new_with_bounds(1, LONGEST, 2).ok();
        }
        if let Some(histogram) = &mut self.histogram {
            histogram.saturating_record(u64::try_from(time.as_micros()).unwrap_or(LONGEST).max(1));
            self.sum += time;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_times_recorded() {
        let timings = Timings::new();
        assert_eq!(timings.quantiles(Phase::Body), None);
        for n in 1..=100 {
            timings.record(Phase::Body, Duration::from_millis(n));
        }
        let body = timings.quantiles(Phase::Body).unwrap();
        assert_eq!((body.count, body.sum), (100, Duration::from_millis(5050)));
        assert!((50..=51).contains(&body.p50.as_millis()), "{body:?}");
        assert!((99..=100).contains(&body.p99.as_millis()), "{body:?}");
        timings.record(Phase::Dns, Duration::from_secs(100_000));
        assert!(timings.quantiles(Phase::Dns).unwrap().p99.as_secs() >= 3500, "too long is cut, not lost");
    }

    #[test]
    fn a_part_counts_for_the_whole() {
        let whole = Arc::new(Timings::new());
        let (one, two) = (Timings::part(&whole), Timings::part(&whole));
        one.record(Phase::Connect, Duration::from_millis(1));
        two.record(Phase::Connect, Duration::from_millis(2));
        assert_eq!(one.quantiles(Phase::Connect).unwrap().count, 1);
        assert_eq!(whole.quantiles(Phase::Connect).unwrap().count, 2);
        let json = one.to_json();
        assert_eq!(json["connect"], json!({"count": 1, "p50": 1.003, "p99": 1.003}));
        assert_eq!(json["dns"], json!({"count": 0, "p50": null, "p99": null}));
    }
}
