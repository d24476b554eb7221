//! `tokenize parity`.

use std::path::PathBuf;

use pipeline::cli::Common;
use pipeline::progress::Progress;

use crate::{Error, Result, device, parity};

/// Flags of `tokenize parity`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A case is a folder with case.json, a checkpoint, and io.safetensors or expected.jsonl.

Example:
  tokenize parity golden/vqgan-f16 golden/yttm"
)]
pub(super) struct Args {
    /// Folders of cases
    #[arg(required = true)]
    cases: Vec<PathBuf>,
    /// cpu, cuda:0 or wgpu
    #[arg(long, default_value = "cpu")]
    device: String,
    #[command(flatten)]
    common: Common,
}

impl Args {
    pub(super) fn run(self) -> Result<u8> {
        let common = &self.common;
        let device = device::open(&self.device)?;
        let progress = Progress::start(common.progress_style(), "cases", Some(self.cases.len() as u64), 0);
        let mut lines = Vec::new();
        for dir in &self.cases {
            lines.extend(parity::run(dir, &device)?);
            progress.add(1);
        }
        progress.finish();
        parity::report(&mut std::io::stdout().lock(), &lines, common.json).map_err(Error::io("stdout"))?;
        Ok(u8::from(!parity::all_pass(&lines)))
    }
}
