//! `cargo demo`: the whole road on real data, offline, in one process.
//!
//! Pictures with names in two languages lie in `configs/demo/data`. They are served on loopback, crawled, tokenized and
//! learned from by the very code of `pipeline crawl`, `tokenize bpe`, `tokenize shards` and `train`, with the
//! configurations of `configs/demo`. Then the model draws and captions, and `report.html` shows all of it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`Args`], `place`, `data`, `serve` | flags, folders, the pictures and their host |
//! | `stages`, `ledger` | the stages in order, and how long each took |
//! | `gallery`, `measure`, `figures`, `machine` | what came out |
//! | `summary`, `next`, `report` | the lines at the end, how to go on, the page |

mod data;
mod figures;
mod gallery;
mod ledger;
mod machine;
mod measure;
mod next;
mod options;
mod place;
mod report;
mod serve;
mod stages;
mod summary;

pub use options::Args;

use std::path::Path;

use pipeline::cli::print;

use figures::Figures;
use stages::Road;

use crate::{Error, Result};

/// Runs the demo and returns the exit code: 0, or 130/143 after Ctrl-C or SIGTERM.
///
/// # Errors
/// What a stage reports.
pub fn run(args: &Args) -> Result<u8> {
    match Road::open(args)?.walk().map_err(explain) {
        Ok(figures) => finish(args, &figures),
        Err(Error::Pipeline(pipeline::Error::Interrupted { code })) => {
            args.common.say("stopped; the same command continues");
            Ok(code)
        }
        Err(error) => Err(error),
    }
}

/// The demo has no `--accept` and no `run.out`: its way out of a changed configuration is another folder.
fn explain(error: Error) -> Error {
    let hint = "use another folder (--out DIR), or start over (--fresh)";
    match error {
        Error::Changed { .. } | Error::Pipeline(pipeline::Error::OtherPlan { .. }) => {
            Error::config(error.to_string()).with_hint(hint)
        }
        Error::Tokenize(tokenize::Error::Pipeline(error @ pipeline::Error::Interrupted { .. })) => {
            error.into()
        }
        Error::Tokenize(tokenize::Error::Pipeline(error @ pipeline::Error::OtherPlan { .. })) => {
            Error::config(error.to_string()).with_hint(hint)
        }
        other => other,
    }
}

/// The figures, the report's path and how to go on, on stdout.
fn finish(args: &Args, figures: &Figures) -> Result<u8> {
    if args.common.json {
        let mut record = serde_json::Map::new();
        record.insert("type".into(), "demo".into());
        let figures = serde_json::to_value(figures).map_err(|error| Error::config(error.to_string()))?;
        record.extend(figures.as_object().cloned().unwrap_or_default());
        print(&serde_json::Value::Object(record).to_string())?;
        return Ok(0);
    }
    let report = args.out.join("report.html");
    print(&figures.summary())?;
    print(&format!("\nreport: {}", full(&report)))?;
    print(&format!(
        "\nThe same with your own links (a table with the columns url and caption):\n{}",
        figures.next.join("\n")
    ))?;
    Ok(0)
}

fn full(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_configuration_points_to_the_demos_own_flags() {
        let changed =
            Error::Changed { path: "demo-out/rudolph".into(), changes: vec!["  run.steps: 1 -> 2".into()] };
        let error = explain(changed);
        assert!(error.to_string().contains("run.steps: 1 -> 2"));
        assert!(error.hint().unwrap().contains("--out DIR"));
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn an_interrupt_keeps_its_code_through_every_layer() {
        let inner = pipeline::Error::Interrupted { code: 143 };
        assert_eq!(explain(Error::Tokenize(tokenize::Error::Pipeline(inner))).exit_code(), 143);
    }
}
