//! `train compare`: the curves of several runs over each other, what came out, and what they differ in.

use std::path::PathBuf;

use clap::Args;
use pipeline::cli::{Common, print};
use pipeline::terminal::Screen;

use crate::Result;
use crate::curves::Comparison;

/// Compare runs.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  train compare runs/a runs/b
  train compare runs/* --html comparison.html
  train compare runs/a runs/b --json")]
pub(super) struct CompareArgs {
    /// Two run folders or more
    #[arg(value_name = "RUN", required = true, num_args = 2..)]
    runs: Vec<PathBuf>,
    /// Write a page with the curves of all metrics as well
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) fn compare(args: &CompareArgs) -> Result<u8> {
    let comparison = Comparison::read(&args.runs)?;
    if let Some(path) = &args.html {
        pipeline::atomic::write(path, comparison.page())?;
        args.common.say(&format!("the page is {}", path.display()));
    }
    if args.common.json {
        comparison.json().iter().try_for_each(|line| print(line))?;
    } else {
        print(&comparison.text(Screen::stdout()))?;
    }
    Ok(0)
}
