//! Several runs side by side: their losses over each other, what came out, and which keys they differ in.

mod text;
mod web;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::read::{Curves, HELD_OUT, TRAIN};
use crate::run::{Folder, flat};
use crate::{Error, Result};

/// Always another, and never of interest.
const OUT: &str = "run.out";

/// One of the runs.
struct Compared {
    /// The folder as it was named.
    name: String,
    curves: Curves,
    /// Every key with its value.
    config: BTreeMap<String, String>,
}

/// Runs that are compared.
pub struct Comparison(Vec<Compared>);

impl Comparison {
    /// Reads the runs.
    ///
    /// # Errors
    /// A folder is no run's, or a file in it cannot be read.
    pub fn read(runs: &[PathBuf]) -> Result<Self> {
        runs.iter().map(|run| Compared::read(run)).collect::<Result<_>>().map(Self)
    }

    /// A line for each run.
    #[must_use]
    pub fn json(&self) -> Vec<String> {
        let keys = self.differing();
        self.0.iter().map(|run| run.json(&keys).to_string()).collect()
    }

    /// Keys that not all runs have the same value of.
    fn differing(&self) -> Vec<&str> {
        let keys: BTreeSet<_> = self.0.iter().flat_map(|run| run.config.keys()).collect();
        let first = |key: &String| self.0.first().and_then(|run| run.config.get(key));
        let differs =
            |key: &&String| *key != OUT && self.0.iter().any(|run| run.config.get(*key) != first(key));
        keys.into_iter().filter(differs).map(String::as_str).collect()
    }
}

impl Compared {
    fn read(run: &Path) -> Result<Self> {
        let path = Folder::config_of(run);
        if !path.is_file() {
            return Err(Folder::missing(run));
        }
        let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
        let config = flat(&text).map_err(|error| Error::weights(&path, error.message()))?;
        Ok(Self { name: run.display().to_string(), curves: Curves::read(run)?, config })
    }

    /// The last step of any line.
    fn step(&self) -> Option<u64> {
        let last = self.curves.series().iter().filter_map(|series| series.points.last());
        last.map(|(step, _)| *step as u64).max()
    }

    /// Step and loss where the held-out loss is lowest.
    fn best(&self) -> Option<(u64, f64)> {
        let points = self.curves.points(HELD_OUT, "loss").iter();
        points.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(step, loss)| (*step as u64, *loss))
    }

    fn value(&self, key: &str) -> &str {
        self.config.get(key).map_or("unset", String::as_str)
    }

    fn json(&self, keys: &[&str]) -> Value {
        let value = |key: &&str| self.config.get(*key).and_then(|text| as_json(text));
        let differs: BTreeMap<_, _> = keys.iter().map(|key| (*key, value(key))).collect();
        let best = self.best().map(|(step, loss)| json!({"step": step, "loss": loss}));
        json!({
            "type": "comparison", "version": 1, "run": self.name, "step": self.step(),
            "train_loss": self.curves.last("loss"), "best": best,
            "tokens_per_second": self.curves.last("tokens_per_second"),
            "steps_per_second": self.curves.last("steps_per_second"), "differs": differs,
        })
    }

    fn points(&self, kind: &str) -> &[(f64, f64)] {
        self.curves.points(kind, "loss")
    }
}

/// A value of a configuration, given as TOML.
fn as_json(text: &str) -> Option<Value> {
    let table: toml::Table = toml::from_str(&format!("value = {text}")).ok()?;
    serde_json::to_value(table.get("value")?).ok()
}

/// The losses that are drawn over each other, with what they are called.
const LOSSES: [(&str, &str); 2] = [(TRAIN, "loss"), (HELD_OUT, "loss, held out")];

#[cfg(test)]
mod tests {
    use super::*;
    use pipeline::terminal::Screen;

    fn comparison() -> Comparison {
        let dir = tempfile::tempdir().unwrap();
        let run = |name: &str, seed: u32, more: &str, losses: &[f64]| {
            let run = dir.path().join(name);
            let config = format!("kind = 'rudolph'\n{more}[run]\nout = '{name}'\nseed = {seed}\n");
            pipeline::atomic::write(run.join("run.toml"), config).unwrap();
            let line = |(step, loss): (usize, &f64)| {
                format!(
                    "{{\"type\":\"train\",\"step\":{step},\"loss\":{loss},\"steps_per_second\":2}}\n\
                     {{\"type\":\"valid\",\"step\":{step},\"loss\":{}}}\n",
                    loss + 0.5
                )
            };
            let lines: String = losses.iter().enumerate().map(line).collect();
            pipeline::atomic::write(run.join("metrics.jsonl"), lines).unwrap();
            let mut read = Compared::read(&run).unwrap();
            read.name = name.to_owned();
            read
        };
        Comparison(vec![
            run("a", 1, "", &[6.0, 5.0, 4.0]),
            run("b", 2, "from = 'x'\n", &[6.0, 3.0, 3.5]),
            run("c", 1, "", &[]),
        ])
    }

    #[test]
    fn a_table_says_what_came_out_and_what_differs() {
        let text = comparison().table();
        insta::assert_snapshot!(text, @r#"
        run  step  train loss  best held-out loss  speed
        a    2     4           4.500 at step 2     2 steps/s
        b    2     3.500       3.500 at step 1     2 steps/s
        c    –     –           –                   –

        key       a      b    c
        from      unset  "x"  unset
        run.seed  1      2    1
        "#);
    }

    #[test]
    fn without_colours_each_run_has_its_sign() {
        let text = comparison().text(Screen::PLAIN);
        assert!(text.starts_with("loss   ⠒⠒ a   ● b\n"), "{text}");
        assert!(text.contains("loss, held out   ⠒⠒ a   ● b\n"), "{text}");
    }

    #[test]
    fn json_has_a_line_for_each_run() {
        let lines = comparison().json();
        assert_eq!(
            lines[1],
            r#"{"type":"comparison","version":1,"run":"b","step":2,"train_loss":3.5,"best":{"step":1,"loss":3.5},"tokens_per_second":null,"steps_per_second":2.0,"differs":{"from":"x","run.seed":2}}"#
        );
        assert!(lines[2].contains(r#""best":null"#) && lines[2].contains(r#""from":null"#), "{}", lines[2]);
    }

    #[test]
    fn the_page_has_every_run_and_loads_nothing() {
        let html = comparison().page();
        assert!(html.contains("class=\"curve-1\"") && html.contains("run.seed"), "{html}");
        assert!(!html.contains("http") && !html.contains("<script"));
    }
}
