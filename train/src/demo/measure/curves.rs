//! The losses of a run, out of its `metrics.jsonl`.

use std::path::Path;

use serde_json::Value;

use crate::{Error, Result};

/// All lines of a run, in order.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Curves {
    train: Vec<Value>,
    held_out: Vec<Value>,
}

/// Steps and values.
pub(in super::super) type Points = Vec<(f64, f64)>;

impl Curves {
    /// Reads the metrics of a run folder.
    ///
    /// # Errors
    /// The file is missing.
    pub(super) fn read(run: &Path) -> Result<Self> {
        let path = run.join("metrics.jsonl");
        Ok(Self::parse(&std::fs::read_to_string(&path).map_err(Error::io(&path))?))
    }

    /// The lines of a `metrics.jsonl`.
    pub(in super::super) fn parse(text: &str) -> Self {
        let mut curves = Self::default();
        for line in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            match line["type"].as_str() {
                Some("train") => curves.train.push(line),
                Some("valid") => curves.held_out.push(line),
                _ => {}
            }
        }
        curves
    }

    /// A metric on training batches.
    pub(in super::super) fn train(&self, metric: &str) -> Points {
        points(&self.train, metric)
    }

    /// A metric on held-out rows.
    pub(in super::super) fn held_out(&self, metric: &str) -> Points {
        points(&self.held_out, metric)
    }

    /// Seconds of training, over all processes that took part.
    pub(in super::super) fn seconds(&self) -> f64 {
        let last = |lines: &[Value]| lines.last().and_then(|line| line["seconds"].as_f64()).unwrap_or(0.0);
        last(&self.train).max(last(&self.held_out))
    }
}

fn points(lines: &[Value], metric: &str) -> Points {
    lines.iter().filter_map(|line| Some((line["step"].as_f64()?, line[metric].as_f64()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_sorted_by_kind() {
        let curves = Curves::parse(
            "{\"type\":\"train\",\"step\":10,\"image\":6.5,\"seconds\":2.5}\n\
             {\"type\":\"valid\",\"step\":10,\"image\":6.25,\"seconds\":3.5}\n{\"type\":\"train\",\"step\":20}\n{\"ty",
        );
        assert_eq!(curves.train("image"), [(10.0, 6.5)]);
        assert_eq!(curves.held_out("image"), [(10.0, 6.25)]);
        assert_eq!(curves.seconds(), 3.5);
    }
}
