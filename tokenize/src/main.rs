//! The `tokenize` command.

use std::process::ExitCode;

use clap::Parser;
use tokenize::cli::{Cli, run};

fn main() -> ExitCode {
    let cli = Cli::parse();
    pipeline::cli::run_main(|| run(cli))
}
