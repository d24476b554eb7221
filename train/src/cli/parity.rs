//! `train parity`: models against stored outputs of their reference implementations.

use std::path::PathBuf;

use clap::Args;
use pipeline::cli::Common;
use tokenize::parity::{all_pass, report};

use crate::{Error, Result, device};

#[derive(Args, Debug)]
#[command(after_help = "A case is a folder with case.json, io.safetensors and a checkpoint.

Example: train parity golden/rudolph golden/imagegpt")]
pub(super) struct ParityArgs {
    /// Folders of cases
    #[arg(required = true, value_name = "DIR")]
    cases: Vec<PathBuf>,
    /// cpu, cuda:0 or wgpu
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    device: String,
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) fn parity(args: &ParityArgs) -> Result<u8> {
    let device = device::open(&args.device)?;
    let mut lines = Vec::new();
    for dir in &args.cases {
        lines.extend(crate::parity::run(dir, &device)?);
    }
    report(&mut std::io::stdout().lock(), &lines, args.common.json).map_err(Error::io("stdout"))?;
    Ok(u8::from(!all_pass(&lines)))
}
