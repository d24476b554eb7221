//! The program `pipeline`: from links to image-text pairs.

mod args;
mod commands;
mod doctor;
mod img2dataset;
mod preview;
mod show;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = args::Arguments::parse();
    pipeline::cli::run_main(|| commands::run(arguments.command))
}
