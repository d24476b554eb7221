//! The `train` command.

use std::process::ExitCode;

use clap::Parser;
use train::cli::{Cli, run};

fn main() -> ExitCode {
    let cli = Cli::parse();
    pipeline::cli::run_main(|| run(cli))
}
