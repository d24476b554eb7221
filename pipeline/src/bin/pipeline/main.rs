//! The program `pipeline`: from links to image-text pairs.

mod args;
mod card;
mod commands;
mod dedup;
mod doctor;
mod extract;
mod filter;
mod image_flags;
mod img2dataset;
mod preview;
mod reshard;
mod score;
mod show;
mod spelling;
mod stage;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = args::Arguments::parse_from(spelling::dashed(std::env::args_os()));
    pipeline::cli::run_main(|| commands::run(arguments.command))
}
