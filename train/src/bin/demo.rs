//! `cargo demo`: crawl, tokenize, train and draw in one go.

use std::process::ExitCode;

use clap::Parser;
use train::demo::{Args, run};

fn main() -> ExitCode {
    let args = Args::parse();
    pipeline::cli::run_main(|| run(&args))
}
