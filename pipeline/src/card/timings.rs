//! How long the steps of downloads took, from the stats of a crawl's units.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::record::Timing;

/// A step in the stats of a unit.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Step {
    count: u64,
    p50: Option<f64>,
    p99: Option<f64>,
}

/// The steps of a download in their order.
const STEPS: [&str; 5] = ["dns", "connect", "first_byte", "body", "decode"];

/// The steps of all units, those that are not known last; what cannot be read is left out.
pub(super) fn timings<'a>(stats: impl Iterator<Item = &'a Value>) -> Vec<Timing> {
    let mut steps: BTreeMap<&str, Vec<(f64, f64, u64)>> = BTreeMap::new();
    for (name, value) in stats.filter_map(|stats| stats.get("timings_ms")?.as_object()).flatten() {
        let Ok(Step { count, p50: Some(p50), p99: Some(p99) }) = Step::deserialize(value) else { continue };
        steps.entry(name).or_default().push((p50, p99, count));
    }
    let timing = |(step, units): (&str, Vec<(f64, f64, u64)>)| {
        let p99_ms = units.iter().map(|(_, p99, _)| *p99).fold(0.0, f64::max);
        let count = units.iter().map(|(_, _, count)| count).sum();
        Some(Timing { step: step.to_owned(), count, p50_ms: median(units)?, p99_ms })
    };
    let mut timings: Vec<Timing> = steps.into_iter().filter_map(timing).collect();
    timings.sort_by_key(|timing| STEPS.iter().position(|step| *step == timing.step).unwrap_or(STEPS.len()));
    timings
}

/// The median of the medians, each as often as its unit took the step.
fn median(mut units: Vec<(f64, f64, u64)>) -> Option<f64> {
    units.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = units.iter().map(|(_, _, count)| count).sum::<u64>().div_ceil(2);
    let mut before = 0;
    let reaches = |(_, _, count): &&(f64, f64, u64)| {
        before += count;
        before >= half
    };
    units.iter().find(reaches).map(|(p50, _, _)| *p50)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn units_count_as_much_as_they_have_steps() {
        let unit = |count: u64, p50: f64, p99: f64| {
            json!({"timings_ms": {
                "dns": {"count": 0, "p50": null, "p99": null},
                "connect": {"count": count, "p50": p50, "p99": p99},
                "body": "damaged",
            }})
        };
        let stats = [unit(10, 5.0, 50.0), unit(100, 2.0, 20.0), json!({"count": 3}), Value::Null];
        let expected = Timing { step: "connect".to_owned(), count: 110, p50_ms: 2.0, p99_ms: 50.0 };
        assert_eq!(timings(stats.iter()), [expected]);
        assert!(timings([json!({"timings_ms": 7})].iter()).is_empty());
    }
}
