//! `metrics.jsonl`, read: one series for each kind of line and each number in it.

use std::path::Path;

use serde_json::{Map, Value};

use crate::{Error, Result};

/// The kind of the lines about training batches.
pub const TRAIN: &str = "train";
/// The kind of the lines about held-out data.
pub const HELD_OUT: &str = "valid";

/// Fields that are no metrics.
const OTHERS: [&str; 4] = ["type", "version", "step", "seconds"];

/// Steps and values, in the order of the file.
pub type Points = Vec<(f64, f64)>;

/// One metric over the steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The lines it stands in: [`TRAIN`], [`HELD_OUT`].
    pub kind: String,
    /// Its name there.
    pub metric: String,
    /// Its values; those that are not finite have no line.
    pub points: Points,
}

/// All series of a run, in the order in which they appear, and the lines that sum it up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curves {
    series: Vec<Series>,
    /// The last line about training batches.
    pub train: Option<Value>,
    /// The last line about held-out data.
    pub valid: Option<Value>,
    /// The line about held-out data with the lowest loss; of equals the first.
    pub best: Option<Value>,
    /// Seconds of training, over all processes that took part.
    pub seconds: f64,
}

impl Curves {
    /// Reads the metrics of a run folder; a run that has written none has no curves.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(run: &Path) -> Result<Self> {
        let path = run.join("metrics.jsonl");
        if !path.exists() {
            return Ok(Self::default());
        }
        Ok(Self::parse(&std::fs::read(&path).map_err(Error::io(&path))?))
    }

    /// The lines of a `metrics.jsonl`. The last one of a run in progress may be half-written, and is left out.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let mut curves = Self::default();
        for line in text.split(|byte| *byte == b'\n') {
            if let Ok(map) = serde_json::from_slice(line) {
                curves.take(map);
            }
        }
        curves
    }

    fn take(&mut self, line: Map<String, Value>) {
        let Some(kind) = line.get("type").and_then(Value::as_str) else { return };
        let Some(step) = line.get("step").and_then(Value::as_f64) else { return };
        for (name, value) in line.iter().filter(|(name, _)| !OTHERS.contains(&name.as_str())) {
            if let Some(value) = value.as_f64() {
                self.push(kind, name, (step, value));
            }
        }
        self.seconds = line.get("seconds").and_then(Value::as_f64).unwrap_or(0.0).max(self.seconds);
        let loss = |line: &Map<String, Value>| line.get("loss").and_then(Value::as_f64);
        if kind == TRAIN {
            self.train = Some(Value::Object(line));
        } else if kind == HELD_OUT {
            let best = self.best.as_ref().and_then(|best| best["loss"].as_f64());
            if loss(&line).is_some_and(|loss| best.is_none_or(|best| loss < best)) {
                self.best = Some(Value::Object(line.clone()));
            }
            self.valid = Some(Value::Object(line));
        }
    }

    /// Appends a point to a series, which begins with it where there is none yet.
    pub fn push(&mut self, kind: &str, metric: &str, point: (f64, f64)) {
        match self.series.iter_mut().find(|series| series.kind == kind && series.metric == metric) {
            Some(series) => series.points.push(point),
            None => {
                let points = vec![point];
                self.series.push(Series { kind: kind.to_owned(), metric: metric.to_owned(), points });
            }
        }
    }

    /// Every series.
    #[must_use]
    pub fn series(&self) -> &[Series] {
        &self.series
    }

    /// Every series, those of one metric after each other.
    pub fn in_order(&self) -> impl Iterator<Item = &Series> {
        let of = |metric| self.series.iter().filter(move |series| series.metric == metric);
        self.metrics().into_iter().flat_map(of)
    }

    /// The points of one series; none where the file has none.
    #[must_use]
    pub fn points(&self, kind: &str, metric: &str) -> &[(f64, f64)] {
        let found = self.series.iter().find(|series| series.kind == kind && series.metric == metric);
        found.map_or(&[], |series| &series.points)
    }

    /// The names of all metrics, `loss` first, the others in the order in which they appear.
    #[must_use]
    pub fn metrics(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for series in &self.series {
            if !names.contains(&series.metric.as_str()) {
                names.push(&series.metric);
            }
        }
        names.sort_by_key(|name| *name != "loss");
        names
    }

    /// The last value of a metric on training batches.
    #[must_use]
    pub fn last(&self, metric: &str) -> Option<f64> {
        self.points(TRAIN, metric).last().map(|(_, value)| *value)
    }

    /// How fast the last steps were, as a number and what it counts: `tokens/s` where the file says so, else `steps/s`.
    #[must_use]
    pub fn speed(&self) -> Option<(f64, String)> {
        let speeds = self.series.iter().filter(|series| series.kind == TRAIN).filter_map(|series| {
            let what = series.metric.strip_suffix("_per_second")?;
            Some((series.points.last()?.1, format!("{what}/s")))
        });
        let mut speeds: Vec<_> = speeds.collect();
        speeds.sort_by_key(|(_, what)| what == "steps/s");
        speeds.into_iter().next()
    }
}

/// What a kind of lines is about, in words.
pub(super) fn about(kind: &str) -> &str {
    if kind == HELD_OUT { "held out" } else { kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_sorted_by_kind_and_metric() {
        let curves = Curves::parse(
            b"{\"type\":\"train\",\"step\":10,\"image\":6.5,\"loss\":7,\"seconds\":2.5}\n\
              {\"type\":\"valid\",\"step\":10,\"loss\":6.25,\"seconds\":3.5}\n\
              {\"type\":\"valid\",\"step\":20,\"loss\":6.5}\n{\"type\":\"train\",\"step\":20,\"loss\":null}\n{\"ty",
        );
        assert_eq!(curves.metrics(), ["loss", "image"]);
        assert_eq!(curves.points(TRAIN, "image"), [(10.0, 6.5)]);
        assert_eq!(curves.points(TRAIN, "loss"), [(10.0, 7.0)], "a loss that is not finite has no point");
        assert_eq!(curves.points(HELD_OUT, "loss").len(), 2);
        assert_eq!(curves.best.unwrap()["step"], 10);
        assert_eq!(curves.valid.unwrap()["step"], 20);
        assert_eq!(curves.seconds, 3.5);
    }

    #[test]
    fn a_line_torn_within_a_character_spoils_no_other() {
        let curves = Curves::parse(b"{\"type\":\"train\",\"step\":1,\"loss\":1.0}\n{\"type\":\"\xd0");
        assert_eq!(curves.last("loss"), Some(1.0));
    }

    #[test]
    fn tokens_say_more_than_steps() {
        let speed = |fields: &str| {
            Curves::parse(format!("{{\"type\":\"train\",\"step\":1,{fields}}}").as_bytes()).speed()
        };
        let both = speed("\"steps_per_second\":2.0,\"tokens_per_second\":500.0");
        assert_eq!(both, Some((500.0, "tokens/s".into())));
        assert_eq!(speed("\"steps_per_second\":2.0"), Some((2.0, "steps/s".into())));
        assert_eq!(speed("\"loss\":2.0"), None);
    }
}
