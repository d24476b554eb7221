//! The program `pipeline`: from links to image-text pairs.

mod args;
#[cfg(feature = "card")]
mod card;
mod commands;
mod doctor;
mod image_flags;
mod img2dataset;
mod preview;
mod show;
mod spelling;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = args::Arguments::parse_from(spelling::dashed(std::env::args_os()));
    pipeline::cli::run_main(|| commands::run(arguments.command))
}
