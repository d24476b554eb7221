//! `pipeline score` in a build that cannot run models.

use clap::Args;
use pipeline::{Error, Result};

/// `pipeline score`.
#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Score {
    /// Whatever is asked for
    #[arg(allow_hyphen_values = true, trailing_var_arg = true, hide = true)]
    rest: Vec<String>,
}

pub(crate) fn score(args: &Score) -> Result<u8> {
    let asked = format!("score {}", args.rest.join(" "));
    let error = Error::config(asked.trim_end(), "this build of pipeline runs no models");
    Err(error.with_hint("build it with them: cargo build --release --package pipeline --features score"))
}
